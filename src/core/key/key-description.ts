import type { ExpirationModel } from "../base/expiry.js"

/** KMS `KeyMetadata`, as far as keyferry looks at it. */
export interface KeyDescription {
  readonly keyArn: string
  readonly keyId: string
  readonly keyState: string
  /** Empty where there is none. */
  readonly description: string
  readonly keySpec: string
  readonly keyUsage: string
  readonly origin: string
  readonly multiRegion: boolean
  /** Null for a key that is not multi-Region, and where the endpoint does not say. */
  readonly multiRegionConfiguration: MultiRegionConfiguration | null
  readonly creationDate: Date | null
  readonly deletionDate: Date | null
  readonly expirationModel: ExpirationModel | null
  readonly validTo: Date | null
  readonly currentKeyMaterialId: string | null
}

/** The KMS keys that share key ID and key material: one primary, and a replica in each of other Regions. */
export interface MultiRegionConfiguration {
  /** What the key that was asked about is. */
  readonly type: "PRIMARY" | "REPLICA"
  readonly primary: RegionalKey
  readonly replicas: readonly RegionalKey[]
}

export interface RegionalKey {
  readonly arn: string
  readonly region: string
}
