import type { Action } from "../../core/plan/reason.js"
import type { HeldBinding } from "../../core/ports/held-work.js"
import type { Fleet, FleetKey } from "./fleet.js"

/** Keys that are worked on one after the other. */
export interface Unit {
  /** Its place in the order of the keys. */
  readonly rank: number
  readonly keys: readonly FleetKey[]
}

/**
 * A name's keys are worked on one after the other: a replaced key lies in the entry of the one that took its place, and
 * targets share source keys, so that two at a time would each write what the other does not know. Importing again makes
 * nothing that targets share: then a name's targets need not wait for each other.
 */
function unitsOf(keys: readonly FleetKey[], actions: ReadonlySet<Action>): readonly Unit[] {
  const importsAlone = isImportsAlone(actions)
  const units = new Map<string, FleetKey[]>()
  for (const key of keys) {
    const { name, target } = key.binding
    const together = importsAlone ? JSON.stringify([name, target]) : name
    const unit = units.get(together)
    if (unit === undefined) units.set(together, [key])
    else unit.push(key)
  }
  return [...units.values()].map((unit, rank) => ({ rank, keys: unit }))
}

const isImportsAlone = (actions: ReadonlySet<Action>): boolean => [...actions].every((action) => action === "rewrap")

/** A name as a whole, whatever targets it has or is about to have: no target is called so. */
const ALL_TARGETS = "*"

/** What is held while a key is worked on, against workers of other processes: as the units are within this one. */
export function heldWith(
  { binding: { name, target } }: FleetKey,
  fleet: Pick<Fleet, "bindings" | "entries">,
  actions: ReadonlySet<Action>,
): readonly HeldBinding[] {
  if (isImportsAlone(actions)) return [{ name, target }]
  const places = [...fleet.bindings, ...fleet.entries].filter((place) => place.name === name)
  return bindingsOfName(name, [target, ...places.map((place) => place.target)])
}

/** What is held by who does more with a name than import again: a name's targets share source keys. */
export function bindingsOfName(name: string, targets: readonly string[]): readonly HeldBinding[] {
  return [...new Set([ALL_TARGETS, ...targets])].map((target) => ({ name, target }))
}

/** By the target that is first needed: quotas are an account's in a Region, and one must not keep the others waiting. */
export function queuesOf(keys: readonly FleetKey[], actions: ReadonlySet<Action>): readonly (readonly Unit[])[] {
  const queues = new Map<string, Unit[]>()
  for (const unit of unitsOf(keys, actions)) {
    const target = unit.keys[0]?.binding.target ?? ""
    const queue = queues.get(target)
    if (queue === undefined) queues.set(target, [unit])
    else queue.push(unit)
  }
  return [...queues.values()]
}

/** What all targets together have at most, in the lanes of so many that have as many as the fleet says. */
const WIDE_TARGETS = 4
const FEWEST_LANES = 4

/** Of each target. */
export function laneCount({ width }: Pick<Fleet, "width">, targets: number): number {
  return Math.min(width, Math.max(FEWEST_LANES, Math.floor((WIDE_TARGETS * width) / targets)))
}
