// SPDX-License-Identifier: Apache-2.0
// usage: node scripts/package/man-pages.mjs FOLDER DATE
// Writes a manual page, man(7), for keyferry and for each of its commands, from the table of commands as it was built.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { EXIT_CODES } from "#src/core/base/exit-code.js"
import { allCommands } from "#src/cli/commands/commands.js"
import { GENERAL } from "#src/cli/options/options.js"

const [folder, date] = process.argv.slice(2)
if (folder === undefined || date === undefined) throw new Error("usage: man-pages.js FOLDER DATE")

/** Text as roff has it: nothing of it is a request, and hyphens are those of command lines. */
function roff(text) {
  return text
    .replace(/\\/g, "\\e")
    .replace(/-/g, "\\-")
    .replace(/`([^`]*)`/g, "\\fB$1\\fR")
    .replace(/^([.'])/gm, "\\&$1")
}

const bold = (text) => `\\fB${roff(text)}\\fR`
const italic = (text) => `\\fI${roff(text)}\\fR`
const pageName = (name) => ["keyferry", ...name.split(" ").filter((word) => word !== "")].join("-")
const heading = (name) => `.TH "${roff(pageName(name)).toUpperCase()}" 1 "${roff(date)}" keyferry "keyferry manual"`
const section = (title, lines) => (lines.length === 0 ? [] : [`.SH ${title}`, ...lines])

/** An entry of a list: what is explained, and its explanation. */
const entry = (term, text) => [".TP", term, roff(text)]

function optionEntry([name, option]) {
  const choices = option.choices?.map(String).join(", ")
  const facts = [
    choices === undefined ? "" : `One of ${choices}.`,
    option.default === undefined || option.default === false || String(option.default) === ""
      ? ""
      : `Default: ${String(option.default)}.`,
    option.demandOption === true ? "Needed." : "",
  ].filter((fact) => fact !== "")
  const takes = option.type === "boolean" ? "" : ` ${italic("VALUE")}`
  return entry(`${bold(`--${name}`)}${takes}`, [`${option.describe ?? ""}.`, ...facts].join(" "))
}

/** Options under the headings that `--help` gives them. */
function optionSections(options) {
  const groups = new Map()
  for (const [name, option] of Object.entries({ ...options, ...GENERAL })) {
    const group = (option.group ?? "This command:").replace(/:$/, "")
    groups.set(group, [...(groups.get(group) ?? []), [name, option]])
  }
  return [...groups].flatMap(([group, entries]) => [`.SS ${roff(group)}`, ...entries.flatMap(optionEntry)])
}

function synopsis({ name, positional, path, names }) {
  const word = positional?.name ?? path?.name ?? (names === undefined ? undefined : "name...")
  return [bold(`keyferry ${name}`), word === undefined ? "" : `[${italic(word)}]`, `[${italic("option")}...]`]
    .filter((part) => part !== "")
    .join(" ")
}

function commandPage(command) {
  const { name, describe, positional, path, names, examples } = command
  const words = [positional, path, names === undefined ? undefined : { name: "name", ...names }]
  return [
    heading(name),
    ...section("NAME", [`${roff(pageName(name))} \\- ${roff(describe)}`]),
    ...section("SYNOPSIS", [synopsis(command)]),
    ...section(
      "ARGUMENTS",
      words.flatMap((word) => (word === undefined ? [] : entry(italic(word.name), `${word.describe}.`))),
    ),
    ...section("OPTIONS", optionSections(command.options)),
    ...section(
      "EXAMPLES",
      examples.flatMap(([line, says]) => entry(bold(line.replace("$0", "keyferry")), says)),
    ),
    ...section("SEE ALSO", ["\\fBkeyferry\\fR(1), which has the exit statuses and the environment"]),
  ]
}

function mainPage(commands) {
  return [
    heading(""),
    ...section("NAME", ["keyferry \\- carries keys born in an HSM to AWS KMS and keeps them alive there"]),
    ...section("SYNOPSIS", [`${bold("keyferry")} ${italic("command")} [${italic("option")}...]`]),
    ...section("DESCRIPTION", [
      "Results go to standard output, everything else to standard error. The pages of",
      "\\fI/usr/share/doc/keyferry\\fR tell how a key is made, kept alive, recovered and ended.",
    ]),
    ...section(
      "COMMANDS",
      commands.flatMap(({ name, describe }) => entry(`\\fB${roff(pageName(name))}\\fR(1)`, `${describe}.`)),
    ),
    ...section("OPTIONS", optionSections({})),
    ...section(
      "EXIT STATUS",
      Object.values(EXIT_CODES).flatMap(({ status, meaning }) => entry(bold(String(status)), `${meaning}.`)),
    ),
    ...section("FILES", [
      ...entry("\\fI/etc/keyferry/keyferry.yaml\\fR", "The configuration that the units read; see keyferry init."),
      ...entry("\\fI/var/lib/keyferry\\fR", "The state directory of the units."),
    ]),
  ]
}

mkdirSync(folder, { recursive: true })
const commands = await allCommands()
const write = (name, lines) => writeFileSync(join(folder, `${pageName(name)}.1`), `${lines.join("\n")}\n`)
write("", mainPage(commands))
for (const command of commands) write(command.name, commandPage(command))
