import type { Recovery } from "../../app/recover/recover.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import type { RecoveryTime } from "../../core/plan/recovery.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { KMS, TOKEN } from "../options/options.js"
import { confirm } from "../text/confirm.js"
import { decisionsText, timeText, tokensText } from "../text/decision-text.js"
import type { Layout } from "../text/layout.js"
import { wrapped } from "../text/width.js"

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
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world, progress, terminal }) {
    const names = namesOf(args)
    const { recoverLost, surveyLost } = await import("../../app/recover/recover.js")
    const { exitOf, summarise } = await import("../../core/plan/row.js")
    const { worstExit } = await import("../../core/base/exit-code.js")
    const fleet = await world.fleet({ lock: !args.plan })
    let recovery: Recovery
    {
      using line = terminal.progressLine("looking at")
      recovery = await surveyLost(fleet, names, line)
    }
    const { keys, time, tokens, tokenExit, deleted } = recovery
    if (args.plan) {
      const rows = keys.map(({ row }) => row)
      return {
        result: { keys: rows, summary: { ...summarise(rows), ...time }, tokens },
        text: (layout) => {
          const notes = [...tokensText(tokens), ...(layout.quiet ? [] : timeLines(time)), ...deletedLines(deleted)]
          return [rowsText(rows, layout), ...notes.map((note) => wrapped(note, layout.width))]
            .filter((line) => line !== "")
            .join("\n")
        },
        exit: worstExit([exitOf(rows), tokenExit]),
      }
    }
    if (deleted.length > 0) {
      await confirm({ name: "recover", consequences: deletedLines(deleted), yes: args.yes }, { progress })
    }
    using line = terminal.progressLine("recovering")
    const rows = await recoverLost(fleet, recovery, { names, deleted: deleted.length > 0, onRow: line.onRow })
    return {
      result: { keys: rows, summary: summarise(rows) },
      text: (layout) => rowsText(rows, layout),
      exit: exitOf(rows),
    }
  },
})

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
