import type { Custody } from "../key/custody.js"
import type { KeySpec, KeyUsage, WrappingKeySpec } from "../key/key-spec.js"
import type { WantedAlgorithm, WrapPolicy } from "../key/negotiation.js"

/** When material is to be imported again: so long before its end, or when so much of its life is left. */
export type RenewBefore =
  | { readonly kind: "duration"; readonly seconds: number }
  /** 0 to 100, of the time between import and expiry. */
  | { readonly kind: "percentage"; readonly percent: number }

/**
 * One desired source key with one target that is to hold its material: a row of the manifest for each of its targets,
 * or what the inventory records of a key that was made by flags.
 */
export interface Binding {
  readonly owner: string
  readonly name: string
  readonly target: string
  /** The manifest's name of the token; null where flags give it. */
  readonly token: string | null
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly alias: string | null
  readonly custody: Custody
  readonly wrapWithTrusted: boolean
  readonly wrappingAlgorithm: WantedAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  /** A duration, or `never`. */
  readonly expiresIn: string
  readonly renewBefore: RenewBefore
  /** Seconds between rotations; null for none. */
  readonly rotateEvery: number | null
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>>
  /** The key policy, as JSON text; null to leave KMS' default and whatever is there. */
  readonly keyPolicy: string | null
  readonly prove: "full" | "accept"
  /** Regions of the replicas; null for a key that is not multi-Region. */
  readonly replicas: readonly string[] | null
  /** Whether the manifest names it; one that it no longer names is watched, not changed. */
  readonly managed: boolean
}

/** What the operator's policy permits. */
export interface Policy extends WrapPolicy {
  /** Null permits every custody. */
  readonly allowCustody: readonly Custody[] | null
  /** Takes a custody that the token does not enforce, and says so in every output and record. */
  readonly allowUnenforcedCustody: boolean
  /** `wrap` wants --expect-fingerprint. */
  readonly requireFingerprint: boolean
}
