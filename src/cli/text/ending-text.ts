import type { EndRow } from "../../app/ending/plan.js"
import type { Layout } from "./layout.js"
import { rowsText } from "./rows-text.js"

/** The KMS keys of `enable`, `disable`, `delete-material`, `schedule-deletion` and `retire` for people. */
export function endingText(rows: readonly EndRow[], layout: Layout): string {
  const words = {
    columns: [
      { head: "STATE", cell: ({ keyState }: EndRow) => keyState },
      { head: "DELETED AT", cell: ({ deletionDate }: EndRow) => deletionDate },
    ],
    none: "no KMS key to end",
  }
  return rowsText(rows, words, layout)
}
