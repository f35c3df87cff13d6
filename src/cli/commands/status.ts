import { printable } from "../../core/base/printable.js"
import type { Status, StatusRow } from "../../app/fleet/status.js"
import type { Backup } from "../../host/open.js"
import { KeyferryError } from "../../core/base/error.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { actionsOf } from "../options/fleet-options.js"
import { NEXT, notesOf, remarkOf, tokensText } from "../text/decision-text.js"
import type { Layout } from "../text/layout.js"
import type { Note } from "../text/notes.js"
import { keyPrefix } from "../text/row-words.js"
import { type Column, rowsText } from "../text/rows-text.js"
import { urgencyOf } from "../text/urgency.js"
import { wrapped } from "../text/width.js"
import { KMS, TOKEN } from "../options/options.js"
import { REBUILD, rebuildState } from "./status-rebuild.js"

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
    using line = surroundings.terminal.progressLine("looking at")
    const { status: result, exit } = await surveyStatus(fleet, fleetKeys(fleet, names), {
      actions: actionsOf(undefined),
      onRow: line.onRow,
    })
    const backup = await surroundings.world.backup()
    return {
      result: { ...result, backup },
      text: (layout) => `${statusText(result, layout)}${layout.quiet ? "" : backupText(result, backup)}`,
      exit,
    }
  },
})

function statusText({ keys, tokens, custodyKeys, vault, operations }: Status, layout: Layout): string {
  const notes = [
    ...tokensText(tokens),
    ...custodyText({ custodyKeys, vault }, layout),
    ...operations.map(({ message }) => `not finished: ${message}`),
  ].map((line) => wrapped(printable(line), layout.wide ? undefined : layout.width))
  const text = rowsText(
    keys,
    {
      columns: COLUMNS,
      withOutcome: false,
      none: "no keys are known here",
      remark: remarkOf,
      notes: (key) => [...deadNotes(key), ...notesOf(key).filter((note) => !isSaid(key, note))],
      urgency: (key) => urgencyOf(key, isDead(key)),
    },
    layout,
  )
  return [...(text === "" ? [] : [text]), ...notes].join("\n")
}

const COLUMNS: readonly Column<StatusRow>[] = [
  { head: "STATE", cell: ({ keyStates }) => stateOf(keyStates) },
  { head: "GENERATIONS", cell: generationsText, onlyWide: true },
  { head: "DAYS LEFT", cell: daysLeft },
  NEXT,
  {
    head: "IF THE TOKEN IS LOST",
    cell: ({ forecast }) => (forecast === null ? null : `dies ${forecast.diesAt}`),
    onlyWide: true,
  },
  {
    head: "MANAGED",
    cell: ({ managed }) => (managed ? "yes" : "unmanaged"),
    onlyWide: true,
  },
]

/** How old the last archive of the state directory is; nothing where nothing is to be exported. */
function backupText({ keys }: Status, { exportedAt, linesSince }: Backup): string {
  if (keys.length === 0) return ""
  if (exportedAt === null) return "\nbackup: the state was never exported: `keyferry state export FILE`"
  const since =
    linesSince === null || linesSince === 0 ? "" : `; ${linesSince} lines of the custody log came after that`
  return `\nbackup: the state was last exported on ${exportedAt}${since}`
}

/** What is wrong in the vault, and of custody keys; then which of them have a backup, and since when. */
function custodyText(
  { custodyKeys, vault }: Pick<Status, "custodyKeys" | "vault">,
  { quiet }: Layout,
): readonly string[] {
  return [
    ...vault.findings.flatMap(({ message, hint }) => [`vault: ${message}`, `vault: hint: ${hint}`]),
    ...vault.custodyKeys.flatMap(({ message, hint }) => [`custody key: ${message}`, `custody key: hint: ${hint}`]),
    ...custodyKeys.flatMap(({ label, backupConfirmedAt }) =>
      backupConfirmedAt === null || quiet
        ? []
        : [`custody key: a backup of ${label} was confirmed on ${backupConfirmedAt}`],
    ),
  ]
}

function stateOf(keyStates: StatusRow["keyStates"]): string | null {
  const states = keyStates.map(({ keyState }) => keyState ?? "not known")
  const [first] = states
  if (first === undefined) return null
  return states.every((state) => state === first) ? first : states.join(", ")
}

/** Whether KMS has lost material that it needs now, in a Region at least. */
const isDead = ({ dead }: StatusRow): boolean => dead !== null

/** What a dead key holds back, and what brings it back. */
function deadNotes(key: StatusRow): readonly Note[] {
  if (key.dead === null) return []
  const { regions, holdsBack, command, reason } = key.dead
  const help = command === null ? "its custody imports only once: `keyferry replace`" : `\`${command}\``
  const text = `dead now in ${regions.join(", ")}: ${holdsBack}: ${help}`
  return [{ key: keyPrefix(key), text, kind: `dead ${reason} ${holdsBack}` }]
}

/** Whether the note is the hint of a dead key that names the same command. */
const isSaid = ({ dead, hint }: StatusRow, { text }: Note): boolean =>
  dead?.command != null && hint?.includes(dead.command) === true && text === `hint: ${hint}`

/** Until the first material ends. */
function daysLeft(key: StatusRow): string | number | null {
  if (isDead(key)) return "dead"
  const days = key.generations.flatMap((generation) => generation.daysLeft ?? [])
  return days.length === 0 ? (key.generations.length === 0 ? null : "never") : Math.min(...days)
}

/** `0, 1` where all is as it should be; else what each is: `generation 0 lost, generation 1 imported`. */
function generationsText({ generations, keyStates }: StatusRow): string | null {
  if (generations.length === 0) return null
  const isWell = generations.every(
    ({ state, source }) => state === "imported" && source !== "missing" && source !== "damaged",
  )
  return generations
    .map(({ generation, state, region, source }) => {
      const place = keyStates.length > 1 ? ` ${region}` : ""
      const missing = source === "missing" || source === "damaged" ? ` (source ${source})` : ""
      return isWell ? `${generation}${place}` : `generation ${generation}${place} ${state}${missing}`
    })
    .join(", ")
}
