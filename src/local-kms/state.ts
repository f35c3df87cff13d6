import type { KeySpec, KeyUsage, WrappingKeySpec } from "../core/key-spec.js"

export type KeyMaterialState = "CURRENT" | "NON_CURRENT" | "PENDING_ROTATION"

/** One key material of a KMS key. Times are milliseconds since 1970 by the service's clock. */
export interface Material {
  readonly id: string
  /** Base64 of the plaintext: raw bytes, or PKCS #8 in DER. Undefined when deleted or expired. */
  secret?: string | undefined
  description?: string | undefined
  state: KeyMaterialState
  /** Undefined when it does not expire. */
  validTo?: number | undefined
  /** Expired material is still listed as IMPORTED with its past date, as the real service was seen to do. */
  expired?: boolean | undefined
  rotatedAt?: number | undefined
}

export interface Tag {
  readonly TagKey: string
  readonly TagValue: string
}

export interface Key {
  readonly id: string
  readonly arn: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly multiRegion: boolean
  readonly createdAt: number
  description: string
  policy: string
  tags: Tag[]
  /** What EnableKey and DisableKey set; the key state follows from this, the materials and the deletion date. */
  enabled: boolean
  deletion?: { readonly at: number; readonly windowDays: number } | undefined
  /** Oldest first. For all but symmetric keys at most one. */
  materials: Material[]
  /** An on-demand rotation under way. */
  rotation?: { readonly startedAt: number; readonly endsAt: number } | undefined
  rotations: number
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
  readonly keys: Map<string, Key>
  readonly aliases: Map<string, Alias>
  readonly wrappingKeys: Map<string, WrappingKey>
}

/** Everything that the service remembers, apart from its clock. */
export interface State {
  readonly account: string
  /** Hex; seals the import tokens. */
  readonly secret: string
  readonly regions: Map<string, Region>
}

export function emptyRegion(name: string, account: string): Region {
  return { name, account, keys: new Map(), aliases: new Map(), wrappingKeys: new Map() }
}

const PARTITIONS = [
  ["cn-", "aws-cn"],
  ["us-gov-", "aws-us-gov"],
] as const

/** The ARN of a resource such as `key/ID` or `alias/NAME`. */
export function arnOf(region: Pick<Region, "name" | "account">, resource: string): string {
  const partition = PARTITIONS.find(([prefix]) => region.name.startsWith(prefix))?.[1] ?? "aws"
  return `arn:${partition}:kms:${region.name}:${region.account}:${resource}`
}
