import type { ClockState } from "./clock.js"
import {
  addKey,
  type Alias,
  emptyRegion,
  type Holding,
  type Key,
  type KeySet,
  type Region,
  type RegionalKey,
  type State,
  type WrappingKey,
} from "./state.js"

interface StoredKey extends Omit<RegionalKey, "holdings"> {
  readonly region: string
  readonly holdings: readonly (readonly [string, Holding])[]
}

export interface StoredSet extends Omit<KeySet, "keys"> {
  readonly keys: readonly StoredKey[]
}

/** One line of a state file: what something is from then on. */
export type Change =
  | { readonly clock: ClockState }
  | { readonly set: StoredSet }
  /** Null where it is deleted. */
  | { readonly alias: { readonly region: string; readonly name: string; readonly alias: Alias | null } }
  | { readonly wrappingKey: { readonly region: string; readonly pair: WrappingKey } }

/** The first line names it. */
export const FORMAT = "keyferry local-kms 3"

/** Of keyferry 0.1.0: one object on one line. */
const FORMAT_OF_0_1_0 = "keyferry local-kms 2"

interface Whole {
  readonly format: string
  readonly account: string
  readonly secret: string
  readonly clock: ClockState
  readonly regions: readonly {
    readonly name: string
    readonly aliases: readonly Alias[]
    readonly wrappingKeys: readonly WrappingKey[]
  }[]
  readonly sets: readonly (Omit<StoredSet, "keys"> & { readonly keys: readonly Omit<StoredKey, "grants">[] })[]
}

function linesOf({ account, secret, clock, regions, sets }: Whole): string {
  const changes: readonly Change[] = [
    { clock },
    ...regions.flatMap(({ name: region, wrappingKeys }) =>
      wrappingKeys.map((pair) => ({ wrappingKey: { region, pair } })),
    ),
    ...sets.map((set) => ({ set: { ...set, keys: set.keys.map((key) => ({ ...key, grants: [] })) } })),
    ...regions.flatMap(({ name: region, aliases }) =>
      aliases.map((alias) => ({ alias: { region, name: alias.name, alias } })),
    ),
  ]
  return [{ format: FORMAT, account, secret }, ...changes].map((line) => `${JSON.stringify(line)}\n`).join("")
}

/** What a state file held. */
export interface Restored {
  readonly state: State
  readonly clock: ClockState
}

/** Changes that make up a whole state. */
export function changesOf({ regions }: State, clock: ClockState): readonly Change[] {
  const all = [...regions.values()]
  const sets = new Set(all.flatMap(({ keys }) => [...keys.values()].map((key) => key.set)))
  return [
    { clock },
    ...all.flatMap(({ name: region, wrappingKeys }) =>
      [...wrappingKeys.values()].map((pair) => ({ wrappingKey: { region, pair } })),
    ),
    ...[...sets].map((set) => ({ set: storedSet(set) })),
    ...all.flatMap(({ name: region, aliases }) =>
      [...aliases.values()].map((alias) => ({ alias: { region, name: alias.name, alias } })),
    ),
  ]
}

/** A set as it is written: plaintext keys included. */
export const storedSet = (set: KeySet): StoredSet => ({ ...set, keys: [...set.keys.values()].map(storedKey) })

const storedKey = (key: Key): StoredKey => ({
  region: key.region.name,
  createdAt: key.createdAt,
  description: key.description,
  policy: key.policy,
  tags: key.tags,
  grants: key.grants,
  enabled: key.enabled,
  deletion: key.deletion,
  creatingUntil: key.creatingUntil,
  updatingUntil: key.updatingUntil,
  lastUse: key.lastUse,
  holdings: [...key.holdings],
})

/**
 * Reads the lines of a state file. What follows the last end of a line is left out.
 *
 * @throws an Error for what is none
 */
export function readChanges(text: string): Restored {
  const [head = "", ...rest] = text.split("\n")
  const lines = rest.slice(0, -1)
  const header = JSON.parse(head) as Partial<Whole>
  if (header.format === FORMAT_OF_0_1_0) return readChanges(linesOf(header as Whole))
  const { format, account, secret } = header
  if (format !== FORMAT && format?.startsWith("keyferry local-kms ") === true) {
    throw new Error(`it was written by another version of keyferry, in format '${format}'; this one reads '${FORMAT}'`)
  }
  if (format !== FORMAT || account === undefined || secret === undefined || rest.length === 0) {
    throw new Error(`its format is not '${FORMAT}'`)
  }
  const state: State = { account, secret, regions: new Map() }
  const regionNamed = (name: string): Region => {
    const region = state.regions.get(name) ?? emptyRegion(name, account)
    state.regions.set(name, region)
    return region
  }
  let clock: ClockState = { offset: 0 }
  for (const line of lines) {
    const change = JSON.parse(line) as Change
    if ("clock" in change) clock = change.clock
    else if ("set" in change) {
      for (const before of state.regions.values()) forget(before, change.set.id)
      restoreSet(change.set, regionNamed)
    } else if ("wrappingKey" in change) {
      regionNamed(change.wrappingKey.region).wrappingKeys.set(change.wrappingKey.pair.id, change.wrappingKey.pair)
    } else restoreAlias(change.alias, regionNamed(change.alias.region))
  }
  for (const { aliases, keys } of state.regions.values()) {
    for (const { name, keyId } of aliases.values()) keys.get(keyId)?.aliases.add(name)
  }
  return { state, clock }
}

function restoreAlias({ name, alias }: { readonly name: string; readonly alias: Alias | null }, region: Region): void {
  if (alias === null) region.aliases.delete(name)
  else region.aliases.set(name, alias)
}

/** What an earlier line said of the same set. */
function forget({ keys, deletions }: Region, id: string): void {
  const key = keys.get(id)
  if (key === undefined) return
  keys.delete(id)
  deletions.delete(key)
}

function restoreSet(stored: StoredSet, regionNamed: (name: string) => Region): void {
  const set: KeySet = { ...stored, keys: new Map() }
  for (const { region: name, holdings, ...regional } of stored.keys) {
    addKey(set, regionNamed(name), { ...regional, holdings: new Map(holdings) })
  }
}
