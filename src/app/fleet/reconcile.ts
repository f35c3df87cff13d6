import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import { type DecisionRow, decisionRow, undecidedRow } from "../../core/plan/decision-row.js"
import { plan } from "../../core/plan/plan.js"
import type { Action } from "../../core/plan/reason.js"
import { failedOutcome, heldOutcome, type Outcome } from "../../core/plan/row.js"
import { type Decision, isUnseen, type PlanOptions, type Snapshot } from "../../core/plan/snapshot.js"
import type { HeldWork } from "../../core/ports/held-work.js"
import type { Deps } from "../deps.js"
import { deletionsSeen, inventoryOf } from "./deleted.js"
import { EXECUTORS } from "./execute.js"
import type { Fleet, FleetKey } from "./fleet.js"
import { removeFinished } from "../operation/end.js"
import { Lanes } from "./lanes.js"
import { heldWith, laneCount, queuesOf, type Unit } from "./queues.js"
import { type ObserveDepth, observer, type Observer } from "./observe.js"
import { type SourceIndex, sourceIndex } from "./source-index.js"

export interface ReconcileOptions extends PlanOptions {
  /** What may be done; anything else that is due is left, and said. */
  readonly actions: ReadonlySet<Action>
  readonly depth: ObserveDepth
  /** Goes on with a key until there is nothing left to do of it. */
  readonly untilDone: boolean
  /** What was found in the tokens before, where this is one call of many; searched anew without. */
  readonly sources?: SourceIndex
  /** Whether entries are read anew: the fleet was opened a while ago. */
  readonly reread?: boolean
  /** Whether no other key is to be begun; what is left has no row. */
  readonly isStopping?: () => boolean
  /** Called as each key is finished with, with how many are; with 0 before the first. */
  readonly onRow?: (finished: number, total: number) => void
}

/** Steps of one key, one after the other, before it counts as not to be finished in this run. */
const MOST_STEPS = 12

/** After these nothing else would go better: a PIN is presented once (invariant I6), and state has to be written. */
export const STOPPING: ReadonlySet<ErrorCode> = new Set([
  "ERR_TOKEN_PIN_INCORRECT",
  "ERR_TOKEN_PIN_REFUSED_BEFORE",
  "ERR_TOKEN_PIN_FINAL_TRY",
  "ERR_TOKEN_PIN_LOCKED",
  "ERR_TOKEN_PIN_UNUSABLE",
  "ERR_TOKEN_LOGIN_FAILED",
  "ERR_PIN_SOURCE",
  "ERR_STATE_WRITE",
  "ERR_STATE_LOCKED",
  "ERR_DATABASE_UNREACHABLE",
  "ERR_DATABASE_REFUSED",
])

/**
 * Observes each key, decides, and does what is due, so many keys of each target at a time. A key that fails does not stop the others;
 * a token that refuses its PIN stops all that would log in to it, and a state directory that cannot be written stops
 * everything. Every key has its row in the result.
 */
export async function reconcile(
  fleet: Fleet,
  keys: readonly FleetKey[],
  options: ReconcileOptions,
): Promise<readonly DecisionRow[]> {
  const run: Run = {
    fleet,
    options,
    ...lookingAt(fleet, options.sources),
    isRead: options.reread !== true,
    isHeld: false,
    total: keys.length,
    rows: new Map(),
    stopped: new Map(),
  }
  options.onRow?.(0, keys.length)
  const queues = queuesOf(keys, options.actions)
  const widths = queues.map((queue) => Math.min(queue.length, laneCount(fleet, queues.length)))
  const width = widths.reduce((sum, count) => sum + count, 0)
  const lanes = fleet.lock === null ? null : new Lanes(width, fleet.lock, (failure) => lookAnew(run, failure))
  await Promise.all(
    queues.flatMap((queue, index) => {
      // the lanes of a target take from one iterator: each key is worked on once
      const remaining = queue.values()
      return Array.from({ length: widths[index] ?? 0 }, () => workThrough(run, remaining, lanes))
    }),
  )
  // who does not have the state any more, or cannot write it, leaves it alone
  if (!run.stopped.has(EVERYTHING)) await endOperations(run)
  return keys.flatMap((key) => run.rows.get(key) ?? [])
}

interface Run {
  readonly fleet: Fleet
  readonly options: ReconcileOptions
  sources: SourceIndex
  observer: Observer
  /** Whether the entries that the fleet was opened with are those of the inventory still. */
  isRead: boolean
  /** Whether the key that is worked on is held, so that nothing of what was listed before is taken for true. */
  readonly isHeld: boolean
  readonly total: number
  /** Of the keys that are finished with. */
  readonly rows: Map<FleetKey, DecisionRow>
  /** Why nothing more is begun, by the manifest's name of the token; `everything` for the state directory. */
  readonly stopped: Map<string, KeyferryError>
}

