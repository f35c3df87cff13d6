import { KeyferryError } from "../../core/base/error.js"
import { exitOf, type KeyRow, summarise } from "../../core/plan/row.js"
import type { Surroundings } from "../command.js"
import type { Layout } from "../text/layout.js"
import { confirm } from "../text/confirm.js"
import { rowsText } from "../text/rows-text.js"

/** `rotate --abandon`: says what giving up means, asks where key material in KMS is deleted for it, and does it. */
export async function abandonRotations(
  names: readonly string[],
  { yes }: { readonly yes: boolean },
  { world, progress, terminal }: Surroundings,
) {
  const { abandonRotation, notAbandoned, planAbandonment } = await import("../../app/rotate/abandon.js")
  const { owner } = await world.settings()
  const deps = await world.withoutToken({ names })
  const target = await world.target()
  const rows: KeyRow[] = []
  using line = terminal.progressLine("giving up")
  for (const name of names) {
    try {
      const abandonment = await planAbandonment(deps, { owner, target, name })
      const { consequences } = abandonment
      if (abandonment.pending !== null) await confirm({ name, consequences, yes }, { progress })
      rows.push(await abandonRotation(deps, abandonment))
    } catch (error) {
      // what was not confirmed is a question to whoever asked, not the failure of one key
      if (names.length === 1 || !(error instanceof KeyferryError)) throw error
      rows.push(notAbandoned(name, target, error))
    }
    line.onRow(rows.length, names.length)
  }
  const text = (layout: Layout): string => rowsText(rows, { columns: [], none: "no keys" }, layout)
  return { result: { keys: rows, summary: summarise(rows) }, text, exit: exitOf(rows) }
}
