import type { Fleet } from "../../app/fleet/fleet.js"
import type { Recovery } from "../../app/recover/recover.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import type { RecoveryTime } from "../../core/plan/recovery.js"
import { KeyferryError } from "../../core/base/error.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand, type Surroundings } from "../command.js"
import { KMS, METRICS_FILE, TOKEN } from "../options/options.js"
import { confirm } from "../text/confirm.js"
import { decisionsText, timeText, tokensText } from "../text/decision-text.js"
import type { Layout } from "../text/layout.js"
import type { ProgressLines } from "../text/progress-line.js"
import { wrapped } from "../text/width.js"
import { measured } from "./measured.js"

export const recover = defineCommand({
  name: "recover",
  describe: "bring back what KMS has lost: key material that was deleted or has expired, the most important key first",
  examples: [
    ["$0 recover --plan", "what is lost, in which order it comes back, and how long that takes; nothing is spent"],
    [
      "$0 recover --yes",
      "everything, also what was deleted, which may have been meant; stopped, it goes on when run again",
    ],
    ["$0 recover payments", "one key, every generation and Region"],
  ],
  names: { describe: "keys to bring back; all of the configuration where none is named" },
  options: {
    plan: { type: "boolean", default: false, describe: "show the order and the time it takes, and do nothing" },
    yes: { type: "boolean", default: false, describe: "also bring back what was deleted, for the whole run" },
    ...METRICS_FILE,
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const names = namesOf(args)
    if (!args.plan) return await recoverAll(names, args, surroundings)
    if (args.metricsFile === undefined) return await planRecovery(names, surroundings)
    throw new KeyferryError(
      "ERR_USAGE",
      "--plan and --metrics-file exclude each other: nothing is done that could be measured",
    )
  },
})

/** What is lost, and in which order and time it would come back. */
async function planRecovery(names: readonly string[], { world, terminal }: Surroundings) {
  const { exitOf, summarise } = await import("../../core/plan/row.js")
  const { worstExit } = await import("../../core/base/exit-code.js")
  const fleet = await world.fleet({ lock: false })
  const { keys, time, tokens, tokenExit, deleted } = await lostKeys(fleet, names, terminal)
  const rows = keys.map(({ row }) => row)
  return {
    result: { keys: rows, summary: { ...summarise(rows), ...time }, tokens },
    text: (layout: Layout) => {
      const notes = [...tokensText(tokens), ...(layout.quiet ? [] : timeLines(time)), ...deletedLines(deleted)]
      return [rowsText(rows, layout), ...notes.map((note) => wrapped(note, layout.width))]
        .filter((line) => line !== "")
        .join("\n")
    },
    exit: worstExit([exitOf(rows), tokenExit]),
  }
}

interface RecoverArgs {
  readonly yes: boolean
  readonly metricsFile?: string | undefined
}

async function recoverAll(names: readonly string[], args: RecoverArgs, surroundings: Surroundings) {
  const { recoverLost } = await import("../../app/recover/recover.js")
  const { exitOf, summarise } = await import("../../core/plan/row.js")
  const { world, progress, terminal } = surroundings
  const rows = await measured(args, surroundings, async () => {
    const fleet = await world.fleet({ lock: true })
    const recovery = await lostKeys(fleet, names, terminal)
    const { deleted } = recovery
    if (deleted.length > 0) {
      await confirm({ name: "recover", consequences: deletedLines(deleted), yes: args.yes }, { progress })
    }
    using line = terminal.progressLine("recovering")
    return await recoverLost(fleet, recovery, { names, deleted: deleted.length > 0, onRow: line.onRow })
  })
  return {
    result: { keys: rows, summary: summarise(rows) },
    text: (layout: Layout) => rowsText(rows, layout),
    exit: exitOf(rows),
  }
}

async function lostKeys(fleet: Fleet, names: readonly string[], terminal: ProgressLines): Promise<Recovery> {
  const { surveyLost } = await import("../../app/recover/recover.js")
  using line = terminal.progressLine("looking at")
  return await surveyLost(fleet, names, line)
}

/** Keys that lost nothing are counted alone. */
function rowsText(rows: readonly DecisionRow[], layout: Layout): string {
  const lost = rows.filter(({ outcome }) => outcome !== "nothing")
  const others = rows.length - lost.length
  if (lost.length > 0) {
    const counted = others === 0 || layout.quiet ? [] : [`${others} more lost nothing`]
    return [decisionsText(lost, "recover", layout), ...counted].filter((line) => line !== "").join("\n")
  }
  if (layout.quiet) return ""
  return rows.length === 0 ? "no keys to recover" : `nothing is lost, of ${rows.length} seen`
}

function timeLines({ imports, perSecond, seconds, finishes, ask }: RecoveryTime): readonly string[] {
  if (imports === 0) return []
  const count = imports === 1 ? "1 import" : `${imports} imports`
  return [
    `${count} at ${perSecond} a second, the quotas of KMS: ${timeText(seconds)}, until ${finishes} if begun now`,
    ...ask.map(
      ({ operation, account, region, perSecond: quota, wanted }) =>
        `for half the time ask AWS for ${wanted} ${operation} a second, instead of ${quota}, in ${region} of account ${account}`,
    ),
  ]
}

/** More names than these are counted. */
const SHOWN_NAMES = 10

function deletedLines(names: readonly string[]): readonly string[] {
  if (names.length === 0) return []
  const more = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : ""
  const listed = names.slice(0, SHOWN_NAMES).join(", ") + more
  return [`key material was deleted from KMS rather than expired, which may have been meant: ${listed}`]
}
