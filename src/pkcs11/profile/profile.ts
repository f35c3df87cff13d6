import type { MechanismName } from "../cryptoki/mechanisms.js"

/** How far a profile's claims were checked; the self-test decides on each token whatever this says. */
export type Evidence = "measured" | "source read" | "vendor documents" | "unverified"

/**
 * What is known of a token family: data, in which order to try things and what the family refuses. Nothing in it is
 * believed without the self-test (invariant I9), and a token that fits no profile is treated by the generic one.
 */
export interface TokenProfile {
  readonly family: string
  /** For the table of supported tokens. */
  readonly title: string
  /**
   * Any of these starts the field of CK_TOKEN_INFO or CK_INFO (case ignored); every field named must fit. A profile
   * without fields is the generic one.
   */
  readonly match: {
    readonly manufacturer?: readonly string[]
    readonly model?: readonly string[]
    readonly library?: readonly string[]
  }
  /** Candidates for RFC 5649, in the order in which they are tried. */
  readonly kwp: readonly MechanismName[]
  /** Usages besides WRAP that the token wants true on a wrapping public key before it wraps under it. */
  readonly wrappingKeyUsages: readonly ("encrypt" | "verify")[]
  /** Usages that the token wants true on the public half when it generates a pair with all others false. */
  readonly publicHalfUsages: readonly ("encrypt" | "verify" | "wrap")[]
  /** Usage attributes that the token does not know, so that a template must not state them. */
  readonly unknownUsages: readonly ("signRecover" | "verifyRecover")[]
  /** Attributes that the token refuses in an unwrap template, and sets as keyferry wants them by itself. */
  readonly unwrapUnstated: readonly "extractable"[]
  /** Whether an EC private key comes in only with CKA_NSS_DB, its public point. */
  readonly unwrapWantsPoint: boolean
  /** Sessions lent at one time, besides the one that keeps the login. */
  readonly sessions: number
  /** Whether a search fails the creation of a token object that runs beside it. */
  readonly serialStore: boolean
  readonly evidence: Evidence
  /** Where the claims are from. */
  readonly source: string
  /** What an operator should know of the family, for the table of tokens. */
  readonly notes: readonly string[]
}

/** RFC 5649 under the numbers of PKCS #11 v3.0, then the one some vendors took before. */
export const STANDARD_KWP = ["CKM_AES_KEY_WRAP_KWP", "CKM_AES_KEY_WRAP_PAD"] as const satisfies readonly MechanismName[]
