import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import type { Inventory } from "../../core/ports/inventory.js"
import { plan } from "../../core/plan/plan.js"
import type { Action } from "../../core/plan/reason.js"
import { failedRow, type Reported, rowOf, type RowOutcome } from "../../core/plan/row-result.js"
import type { Decision, PlanOptions, Snapshot } from "../../core/plan/snapshot.js"
import type { Deps } from "../deps.js"
import { EXECUTORS } from "./execute.js"
import type { Fleet } from "./fleet.js"
import { inParallel } from "./in-parallel.js"
import { formerInventory } from "../replace/nested-inventory.js"
import { type Look, observer, type Observer } from "./observe.js"
import type { Row } from "./rows.js"
import { type SourceIndex, sourceIndex } from "./source-index.js"

export interface ReconcileOptions extends PlanOptions {
  /** What may be done; anything else that is due is left, and said. */
  readonly actions: ReadonlySet<Action>
  readonly look: Look
  /** Goes on with a key until there is nothing left to do of it. */
  readonly untilDone: boolean
  /** Called as each row is over, with how many are. */
  readonly onRow?: (over: number, of: number) => void
}

/** Steps of one key, one after the other, before it counts as not to be finished in this run. */
const MOST_STEPS = 12

/** After these nothing else would go better: a PIN is presented once (invariant I6), and state has to be written. */
const STOPPING: ReadonlySet<ErrorCode> = new Set([
  "ERR_TOKEN_PIN_INCORRECT",
  "ERR_TOKEN_PIN_REFUSED_BEFORE",
  "ERR_TOKEN_PIN_FINAL_TRY",
  "ERR_TOKEN_PIN_LOCKED",
  "ERR_TOKEN_PIN_UNUSABLE",
  "ERR_PIN_SOURCE",
  "ERR_STATE_WRITE",
  "ERR_STATE_LOCKED",
])

/**
 * Looks at each key, decides, and does what is due, so many keys at a time. A key that fails does not stop the others;
 * a token that refuses its PIN stops all that would log in to it, and a state directory that cannot be written stops
 * everything. Every row is in the result.
 */
export async function reconcile(
  fleet: Fleet,
  rows: readonly Row[],
  options: ReconcileOptions,
): Promise<readonly Reported[]> {
  const sources = sourceIndex(fleet, { withSealed: true })
  const quiet = rows.length > 1
  const run: Run = { fleet, options, sources, observer: observer(fleet, sources), stopped: new Map(), quiet }
  let over = 0
  const results = new Map<Row, Reported>()
  await inParallel(byName(rows), fleet.width, async (group) => {
    for (const row of group) {
      results.set(row, await reconcileRow(run, row === group[0] ? row : await reread(run, row)))
      over += 1
      options.onRow?.(over, rows.length)
    }
  })
  return rows.flatMap((row) => results.get(row) ?? [])
}

/**
 * A name's keys are worked on one after the other: a replaced key lies in the entry of the one that took its place, and
 * targets share source keys, so that two at a time would each write what the other does not know.
 */
function byName(rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(row.binding.name)
    if (group === undefined) groups.set(row.binding.name, [row])
    else group.push(row)
  }
  return [...groups.values()]
}

interface Run {
  readonly fleet: Fleet
  readonly options: ReconcileOptions
  readonly sources: SourceIndex
  readonly observer: Observer
  /** Why nothing more is begun, by the manifest's name of the token; `everything` for the state directory. */
  readonly stopped: Map<string, KeyferryError>
  /** Steps of many keys at once tell nobody anything; warnings do. */
  readonly quiet: boolean
}

const EVERYTHING = "everything"
const stopKey = ({ binding }: Row): string => `token ${binding.token ?? ""}`

