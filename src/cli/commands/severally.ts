import type { Deps } from "../../app/deps.js"
import type { KeyResult } from "../../core/records/key-result.js"
import { exitOf, failedOutcome, type KeyRow, rowOutcome, type RowReason, summarise } from "../../core/plan/row.js"
import { type Layout, unlessQuiet } from "../text/layout.js"
import { keyText } from "../text/key-text.js"
import type { OnRow } from "../text/progress-line.js"
import { rowsText } from "../text/rows-text.js"

interface Several {
  readonly names: readonly string[]
  readonly target: string
  /** Of a row whose work was done. */
  readonly reason: RowReason
  readonly run: (name: string) => Promise<KeyResult>
  /** Called as each name is finished with. */
  readonly onRow: OnRow
}

/**
 * The result of one key as it is; of several a row each, where a failure does not stop the others and the worst decides
 * the exit status.
 */
export async function severally({ onRow, ...several }: Several) {
  const { names, run } = several
  const [name, secondName] = names
  if (name !== undefined && secondName === undefined) {
    const result = await run(name)
    return { result, text: unlessQuiet((layout) => keyText(result, layout)) }
  }
  const rows: KeyRow[] = []
  onRow(0, names.length)
  for (const name of names) {
    rows.push(await rowFor(name, several))
    onRow(rows.length, names.length)
  }
  const text = (layout: Layout): string => rowsText(rows, { columns: [], none: "no keys" }, layout)
  return { result: { keys: rows, summary: summarise(rows) }, text, exit: exitOf(rows) }
}

/** What one of many names is worked on with: its warnings have its name, and steps of many keys tell nobody anything. */
export function ofMany(deps: Deps, names: readonly string[], name: string): Deps {
  if (names.length < 2) return deps
  const { progress } = deps
  return { ...deps, progress: { step: () => undefined, warn: (text) => progress.warn(`${name}: ${text}`) } }
}

async function rowFor(name: string, { target, reason, run }: Omit<Several, "onRow">): Promise<KeyRow> {
  try {
    const { outcome, keyArn, generation } = await run(name)
    const ended = rowOutcome(outcome, outcome === "done" ? reason : "ALREADY", `generation ${generation}`)
    return { name, target, keyArn, replaced: false, ...ended }
  } catch (error) {
    return { name, target, keyArn: null, replaced: false, ...failedOutcome(error) }
  }
}
