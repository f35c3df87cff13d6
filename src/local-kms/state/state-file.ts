import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs"
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

interface StoredSet extends Omit<KeySet, "keys"> {
  readonly keys: readonly StoredKey[]
}

interface StoredRegion {
  readonly name: string
  readonly aliases: readonly Alias[]
  readonly wrappingKeys: readonly WrappingKey[]
}

interface Stored {
  readonly format: string
  readonly account: string
  readonly secret: string
  readonly clock: ClockState
  readonly regions: readonly StoredRegion[]
  readonly sets: readonly StoredSet[]
}

const FORMAT = "keyferry local-kms 2"
const OLD_FORMAT = "keyferry local-kms 1"

/** The state was written before keys had Regions in common; its ciphertexts could not be read either. */
export class OldStateError extends Error {
  override readonly name = "OldStateError"
}

/** Writes everything, plaintext keys included, by a temporary name; mode 0600. */
export function writeState(file: string, state: State, clock: ClockState): void {
  const { account, secret } = state
  const regions = [...state.regions.values()].map(({ name, aliases, wrappingKeys }) => ({
    name,
    aliases: [...aliases.values()],
    wrappingKeys: [...wrappingKeys.values()],
  }))
  const stored: Stored = { format: FORMAT, account, secret, clock, regions, sets: setsOf(state).map(storeSet) }
  const temporary = `${file}.tmp`
  const descriptor = openSync(temporary, "w", 0o600)
  try {
    // a file left over from a crash keeps its mode when it is opened
    fchmodSync(descriptor, 0o600)
    writeFileSync(descriptor, JSON.stringify(stored))
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, file)
}

const setsOf = ({ regions }: State): readonly KeySet[] => [
  ...new Set([...regions.values()].flatMap(({ keys }) => [...keys.values()].map((key) => key.set))),
]

const storeSet = (set: KeySet): StoredSet => ({ ...set, keys: [...set.keys.values()].map(storeKey) })

const storeKey = (key: Key): StoredKey => ({
  region: key.region.name,
  createdAt: key.createdAt,
  description: key.description,
  policy: key.policy,
  tags: key.tags,
  enabled: key.enabled,
  deletion: key.deletion,
  creatingUntil: key.creatingUntil,
  updatingUntil: key.updatingUntil,
  holdings: [...key.holdings],
})

/**
 * Reads what `writeState` wrote; undefined if there is no such file. Throws an OldStateError for what an earlier
 * keyferry wrote, an Error for anything else.
 */
export function readState(file: string): { readonly state: State; readonly clock: ClockState } | undefined {
  if (!existsSync(file)) return undefined
  const stored = JSON.parse(readFileSync(file, "utf8")) as Partial<Stored>
  const { format, account, secret, clock, regions, sets } = stored
  if (format === OLD_FORMAT) {
    throw new OldStateError(`${file} was written by an earlier keyferry, which this one cannot read; take another file`)
  }
  if (format !== FORMAT || !account || !secret || !clock || !regions || !sets) {
    throw new Error(`the format is not '${FORMAT}'`)
  }
  const state = { account, secret, regions: new Map(regions.map((stored) => [stored.name, restore(stored, account)])) }
  for (const set of sets) restoreSet(set, state)
  for (const { aliases, keys } of state.regions.values()) {
    for (const { name, keyId } of aliases.values()) keys.get(keyId)?.aliases.add(name)
  }
  return { state, clock }
}

function restore({ name, aliases, wrappingKeys }: StoredRegion, account: string): Region {
  const region = emptyRegion(name, account)
  for (const alias of aliases) region.aliases.set(alias.name, alias)
  for (const pair of wrappingKeys) region.wrappingKeys.set(pair.id, pair)
  return region
}

function restoreSet(stored: StoredSet, { regions }: State): void {
  const set: KeySet = { ...stored, keys: new Map() }
  for (const { region: name, holdings, ...regional } of stored.keys) {
    const region = regions.get(name)
    if (region === undefined) throw new Error(`key ${set.id} is in a Region that the file does not have: ${name}`)
    addKey(set, region, { ...regional, holdings: new Map(holdings) })
  }
}