async function reconcileRow(run: Run, row: Row): Promise<Reported> {
  const { options } = run
  const did: Action[] = []
  let current = row
  let last: { readonly snapshot: Snapshot; readonly decision: Decision } | undefined
  try {
    for (;;) {
      const said = last?.decision.message
      last = await decide(run, current, { ...options.look, fresh: did.length > 0 })
      const { snapshot, decision } = last
      const execute = EXECUTORS[decision.action]
      // KMS may not have caught up with what was done: the next run sees
      const again = did.length >= MOST_STEPS || decision.message === said
      if (execute === null || !options.actions.has(decision.action) || again) {
        return rowOf(snapshot, decision, { outcome: outcomeOf(decision, did, options), did })
      }
      refuseStopped(run, row)
      // the token is opened by whoever needs it first; what it answers then holds for all
      const content = await run.sources.content(row.binding.token)
      const deps = await depsOf(run, current)
      const seen = content?.keys ?? new Map<never, never>()
      await execute({ deps, snapshot, decision, options, sources: seen })
      did.push(decision.action)
      if (!options.untilDone) return rowOf(snapshot, decision, { outcome: "done", did })
      current = await reread(run, row)
    }
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    stop(run, row, error)
    return failedRow(before(row, last, did), error)
  }
}

/** The decision; where something is to be done of it, after all that stands against it was asked for too. */
async function decide({ observer: observes, options, sources }: Run, row: Row, look: Look) {
  let snapshot = await observes.observe(row, look)
  let decision = plan(snapshot, options)
  if (options.actions.has(decision.action) && !look.tags) {
    snapshot = await observes.withClaim(snapshot)
    decision = plan(snapshot, options)
  }
  const needsSource = options.actions.has(decision.action) && snapshot.sources.some(({ state }) => state === "unknown")
  if (needsSource) {
    await sources.content(row.binding.token)
    snapshot = { ...snapshot, sources: await sources.views(row.binding, row.entry) }
    decision = plan(snapshot, options)
  }
  return { snapshot, decision }
}

function outcomeOf({ action }: Decision, did: readonly Action[], { actions }: ReconcileOptions): RowOutcome {
  if (action === "blocked") return "blocked"
  if (did.length > 0) return "done"
  return action === "none" || !actions.has(action) ? "nothing" : "planned"
}

function stop({ stopped }: Run, row: Row, error: KeyferryError): void {
  if (!STOPPING.has(error.code)) return
  const key = error.code.startsWith("ERR_STATE_") ? EVERYTHING : stopKey(row)
  if (!stopped.has(key)) stopped.set(key, error)
}

function refuseStopped({ stopped }: Run, row: Row): void {
  const why = stopped.get(EVERYTHING) ?? stopped.get(stopKey(row))
  if (why === undefined) return
  const { code, message, hint, causes } = why
  throw new KeyferryError(code, `not begun, since for another key: ${message}`, { hint, causes, cause: why })
}

/** The row as far as it was known when it failed. */
function before(row: Row, last: { snapshot: Snapshot; decision: Decision } | undefined, did: readonly Action[]) {
  const outcome = { outcome: "failed", did } as const
  if (last !== undefined) return rowOf(last.snapshot, last.decision, outcome)
  const nothing = { action: "blocked", reason: "KMS_FAILED", message: "", hint: null, next: null } as const
  const rest = { imports: [], warnings: [], drift: [], forecast: null, costs: {} } as const
  const view = { seen: "nothing", region: "" } as const
  return rowOf({ ...row, key: view }, { ...nothing, ...rest }, outcome)
}

async function reread({ fleet }: Run, row: Row): Promise<Row> {
  const { name, target } = row.binding
  const entry = await fleet.inventory.get(name, target)
  if (row.role === "current") return { ...row, entry: entry ?? null }
  return { ...row, entry: entry?.former.find(({ requestId }) => requestId === row.entry?.requestId) ?? null }
}

/** What the executor works with: its words carry the key's name, and a replaced key's entry stays inside its parent. */
async function depsOf({ fleet, quiet }: Run, { binding, role, entry }: Row): Promise<Deps> {
  const deps = await fleet.depsOf(binding)
  const inventory: Inventory =
    role === "former" && entry !== null ? formerInventory(deps.inventory, binding, entry.requestId) : deps.inventory
  const { progress } = deps
  return {
    ...deps,
    inventory,
    progress: {
      step: (text) => (quiet ? undefined : progress.step(text)),
      warn: (text) => progress.warn(`${binding.name} (${binding.target}): ${text}`),
    },
  }
}
