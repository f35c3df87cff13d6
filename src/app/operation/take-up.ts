import { randomUUID } from "node:crypto"
import { KeyferryError } from "../../core/base/error.js"
import { importOf, type InventoryEntry, type MadeEntry } from "../../core/records/inventory.js"
import { type KeyResult, keyResult } from "../../core/records/key-result.js"
import { type AskedKey, type DamagedOperation, governs, type KeyOperation } from "../../core/records/operation.js"
import type { Deps } from "../deps.js"
import { findKey } from "../kms-key/entry.js"

export interface AskedOfNames<O extends KeyOperation> {
  readonly owner: string
  readonly target: string
  readonly names: readonly string[]
  readonly command: O["command"]
  readonly wishes: O["wishes"]
  /** What is asked of a key. @throws what can be refused before anything is begun */
  readonly keyOf: (entry: InventoryEntry) => O["keys"][number]
}

/** What stands on disk of each name that is to be worked on. */
export interface TakenUp<O extends KeyOperation> {
  readonly operations: ReadonlyMap<string, O>
  /** Why nothing was asked of a name; nothing of it is begun. */
  readonly refusals: ReadonlyMap<string, unknown>
}

type OperationDeps = Pick<Deps, "operations" | "inventory" | "kms" | "clock" | "progress">

/**
 * Writes down what a command is asked to do before it begins: one operation for all names that no earlier one governs.
 * A name of an operation that did not come to its end is taken up with that one, so that the same command again makes
 * nothing a second time; so is one that it was done with, until the whole of it has ended.
 *
 * @throws ERR_STATE_INVALID where an operation of the command cannot be read, so that it is not known what was begun
 */
export async function takeUp<O extends KeyOperation>(deps: OperationDeps, asked: AskedOfNames<O>): Promise<TakenUp<O>> {
  const { command, owner, target, names, wishes } = asked
  const { operations, damaged } = await deps.operations.list()
  refuseDamaged(damaged, command)
  const open = operations.filter(
    (operation): operation is O =>
      operation.command === command && operation.owner === owner && operation.target === target,
  )
  const takenUp = new Map<string, O>()
  const refusals = new Map<string, unknown>()
  const fresh: AskedKey[] = []
  for (const name of names) {
    try {
      const entry = await findKey(deps, { owner, name, target })
      const earlier = open.findLast((operation) => operation.keys.some((key) => governs(operation, key, entry)))
      if (earlier === undefined) fresh.push(asked.keyOf(entry))
      else takenUp.set(name, earlier)
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      refusals.set(name, error)
    }
  }
  for (const { askedAt } of new Set(takenUp.values())) {
    deps.progress.step(`what \`${command}\` was asked for on ${askedAt} has not come to its end; going on with it`)
  }
  if (fresh.length > 0) {
    const askedAt = deps.clock.now().toISOString()
    const operation = { id: randomUUID(), command, owner, target, askedAt, keys: fresh, wishes } as unknown as O
    await deps.operations.put(operation)
    for (const { name } of fresh) takenUp.set(name, operation)
  }
  return { operations: takenUp, refusals }
}

/** What was asked of one of the names, as it stands on disk. @throws why nothing was asked of it */
export function askedOf<O extends KeyOperation>(
  { operations, refusals }: TakenUp<O>,
  name: string,
): { readonly operation: O; readonly key: O["keys"][number] } {
  if (refusals.has(name)) throw refusals.get(name)
  const operation = operations.get(name)
  const key = operation?.keys.find((askedKey) => askedKey.name === name)
  if (operation === undefined || key === undefined) throw new KeyferryError("ERR_BUG", `nothing was asked of ${name}`)
  return { operation, key }
}

/** The result for a name of which an earlier run has done what was asked for: its newest import, and nothing made anew. */
export function doneBefore({ progress }: Pick<Deps, "progress">, operation: KeyOperation, made: MadeEntry): KeyResult {
  const imported = importOf(made, made.source.generation, made.region)
  if (imported === undefined) throw new KeyferryError("ERR_BUG", `no import of ${made.source.label} is recorded`)
  const { command, askedAt } = operation
  progress.step(`the \`${command}\` of ${made.name} that was asked for on ${askedAt} is done; nothing is made anew`)
  return keyResult(made, imported, "nothing", null)
}

/** @throws ERR_STATE_INVALID */
export function refuseDamaged(damaged: readonly DamagedOperation[], command: DamagedOperation["command"]): void {
  const unreadable = damaged.find((operation) => operation.command === command || operation.command === null)
  if (unreadable === undefined) return
  throw new KeyferryError(
    "ERR_STATE_INVALID",
    `${unreadable.path}: ${unreadable.reason}; it says what an earlier \`${command ?? ""}\` has not finished`,
    {
      key: unreadable.path,
      hint: "restore it from a backup; or see by `keyferry status` what is done and what is not, move it away, and run again",
    },
  )
}

/** What flags say now goes before what was asked for first. */
export function withWishes<Wishes extends object>(before: Wishes, now: Wishes): Wishes {
  return { ...before, ...Object.fromEntries(Object.entries(now).filter(([, wish]) => wish !== null)) }
}