function lookingAt(
  fleet: Fleet,
  sources = sourceIndex(fleet, { withSealed: true }),
): Pick<Run, "sources" | "observer"> {
  return { sources, observer: observer(fleet, sources) }
}

/** Another process had the state directory: what was read of it, and of the token, may be otherwise now. */
function lookAnew(run: Run, failure: KeyferryError | null): void {
  Object.assign(run, lookingAt(run.fleet), { isRead: false })
  if (failure !== null) run.stopped.set(EVERYTHING, failure)
}

const EVERYTHING = "everything"
const stopKey = ({ binding }: FleetKey): string => `token ${binding.token ?? ""}`

/** Forgets what was asked for and is done by now, and names what is not known. */
async function endOperations({ fleet, options }: Run): Promise<void> {
  const { operations, damaged } = await fleet.operations.list()
  for (const { path, reason } of damaged)
    fleet.progress.warn(`${path}: ${reason}: what it asks for is not finished here`)
  if (options.actions.has("finish-rotation")) await removeFinished(fleet, operations)
}

/** Works on one unit after the other, for as long as there are any. */
async function workThrough(run: Run, remaining: Iterable<Unit>, lanes: Lanes | null): Promise<void> {
  for (const { rank, keys } of remaining) {
    await lanes?.betweenKeys()
    if (run.options.isStopping?.() === true) break
    // what was begun first is finished first
    await run.fleet.inTurn(rank, async () => {
      for (const key of keys) {
        if (run.options.isStopping?.() === true) return
        const current = run.isRead && key === keys[0] ? key : await reread(run, key)
        const { heldWork } = run.fleet
        run.rows.set(key, await (heldWork === null ? reconcileKey(run, current) : whileHeld(run, current, heldWork)))
        run.options.onRow?.(run.rows.size, run.total)
      }
    })
  }
  await lanes?.leave()
}

/**
 * Where other workers may have the key at this moment, it is held while it is worked on, and looked at once more then:
 * nothing that was decided before is done. Most keys have nothing to be done, and are only looked at.
 */
async function whileHeld(run: Run, key: FleetKey, heldWork: HeldWork): Promise<DecisionRow> {
  const { fleet, options } = run
  let latest: Awaited<ReturnType<typeof decide>> | undefined
  try {
    latest = await decide(run, key, { actions: options.actions, again: false })
    const { snapshot, decision } = latest
    const isWork = EXECUTORS[decision.action] !== null && options.actions.has(decision.action)
    if (!isWork && deletionsSeen(snapshot) === null) {
      return decisionRow(snapshot, decision, outcomeOf(decision, [], options))
    }
    refuseStopped(run, key)
    const held = { ...run, isHeld: true, observer: observer(fleet, run.sources) }
    const work = async (): Promise<DecisionRow> => await reconcileKey(held, await reread(run, key))
    return await heldWork.during(heldWith(key, fleet, options.actions), work)
  } catch (error) {
    return failedRow(run, key, { latest, did: [], error })
  }
}

async function reconcileKey(run: Run, key: FleetKey): Promise<DecisionRow> {
  const { options } = run
  const did: Action[] = []
  let current = key
  let latest: { readonly snapshot: Snapshot; readonly decision: Decision } | undefined
  let work: Decision | undefined
  let { actions } = options
  try {
    for (;;) {
      const before = latest
      latest = await decide(run, current, { actions, again: did.length > 0 })
      const withDeletions = deletionsSeen(latest.snapshot)
      if (withDeletions !== null) {
        // it must not pass for expired later
        await inventoryOf(run.fleet.inventory, current, withDeletions).put(withDeletions)
        latest = { ...latest, snapshot: { ...latest.snapshot, entry: withDeletions } }
      }
      const { snapshot, decision } = latest
      const isLeft = options.recover != null && decision.action === "blocked"
      if (before !== undefined && !options.untilDone && !actions.has(decision.action) && !isLeft) {
        return decisionRow(before.snapshot, before.decision, "done", did)
      }
      const messageBefore = before?.decision.message
      const execute = EXECUTORS[decision.action]
      // KMS may not have caught up with what was done: the next run sees
      const isStuck = did.length >= MOST_STEPS || decision.message === messageBefore
      if (execute === null || !actions.has(decision.action) || isStuck) {
        return doneRow(decisionRow(snapshot, decision, outcomeOf(decision, did, options), did), work)
      }
      refuseStopped(run, key)
      // the token is opened by whoever needs it first; what it answers then holds for all
      const content = await run.sources.content(key.binding.token)
      const deps = await depsOf(run, current)
      work ??= decision
      await execute({ deps, snapshot, decision, options, sources: content?.keys ?? new Map<never, never>() })
      did.push(decision.action)
      current = await reread(run, key)
      if (options.untilDone || (options.recover != null && isSeenInPart(snapshot))) continue
      if (!isUnfinished(current, snapshot)) return decisionRow(snapshot, decision, "done", did)
      actions = new Set([...options.actions].filter((action) => FINISHING.has(action)))
    }
  } catch (error) {
    return failedRow(run, key, { latest, did, error })
  }
}

