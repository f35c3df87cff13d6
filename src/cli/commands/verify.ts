import type { VerifyRow } from "../../app/verify/row.js"
import { exitOf, summarise } from "../../core/plan/row.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { KMS, TOKEN } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { rowsText } from "../text/rows-text.js"

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
  async run(args, { world, terminal }) {
    const names = namesOf(args)
    const { verifyKeys } = await import("../../app/verify/verify.js")
    const fleet = await world.fleet({ lock: args.full })
    using line = terminal.progressLine("verifying")
    const rows = await verifyKeys(fleet, names, { full: args.full, onRow: line.onRow })
    return {
      result: { keys: rows, summary: summarise(rows) },
      text: (layout) => textOf(rows, layout),
      exit: exitOf(rows),
    }
  },
})

function textOf(rows: readonly VerifyRow[], layout: Layout): string {
  const words = {
    columns: [
      { head: "REGION", cell: ({ region }: VerifyRow) => region },
      { head: "PROOF", cell: ({ generations }: VerifyRow) => generations.map(proofText).join(", ") || null },
    ],
    none: "no keys to verify",
  }
  return rowsText(rows, words, layout)
}

const proofText = ({ proof }: VerifyRow["generations"][number]): string => `${proof.kind} ${proof.result}`
