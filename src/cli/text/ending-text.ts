import type { EndRow } from "../../app/ending/plan.js"
import { rowsText } from "./rows-text.js"

/** The KMS keys of `enable`, `disable`, `delete-material`, `schedule-deletion` and `retire` for people. */
export function endingText(rows: readonly EndRow[]): string {
  return rowsText(rows, {
    columns: [
      { head: "STATE", cell: ({ keyState }) => keyState },
      { head: "DELETED AT", cell: ({ deletionDate }) => deletionDate },
    ],
    none: "no KMS key to end",
  })
}