interface Failure {
  readonly latest: { readonly snapshot: Snapshot; readonly decision: Decision } | undefined
  readonly did: readonly Action[]
  readonly error: unknown
}

/** The key as far as it was known when it failed, or when another worker had it. */
function failedRow(run: Run, key: FleetKey, { latest, did, error }: Failure): DecisionRow {
  const outcome = heldOutcome(error) ?? failedOutcome(error)
  if (error instanceof KeyferryError) stop(run, key, error)
  const row = latest === undefined ? undecidedRow(key) : decisionRow(latest.snapshot, latest.decision, "failed", did)
  return { ...row, ...outcome }
}

/** What was done has the reason that it was done for; what comes next is another fact of the row. */
function doneRow(row: DecisionRow, work: Decision | undefined): DecisionRow {
  if (row.outcome !== "done" || work === undefined) return row
  const { reason, message, hint } = work
  return { ...row, reason, message, hint }
}

/** What goes on with a thing that was begun, or asked for once. */
const FINISHING: ReadonlySet<Action> = new Set(["finish-rotation", "finish-replacement"])

/** Whether a rotation or a replacement may be left to go on with. */
function isUnfinished({ entry }: FleetKey, { unfinished }: Snapshot): boolean {
  if (entry === null) return false
  return entry.rotating || entry.replacement !== null || unfinished.rotation !== null || unfinished.replacement !== null
}

/** Whether something of the key cannot be brought back, or is not known to be lost. */
function isSeenInPart({ sources, replicas }: Snapshot): boolean {
  return sources.some(({ state }) => state === "missing" || state === "damaged") || replicas.some(isUnseen)
}

/** The decision; where something is to be done of it, after all that stands against it was asked for too. */
async function decide(
  { observer: { observe, withClaim }, options, sources, isHeld }: Run,
  key: FleetKey,
  { actions, again }: { readonly actions: ReadonlySet<Action>; readonly again: boolean },
) {
  const depth = { ...options.depth, fresh: again || isHeld }
  // what was forced is done once
  const planOptions = again && !options.untilDone ? { ...options, force: null } : options
  let snapshot = await observe(key, depth)
  let decision = plan(snapshot, planOptions)
  if (actions.has(decision.action) && !depth.tags) {
    snapshot = await withClaim(snapshot)
    decision = plan(snapshot, planOptions)
  }
  const needsSource = actions.has(decision.action) && snapshot.sources.some(({ state }) => state === "unknown")
  if (needsSource) {
    await sources.content(key.binding.token)
    snapshot = { ...snapshot, sources: await sources.views(key.binding, key.entry) }
    decision = plan(snapshot, planOptions)
  }
  return { snapshot, decision }
}

function outcomeOf({ action }: Decision, did: readonly Action[], { actions }: ReconcileOptions): Outcome {
  if (action === "blocked") return "blocked"
  if (did.length > 0) return "done"
  return action === "none" || !actions.has(action) ? "nothing" : "planned"
}

function stop({ stopped }: Run, fleetKey: FleetKey, error: KeyferryError): void {
  if (!STOPPING.has(error.code)) return
  const place = /^ERR_(STATE|DATABASE)_/.test(error.code) ? EVERYTHING : stopKey(fleetKey)
  if (!stopped.has(place)) stopped.set(place, error)
}

function refuseStopped({ stopped }: Run, fleetKey: FleetKey): void {
  const cause = stopped.get(EVERYTHING) ?? stopped.get(stopKey(fleetKey))
  if (cause === undefined) return
  const { code, message, hint, causes } = cause
  throw new KeyferryError(code, `not begun, since for another key: ${message}`, { hint, causes, cause })
}

async function reread({ fleet }: Run, key: FleetKey): Promise<FleetKey> {
  const { name, target } = key.binding
  if (key.damage !== null) return key
  const entry = await fleet.inventory.get(name, target)
  if (key.role === "current") return { ...key, entry: entry ?? null }
  return { ...key, entry: entry?.former.find(({ requestId }) => requestId === key.entry?.requestId) ?? null }
}

/**
 * What the executor works with: a replaced key's entry stays inside its parent; warnings carry the key's name, and the
 * steps of many keys at once, which tell nobody anything, are left out.
 */
async function depsOf({ fleet, total }: Run, { binding, role, entry }: FleetKey): Promise<Deps> {
  const deps = await fleet.depsOf(binding)
  const { progress } = deps
  return {
    ...deps,
    inventory: entry === null ? deps.inventory : inventoryOf(deps.inventory, { binding, role }, entry),
    progress: {
      step: (text) => (total > 1 ? undefined : progress.step(text)),
      warn: (text) => progress.warn(`${binding.name} (${binding.target}): ${text}`),
    },
  }
}
