/** Requests per second and operation for an account and Region (KMS Developer Guide, "Request quotas"). */
export const AWS_QUOTAS: Readonly<Record<string, number>> = {
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
}

interface Bucket {
  tokens: number
  at: number
}

/** Token buckets, one for each Region and operation, with one second of burst. An operation without a rate is free. */
export interface Quotas {
  rates: () => Readonly<Record<string, number>>
  setRates: (rates: Readonly<Record<string, number>>) => void
  /** Takes a token, or so many; false if there are not as many. */
  take: (region: string, operation: string, now: number, count?: number) => boolean
}

export function createQuotas(initial: Readonly<Record<string, number>>): Quotas {
  let rates = initial
  const buckets = new Map<string, Bucket>()
  return {
    rates: () => rates,
    setRates(next) {
      rates = next
      buckets.clear()
    },
    take(region, operation, now, count = 1) {
      const rate = rates[operation]
      if (rate === undefined) return true
      // a rate below one still lets a single request through
      const burst = Math.max(count, rate)
      const name = `${region} ${operation}`
      const bucket = buckets.get(name) ?? { tokens: burst, at: now }
      // a clock that was set back gives nothing
      const elapsed = Math.max(0, now - bucket.at) / 1000
      bucket.tokens = Math.min(burst, bucket.tokens + elapsed * rate)
      bucket.at = now
      buckets.set(name, bucket)
      if (bucket.tokens < count) return false
      bucket.tokens -= count
      return true
    },
  }
}
