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
import { type Alias, emptyRegion, type Key, type Region, type State, type WrappingKey } from "./state.js"

interface StoredRegion {
  readonly name: string
  readonly keys: readonly Key[]
  readonly aliases: readonly Alias[]
  readonly wrappingKeys: readonly WrappingKey[]
}

interface Stored {
  readonly format: "keyferry local-kms 1"
  readonly account: string
  readonly secret: string
  readonly clock: ClockState
  readonly regions: readonly StoredRegion[]
}

const FORMAT: Stored["format"] = "keyferry local-kms 1"

/** Writes everything, plaintext keys included, by a temporary name; mode 0600. */
export function writeState(file: string, state: State, clock: ClockState): void {
  const regions = [...state.regions.values()].map(({ name, keys, aliases, wrappingKeys }) => ({
    name,
    keys: [...keys.values()],
    aliases: [...aliases.values()],
    wrappingKeys: [...wrappingKeys.values()],
  }))
  const stored: Stored = { format: FORMAT, account: state.account, secret: state.secret, clock, regions }
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

/** Reads what `writeState` wrote; undefined if there is no such file, an Error if it is something else. */
export function readState(file: string): { readonly state: State; readonly clock: ClockState } | undefined {
  if (!existsSync(file)) return undefined
  const stored = JSON.parse(readFileSync(file, "utf8")) as Partial<Stored>
  const { format, account, secret, clock, regions } = stored
  if (format !== FORMAT || !account || !secret || !clock || !regions) throw new Error(`${file} is no local KMS state`)
  const state = { account, secret, regions: new Map(regions.map((region) => [region.name, restore(region, account)])) }
  return { state, clock }
}

function restore({ name, keys, aliases, wrappingKeys }: StoredRegion, account: string): Region {
  const region = emptyRegion(name, account)
  for (const key of keys) region.keys.set(key.id, key)
  for (const alias of aliases) region.aliases.set(alias.name, alias)
  for (const pair of wrappingKeys) region.wrappingKeys.set(pair.id, pair)
  return region
}
