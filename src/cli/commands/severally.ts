import type { KeyResult } from "../../core/records/key-result.js"
import { exitOf, failedOutcome, type KeyRow, rowOutcome, type RowReason, summarise } from "../../core/plan/row.js"
import type { Output } from "../command.js"
import { type Layout, unlessQuiet } from "../text/layout.js"
import { keyText } from "../text/key-text.js"
import { rowsText } from "../text/rows-text.js"

interface Several {
  readonly names: readonly string[]
  readonly target: string
  /** Of a row whose work was done. */
  readonly reason: RowReason
  readonly run: (name: string) => Promise<KeyResult>
}

/**
 * The result of one key as it is; of several a row each, where a failure does not stop the others and the worst decides
 * the exit status.
 */
export async function severally({ names, target, reason, run }: Several): Promise<Output> {
  const [name, secondName] = names
  if (name !== undefined && secondName === undefined) {
    const result = await run(name)
    return { result, text: unlessQuiet((layout) => keyText(result, layout)) }
  }
  const rows: KeyRow[] = []
  for (const name of names) rows.push(await rowFor(name, { names, target, reason, run }))
  const text = (layout: Layout): string => rowsText(rows, { columns: [], none: "no keys" }, layout)
  return { result: { keys: rows, summary: summarise(rows) }, text, exit: exitOf(rows) }
}

async function rowFor(name: string, { target, reason, run }: Several): Promise<KeyRow> {
  try {
    const { outcome, keyArn, generation } = await run(name)
    const ended = rowOutcome(outcome, outcome === "done" ? reason : "ALREADY", `generation ${generation}`)
    return { name, target, keyArn, replaced: false, ...ended }
  } catch (error) {
    return { name, target, keyArn: null, replaced: false, ...failedOutcome(error) }
  }
}
