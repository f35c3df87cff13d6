import type { Token } from "./token.js"

/**
 * The token as use cases see it: source keys whose material lies in the vault stand beside those that are objects, and
 * are unsealed for as long as they are used. What concerns objects and the vault apart is asked of `hsm`.
 */
export interface CustodialToken
  extends
    AsyncDisposable,
    Pick<
      Token,
      | "info"
      | "findSourceKeys"
      | "search"
      | "generateSourceKey"
      | "destroySourceKey"
      | "wrap"
      | "publicKey"
      | "mac"
      | "lock"
      | "selfTest"
      | "probeCustody"
      | "findCustodyKeys"
    > {
  /** The token itself, without the vault: for what moves keys between the two, or watches over either. */
  readonly hsm: Token
}
