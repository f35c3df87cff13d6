import { KeyferryError } from "../../core/base/error.js"
import type { OptionTable } from "../command.js"
import { allCommands, COMMAND_NAMES, GROUPS } from "../commands/commands.js"
import { GENERAL } from "../options/options.js"
import { didYouMean, nearest } from "./near.js"
import { looksLikeOption, optionName, plainWords, unknownOption } from "./words.js"

/** `-o` and `-q` and `-h`, which stand for a long option wherever they are. */
const SHORT: Readonly<Record<string, string>> = { h: "help", o: "output", q: "quiet" }

/** The command line in long options alone: `-o wide`, `-o=wide` and `-owide` are `--output wide`. */
export function longForms(words: readonly string[]): readonly string[] {
  const end = words.indexOf("--")
  return words.flatMap((word, at) => {
    const [, letter = "", rest = ""] = end !== -1 && at > end ? [] : (/^-([hoq])(.*)$/s.exec(word) ?? [])
    const name = SHORT[letter]
    if (name === undefined) return [word]
    if (rest === "") return [`--${name}`]
    return name === "output" ? [`--output=${rest.replace(/^=/, "")}`] : [word]
  })
}

/**
 * The command line with `help COMMAND` as `COMMAND --help`, once it is known that it names a command, or nothing yet.
 *
 * @throws ERR_USAGE with the nearest names of commands
 */
export async function understood(words: readonly string[]): Promise<readonly string[]> {
  const general = plainWords(words, GENERAL)
  if (general[0] === "help") {
    const asked = general.slice(1)
    const known = asked.length === 0 ? "" : nameOf(asked)
    if (known === undefined) throw unknownCommand(asked)
    const [unexpected] = asked.slice(known === "" ? 0 : known.split(" ").length)
    if (unexpected !== undefined) throw unexpectedAfter(known, unexpected, asked)
    return [...asked, "--help"]
  }
  if (general.length === 0 || isNamed(general)) return words
  // options of a command may stand before it
  const tables = (await allCommands()).map(({ options }) => options)
  const options: OptionTable = Object.assign({}, GENERAL, ...tables) as OptionTable
  for (const word of words.slice(0, words.indexOf(general[0] ?? "")))
    if (looksLikeOption(word) && !Object.hasOwn(options, optionName(word))) throw unknownOption(word, options)
  const plain = plainWords(words, options)
  if (plain.length === 0 || isNamed(plain)) return words
  throw unknownCommand(plain)
}

/** The command, or the group of commands, that the first words name. */
function nameOf([first = "", second = ""]: readonly string[]): string | undefined {
  const names = [`${first} ${second}`, first]
  return names.find((name) => COMMAND_NAMES.includes(name) || (name === first && Object.hasOwn(GROUPS, name)))
}

/** Whether they name a command, or a group alone, whose commands are still to be chosen from. */
function isNamed(plain: readonly string[]): boolean {
  const name = nameOf(plain)
  return name !== undefined && (COMMAND_NAMES.includes(name) || plain.length === 1)
}

function unexpectedAfter(known: string, unexpected: string, asked: readonly string[]): KeyferryError {
  if (Object.hasOwn(GROUPS, known)) return unknownCommand(asked)
  return new KeyferryError("ERR_USAGE", `unexpected argument: '${unexpected}'`)
}

function unknownCommand([first = "", second]: readonly string[]): KeyferryError {
  const isGroup = Object.hasOwn(GROUPS, first)
  const near = isGroup ? nearestOf(first, second ?? "") : nearestAlone(first, second)
  const written = isGroup ? `${first} ${second ?? ""}` : first
  const words = didYouMean(near.map((name) => `\`${name}\``))
  return new KeyferryError("ERR_USAGE", `unknown command: ${written}${words}`)
}

/** Commands of a group by their last word; else whatever has that word in another group. */
function nearestOf(group: string, word: string): readonly string[] {
  const inGroup = COMMAND_NAMES.filter((name) => name.startsWith(`${group} `))
  const near = nearest(word, inGroup.map(lastWord))
  if (near.length > 0) return inGroup.filter((name) => near.includes(lastWord(name)))
  return nearestAlone(word, undefined)
}

function nearestAlone(first: string, second: string | undefined): readonly string[] {
  const near = second === undefined ? [] : nearest(`${first} ${second}`, COMMAND_NAMES)
  if (near.length > 0) return near
  const whole = nearest(first, [...COMMAND_NAMES, ...Object.keys(GROUPS), "help"])
  if (whole.length > 0) return whole
  const last = nearest(first, COMMAND_NAMES.map(lastWord))
  return COMMAND_NAMES.filter((name) => last.includes(lastWord(name)))
}

const lastWord = (name: string): string => name.split(" ").at(-1) ?? ""
