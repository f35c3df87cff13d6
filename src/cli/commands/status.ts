import { printable } from "../../core/base/printable.js"
import type { Status, StatusRow } from "../../app/fleet/status.js"
import type { Backup } from "../../host/open.js"
import { KeyferryError } from "../../core/base/error.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { actionsOf } from "../options/fleet-options.js"
import { decisionOf, nextOf, notesOf, tokensText } from "../text/decision-text.js"
import { nameOf, summaryText } from "../text/rows-text.js"
import { KMS, TOKEN } from "../options/options.js"
import { REBUILD, rebuildState } from "./status-rebuild.js"
import { progressLine } from "../text/progress-line.js"
import { table } from "../text/table.js"

export const status = defineCommand({
  name: "status",
  describe:
    "every key: its state in KMS, its generations, days to expiry, what comes next, drift, and what a loss would cost",
  examples: [
    ["$0 status", "as a table; works without a token, whose side is then not known"],
    ["$0 status --rebuild --region eu-west-3", "the state directory is lost: what it knew, from KMS, token and vault"],
    ["$0 status payments --json", "everything that is known of one key"],
  ],
  names: { describe: "keys to look at; all where none is named" },
  options: { ...REBUILD, ...TOKEN, ...KMS },
  async run(args, surroundings) {
    const names = namesOf(args)
    if (args.rebuild) return await rebuildState(names, args, surroundings)
    if (args.overwrite) throw new KeyferryError("ERR_USAGE", "--overwrite goes with --rebuild")
    const { fleetKeys } = await import("../../app/fleet/fleet.js")
    const { status: surveyStatus } = await import("../../app/fleet/status.js")
    const fleet = await surroundings.world.fleet({ lock: false })
    using line = progressLine("looking at")
    const { status: result, exit } = await surveyStatus(fleet, fleetKeys(fleet, names), {
      actions: actionsOf(undefined),
      onRow: line.onRow,
    })
    const backup = await surroundings.world.backup()
    return { result: { ...result, backup }, text: `${statusText(result)}${backupText(result, backup)}`, exit }
  },
})

function statusText({ keys, summary, tokens, custodyKeys, vault, operations }: Status): string {
  const notes = [
    ...tokensText(tokens),
    ...custodyText({ custodyKeys, vault }),
    ...operations.map(({ message }) => `not finished: ${message}`),
  ]
  if (keys.length === 0) return ["no keys are known here", ...notes.map(printable)].join("\n")
  const head = [
    "NAME",
    "TARGET",
    "KMS KEY",
    "STATE",
    "GENERATIONS",
    "DAYS LEFT",
    "NEXT",
    "IF THE TOKEN IS LOST",
    "WHAT",
  ]
  return [
    table(head, keys.map(cells)),
    ...[...keys.flatMap(notesOf), ...notes].map(printable),
    summaryText(summary),
  ].join("\n")
}

/** How old the last archive of the state directory is; nothing where nothing is to be exported. */
function backupText({ keys }: Status, { exportedAt, linesSince }: Backup): string {
  if (keys.length === 0) return ""
  if (exportedAt === null) return "\nbackup: the state was never exported: `keyferry state export FILE`"
  const since =
    linesSince === null || linesSince === 0 ? "" : `; ${linesSince} lines of the custody log came after that`
  return `\nbackup: the state was last exported on ${exportedAt}${since}`
}

/** What is wrong in the vault, and of custody keys; then which of them have a backup, and since when. */
function custodyText({ custodyKeys, vault }: Pick<Status, "custodyKeys" | "vault">): readonly string[] {
  return [
    ...vault.findings.flatMap(({ message, hint }) => [`vault: ${message}`, `vault: hint: ${hint}`]),
    ...vault.custodyKeys.flatMap(({ message, hint }) => [`custody key: ${message}`, `custody key: hint: ${hint}`]),
    ...custodyKeys.flatMap(({ label, backupConfirmedAt }) =>
      backupConfirmedAt === null ? [] : [`custody key: a backup of ${label} was confirmed on ${backupConfirmedAt}`],
    ),
  ]
}

function cells(key: StatusRow): (string | number | null)[] {
  const days = key.generations.flatMap(({ daysLeft }) => (daysLeft === null ? [] : [daysLeft]))
  const states = key.keyStates.map(({ keyState }) => keyState ?? "not known")
  const [firstState] = states
  const isSame = states.every((state) => state === firstState)
  return [
    key.managed ? nameOf(key) : `${nameOf(key)} (unmanaged)`,
    key.target,
    key.keyArn,
    firstState === undefined ? null : isSame ? firstState : states.join(", "),
    generationsText(key),
    days.length === 0 ? (key.generations.length === 0 ? null : "never") : Math.min(...days),
    nextOf(key) ?? (key.outcome === "planned" ? `${key.action} now` : null),
    key.forecast === null ? null : `dies ${key.forecast.diesAt}`,
    decisionOf(key),
  ]
}

/** `0, 1 lost`: what is as it should be by its number alone; a Region is named where there are several. */
function generationsText({ generations, keyStates }: StatusRow): string | null {
  if (generations.length === 0) return null
  return generations
    .map(({ generation, state, region, source }) => {
      const place = keyStates.length > 1 ? ` ${region}` : ""
      const is = state === "imported" ? "" : ` ${state}`
      const missing = source === "missing" || source === "damaged" ? ` (source ${source})` : ""
      return `${generation}${place}${is}${missing}`
    })
    .join(", ")
}
