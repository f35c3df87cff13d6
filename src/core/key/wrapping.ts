import type { KeySpec, WrappingKeySpec } from "./key-spec.js"
import type { WrapPath, WrappingAlgorithm } from "./wrapping-algorithm.js"

/** One way to carry one kind of key: what the self-test is asked about. */
export interface WrapRequest {
  readonly keySpec: KeySpec
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  /** Whether the policy takes a path that shortens scalars; see {@link WrapCapability.shortScalars}. */
  readonly allowShortScalars?: boolean
}

/** The self-test's verdict on one {@link WrapRequest} (invariant I9). */
export interface WrapCapability extends WrapRequest {
  /** The path that passed; null if none did. */
  readonly wrapPath: WrapPath | null
  /** `CKM_…` names that the path calls, in order. */
  readonly mechanisms: readonly string[]
  readonly usable: boolean
  /** The path is exact but for EC private keys whose scalar begins with zero bytes; usable only where policy takes it. */
  readonly shortScalars: boolean
  /** In words: why it is usable, or what is wrong with each path that was tried. */
  readonly reason: string
}

/** What the token made of a source key under a wrapping key. */
export interface WrappedKeyMaterial {
  /** RSAES-OAEP(material), or `RSA-OAEP(aesKey) || AES-KWP(material)`. */
  readonly bytes: Uint8Array
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrapPath: WrapPath
  readonly mechanisms: readonly string[]
  readonly wrappingKeyFingerprint: string
}
