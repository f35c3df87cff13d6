/** Requests a second by KMS operation, for one account and Region. */
export type Quotas = Readonly<Record<string, number>>

/**
 * What AWS allows an account and Region unless it agreed to more (KMS Developer Guide, "Request quotas"): all principals
 * and the FIPS endpoints together. An operation that is not here is not paced.
 */
export const DEFAULT_QUOTAS = {
  CancelKeyDeletion: 5,
  CreateAlias: 5,
  CreateKey: 5,
  DeleteAlias: 15,
  DeleteImportedKeyMaterial: 15,
  DescribeKey: 2000,
  DisableKey: 5,
  EnableKey: 5,
  GetKeyPolicy: 1000,
  GetKeyRotationStatus: 1000,
  // older copies of the guide say 0.25, and 5 for ImportKeyMaterial: a target's `quotas` set them
  GetParametersForImport: 1,
  GetPublicKey: 2000,
  ImportKeyMaterial: 15,
  ListAliases: 500,
  ListKeyRotations: 100,
  ListKeys: 500,
  ListResourceTags: 2000,
  PutKeyPolicy: 15,
  ReplicateKey: 5,
  RotateKeyOnDemand: 5,
  ScheduleKeyDeletion: 15,
  TagResource: 10,
  UntagResource: 5,
  UpdateAlias: 5,
  UpdateKeyDescription: 5,
  UpdatePrimaryRegion: 5,
} as const satisfies Quotas

/** Requests a second; overrides come over the defaults. Undefined for an operation that is not paced. */
export function quotaFor(operation: string, overrides: Quotas = {}): number | undefined {
  return overrides[operation] ?? (DEFAULT_QUOTAS as Quotas)[operation]
}

/** The share of a quota that is used, so that clocks which differ a little never exceed it. */
export const PACE = 0.97

/**
 * The share of its pace that an operation keeps after a ThrottlingException, and how it comes back. Answers that come
 * within so many milliseconds of the first were under way with it, and are one event.
 */
export const SLOWED = { factor: 0.5, least: 1 / 16, step: 1 / 8, everyMs: 5_000, oneEventMs: 1_000 } as const

/**
 * Requests that may go out at once after a pause: half a second's worth, so that two processes one after the other, or
 * requests that are held up on the way and then arrive together, stay within one second's.
 */
export function burstOf(quota: number): number {
  return Math.max(1, Math.floor(quota / 2))
}

/**
 * Seconds that so many requests of each operation take in one account and Region when each operation is sent at its pace
 * and all of them at the same time: those of the operation that takes longest. Overrides of quotas come over the defaults.
 */
export function estimate(counts: Readonly<Record<string, number>>, quotas: Quotas = {}): number {
  const seconds = Object.entries(counts).map(([operation, count]) => {
    const quota = quotaFor(operation, quotas)
    return quota === undefined ? 0 : Math.max(0, count - burstOf(quota)) / (PACE * quota)
  })
  return Math.max(0, ...seconds)
}
