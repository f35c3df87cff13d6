import type { KeyUsage, WrappingKeySpec } from "../../core/key/key-spec.js"
import type { KeySpec } from "../protocol/key-spec.js"
import { SortedMap } from "./sorted-map.js"

/** One key material of a KMS key, as all its Regions know it. Times are milliseconds since 1970 by the service's clock. */
export interface Material {
  readonly id: string
  /** Pending material is not associated with the key before it is rotated in. */
  state: "CURRENT" | "NON_CURRENT" | "PENDING"
  description?: string | undefined
  rotatedAt?: number | undefined
}

/** What one Region holds of a material. */
export interface Holding {
  /** Base64 of the plaintext: raw bytes, or PKCS #8 in DER. Undefined when expired. */
  secret?: string | undefined
  /** Undefined when it does not expire. */
  readonly validTo?: number | undefined
  /** Expired material is still listed as IMPORTED with its past date, as the real service was seen to do. */
  expired?: boolean | undefined
}

export interface Tag {
  readonly TagKey: string
  readonly TagValue: string
}

/** A grant as CreateGrant was asked for it. */
export interface Grant {
  readonly id: string
  /** Names it in RetireGrant until grant and key are found by their IDs. */
  readonly token: string
  readonly createdAt: number
  readonly name: string | undefined
  readonly grantee: string
  readonly retiring: string | undefined
  readonly operations: readonly string[]
  readonly constraints: object | undefined
}

export interface LastUse {
  readonly operation: string
  readonly at: number
  readonly requestId: string
}

/** What the related keys of a multi-Region key share; a single-Region key is alone in its set. */
export interface KeySet {
  readonly id: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly multiRegion: boolean
  /** Name of the Region of the primary key. */
  primaryRegion: string
  /** Oldest first. For all but symmetric keys at most one. */
  materials: Material[]
  /** An on-demand rotation under way. */
  rotation?: { readonly startedAt: number; readonly endsAt: number } | undefined
  rotations: number
  /** The related keys by the names of their Regions. */
  readonly keys: Map<string, Key>
}

/** The part of a key that belongs to one Region alone. */
export interface RegionalKey {
  readonly createdAt: number
  description: string
  policy: string
  tags: Tag[]
  grants: readonly Grant[]
  /** What EnableKey and DisableKey set; the key state follows from this, the materials and the dates below. */
  enabled: boolean
  /** `at` is not known while replicas of the key exist. */
  deletion?: { readonly at?: number | undefined; readonly windowDays: number } | undefined
  /** When a new replica is done. */
  creatingUntil?: number | undefined
  /** When a change of the primary Region is done. */
  updatingUntil?: number | undefined
  /** The last cryptographic operation with it. */
  lastUse?: LastUse | undefined
  /** By key material ID. */
  readonly holdings: Map<string, Holding>
}

/** A KMS key in one Region. */
export interface Key extends RegionalKey {
  readonly id: string
  readonly arn: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly region: Region
  readonly set: KeySet
  /** Names of the aliases that refer to it. */
  readonly aliases: Set<string>
}

export interface Alias {
  readonly name: string
  readonly createdAt: number
  updatedAt: number
  keyId: string
}

/** An RSA pair that is lent to importers; the private half never leaves the service. */
export interface WrappingKey {
  readonly id: string
  readonly spec: WrappingKeySpec
  /** PKCS #8 and SPKI, PEM. */
  readonly privateKey: string
  readonly publicKey: string
  /** When the last import token that names it dies. */
  neededUntil: number
}

export interface Region {
  readonly name: string
  readonly account: string
  readonly keys: SortedMap<Key>
  readonly aliases: SortedMap<Alias>
  readonly wrappingKeys: Map<string, WrappingKey>
  /** The keys that are scheduled for deletion. */
  readonly deletions: Set<Key>
}

/** Everything that the service remembers, apart from its clock. */
export interface State {
  readonly account: string
  /** Hex; seals the import tokens. */
  readonly secret: string
  readonly regions: Map<string, Region>
}

export function emptyRegion(name: string, account: string): Region {
  return {
    name,
    account,
    keys: new SortedMap(),
    aliases: new SortedMap(),
    wrappingKeys: new Map(),
    deletions: new Set(),
  }
}

/** Puts a key of the set into a Region. */
export function addKey(set: KeySet, region: Region, regional: RegionalKey): Key {
  const { id, keySpec, keyUsage } = set
  const arn = arnOf(region, `key/${id}`)
  const key: Key = { ...regional, id, arn, keySpec, keyUsage, region, set, aliases: new Set() }
  set.keys.set(region.name, key)
  region.keys.set(id, key)
  if (key.deletion !== undefined) region.deletions.add(key)
  return key
}

export const isPrimary = (key: Key): boolean => key.set.primaryRegion === key.region.name

const PARTITIONS = [
  ["cn-", "aws-cn"],
  ["us-gov-", "aws-us-gov"],
] as const

/** The partition that a Region of this name belongs to. */
export function partitionOf(regionName: string): string {
  return PARTITIONS.find(([prefix]) => regionName.startsWith(prefix))?.[1] ?? "aws"
}

/** The ARN of a resource such as `key/ID` or `alias/NAME`. */
export function arnOf(region: Pick<Region, "name" | "account">, resource: string): string {
  return `arn:${partitionOf(region.name)}:kms:${region.name}:${region.account}:${resource}`
}
