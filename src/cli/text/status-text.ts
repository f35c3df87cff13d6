import { printable } from "../../core/base/printable.js"
import type { Status, StatusRow } from "../../app/fleet/status.js"
import { rfc3339 } from "../../core/base/expiry.js"
import type { TroubledJobs } from "../../core/records/dead-letter.js"
import type { StateBackup } from "../../core/records/state-backup.js"
import { NEXT, notesOf, remarkOf, STEPS, tokensText } from "./decision-text.js"
import type { Layout } from "./layout.js"
import type { Note } from "./notes.js"
import { keyPrefix } from "./row-words.js"
import { type Column, rowsText } from "./rows-text.js"
import { urgencyOf } from "../../core/plan/urgency.js"
import { wrapped } from "./width.js"

/** Every key, then what is to be known of tokens, custody keys and the vault, for people. */
export function statusText({ keys, tokens, custodyKeys, vault, operations }: Status, layout: Layout): string {
  const notes = [
    ...tokensText(tokens),
    ...custodyText({ custodyKeys, vault }, layout),
    ...keys.flatMap(usageNotes),
    ...operations.map(({ message }) => `not finished: ${message}`),
  ].map((line) => wrapped(printable(line), layout.wide ? undefined : layout.width))
  const text = rowsText(
    keys,
    {
      columns: keys.some(({ usage }) => usage !== undefined) ? [...COLUMNS, LAST_USED] : COLUMNS,
      withOutcome: false,
      none: "no keys are known here",
      remark: remarkOf,
      notes: (key) => [...deadNotes(key), ...notesOf(key).filter((note) => !isSaid(key, note))],
      urgency: (key) => urgencyOf(key, isDead(key)),
      steps: STEPS,
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

const LAST_USED: Column<StatusRow> = { head: "LAST USED", cell: lastUse }

/** The latest of all Regions. */
function lastUse({ usage = [] }: StatusRow): string | null {
  const [latest] = [...usage].sort((a, b) => (b.lastUsedAt ?? "").localeCompare(a.lastUsedAt ?? ""))
  if (latest === undefined) return null
  const { lastUsedAt, operation, trackedSince } = latest
  if (lastUsedAt !== null) return `${lastUsedAt.slice(0, 10)} ${operation ?? ""}`
  // of a Region that was not asked nothing is said
  if (trackedSince === null || usage.some(({ failure }) => failure !== null)) return "not known"
  return `not since ${trackedSince.slice(0, 10)}`
}

/** Why it is not known when a KMS key was last used. */
function usageNotes({ name, usage = [] }: StatusRow): readonly string[] {
  return usage.flatMap(({ failure, region }) =>
    failure === null
      ? []
      : [
          `${name}: when it was last used in ${region} is not known: ${failure.message} [${failure.code}]`,
          ...(failure.hint === null ? [] : [`${name}: hint: ${failure.hint}`]),
        ],
  )
}

/** How old the last archive of the state directory is; nothing where nothing is to be exported. */
export function backupText({ keys }: Status, { exportedAt, linesSince }: StateBackup): string {
  if (keys.length === 0) return ""
  if (exportedAt === null) return "\nbackup: the state was never exported: `keyferry state export FILE`"
  const since = linesSince === null || linesSince === 0 ? "" : `; lines of the custody log since then: ${linesSince}`
  return `\nbackup: the state was last exported on ${exportedAt}${since}`
}

/** What the agents of a database have given up for now, and what none of them takes. */
export function jobsText({ dead, untaken }: TroubledJobs): string {
  return [
    ...dead.map(
      ({ name, target, failedAt, message, code }) =>
        `\ndead letter: ${name} (${target}): ${message} [${code}], last at ${rfc3339(failedAt)}`,
    ),
    ...untaken.map(
      ({ token, count, since }) =>
        `\nnot taken by any agent: ${count} ${count === 1 ? "job" : "jobs"} of ${token === null ? "the token" : `token ${token}`}, due since ${rfc3339(since)}`,
    ),
  ].join("")
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
  const [state] = states
  if (state === undefined) return null
  return states.every((other) => other === state) ? state : states.join(", ")
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
