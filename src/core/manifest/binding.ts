import type { Custody } from "../key/custody.js"
import type { WrapPolicy } from "../key/negotiation.js"
import type { KeySettings } from "./key-settings.js"

/**
 * One desired source key with one target that is to hold its material: a row of the manifest for each of its targets,
 * or what the inventory records of a key that was made by flags. `expiresIn` of the latter may be a time (RFC 3339).
 */
export interface Binding extends KeySettings {
  readonly owner: string
  readonly name: string
  readonly target: string
  /** The manifest's name of the token; null where flags give it. */
  readonly token: string | null
  /** Whether the manifest names it; one that it no longer names is watched, not changed. */
  readonly managed: boolean
}

/** What the operator's policy permits. */
export interface Policy extends WrapPolicy {
  /** Null permits every custody. */
  readonly allowCustody: readonly Custody[] | null
  /** Takes a custody that the token does not enforce, and says so in every output and record. */
  readonly allowUnenforcedCustody: boolean
  /** Takes EC private keys that the token gives out with a scalar of another length than RFC 5915 has. */
  readonly allowShortScalars: boolean
  /** `wrap` wants --expect-fingerprint. */
  readonly requireFingerprint: boolean
}
