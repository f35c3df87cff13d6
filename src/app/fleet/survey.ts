import { KeyferryError } from "../../core/base/error.js"
import type { ExitName } from "../../core/base/exit-code.js"
import { plan } from "../../core/plan/plan.js"
import type { Action } from "../../core/plan/reason.js"
import { type Reported, rowOf } from "../../core/plan/row-result.js"
import type { Decision, PlanOptions, Snapshot } from "../../core/plan/snapshot.js"
import { estimate } from "../../core/plan/schedule.js"
import type { Fleet } from "./fleet.js"
import { inParallel } from "./in-parallel.js"
import { type Look, observer } from "./observe.js"
import type { Row } from "./rows.js"
import { sourceIndex } from "./source-index.js"
import type { SeenToken } from "./vault-status.js"

/** Rows that are only looked at: they wait for KMS, not for a token. */
const LOOK_WIDTH = 32

export interface LookOptions extends PlanOptions {
  readonly look: Look
  /** What counts as planned; anything else that is due is left, and said. */
  readonly actions: ReadonlySet<Action>
  readonly onRow?: (over: number, of: number) => void
}

/** One key as it was found and what follows, with the row that says so. */
export interface Looked extends Reported {
  readonly snapshot: Snapshot
  readonly decision: Decision
}

/** A token as far as it could be asked. */
export interface TokenSight {
  /** Of the manifest; null for the one that flags give. */
  readonly name: string | null
  readonly state: "looked at" | "not given" | "failed"
  readonly message: string | null
}

export interface Sight {
  readonly rows: readonly Looked[]
  readonly tokens: readonly TokenSight[]
  /** What was found in those that were looked at. */
  readonly seen: readonly SeenToken[]
  /** Of the token that could not be asked; OK where all that are given could. */
  readonly tokenExit: ExitName
}

/** Looks at every key and decides, and changes nothing. Works without a token: its side is not known then. */
export async function lookAt(fleet: Fleet, rows: readonly Row[], options: LookOptions): Promise<Sight> {
  const sources = sourceIndex(fleet, { withSealed: false })
  const tokens: TokenSight[] = []
  const seen: SeenToken[] = []
  let tokenExit: ExitName = "OK"
  for (const name of new Set(rows.map(({ binding }) => binding.token))) {
    try {
      const content = await sources.content(name)
      if (content !== null) seen.push({ name, content })
      tokens.push({ name, state: content === null ? "not given" : "looked at", message: null })
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      tokens.push({ name, state: "failed", message: error.message })
      tokenExit = error.exit
    }
  }
  const observing = observer(fleet, sources)
  let over = 0
  const looked = await inParallel(rows, LOOK_WIDTH, async (row) => {
    const snapshot = await observing.observe(row, options.look)
    const decision = plan(snapshot, options)
    over += 1
    options.onRow?.(over, rows.length)
    return { snapshot, decision, ...rowOf(snapshot, decision, { outcome: outcomeOf(decision, options) }) }
  })
  return { rows: looked, tokens, seen, tokenExit }
}

function outcomeOf({ action }: Decision, { actions }: LookOptions): "blocked" | "nothing" | "planned" {
  if (action === "blocked") return "blocked"
  return actions.has(action) ? "planned" : "nothing"
}

/** How long the planned work takes at the quotas: targets are worked on at the same time. */
export function secondsAtQuota(fleet: Pick<Fleet, "quotasOf">, rows: readonly Looked[]): number {
  const counts = new Map<string, Record<string, number>>()
  for (const { row } of rows) {
    if (row.outcome !== "planned") continue
    const sum = counts.get(row.target) ?? {}
    for (const [operation, count] of Object.entries(row.costs)) sum[operation] = (sum[operation] ?? 0) + count
    counts.set(row.target, sum)
  }
  return Math.ceil(Math.max(0, ...[...counts].map(([target, sum]) => estimate(sum, fleet.quotasOf(target)))))
}
