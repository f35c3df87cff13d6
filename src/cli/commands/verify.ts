import type { VerifyRow } from "../../app/verify/row.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { KMS, TOKEN } from "../options/options.js"
import { table } from "../text/table.js"

export const verify = defineCommand({
  name: "verify",
  describe: "prove again that KMS and the token hold the same key material: all keys, or those named",
  examples: [
    ["$0 verify", "every key, as its family allows; what is symmetric by the ID of its key material"],
    ["$0 verify payments --full", "imported once more, pinned: one GetParametersForImport for each generation"],
  ],
  names: { describe: "keys to verify; all where none is named" },
  options: {
    full: {
      type: "boolean",
      default: false,
      describe:
        "symmetric keys: the proof against the token by a second, pinned import with the expiry that is there; spends one GetParametersForImport for each generation and Region",
    },
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world }) {
    const names = namesOf(args)
    const { tasksOf } = await import("../../app/verify/tasks.js")
    const { verifyKeys } = await import("../../app/verify/verify.js")
    const fleet = await world.fleet({ lock: args.full })
    const tasks = tasksOf(fleet, names)
    const { rows, exit } = await verifyKeys(tasks, { full: args.full })
    return { result: { keys: rows, summary: summaryOf(rows) }, text: textOf(rows), exit }
  },
})

function summaryOf(rows: readonly VerifyRow[]): Readonly<Record<string, number>> {
  const count = (outcome: VerifyRow["outcome"]): number => rows.filter((row) => row.outcome === outcome).length
  return { done: count("done"), nothing: 0, planned: 0, blocked: count("blocked"), failed: count("failed") }
}

function textOf(rows: readonly VerifyRow[]): string {
  if (rows.length === 0) return "no keys to verify"
  return table(
    ["NAME", "TARGET", "REGION", "OUTCOME", "PROOF", "WHAT"],
    rows.map((row) => [
      row.role === "former" ? `${row.name} (replaced)` : row.name,
      row.target,
      row.region,
      row.outcome,
      row.generations.map(({ proof }) => `${proof.kind} ${proof.result}`).join(", ") || null,
      `${row.message} [${row.reason}]`,
    ]),
  )
}
