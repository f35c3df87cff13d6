import type { SourceKey } from "../key/source-key.js"
import type { WrapCapability, WrappedKeyMaterial } from "../key/wrapping.js"
import type { WrappingKey } from "../key/wrapping-key.js"
import type { Policy } from "../manifest/binding.js"
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
      | "writeProtection"
      | "findSourceKeys"
      | "search"
      | "generateSourceKey"
      | "destroySourceKey"
      | "publicKey"
      | "mac"
      | "lock"
      | "selfTest"
      | "probeCustody"
      | "findCustodyKeys"
    > {
  /** Wraps as the token does. @param kmsKey ID or ARN of the KMS key that it is for; null where that is not known */
  wrap(
    key: SourceKey,
    wrappingKey: WrappingKey,
    capability: WrapCapability,
    kmsKey: string | null,
  ): Promise<WrappedKeyMaterial>
  /**
   * Refuses a sealed key whose custody key the token has lost, or which the token changes when it unseals it: `wrap` or
   * KMS would find that only once import parameters are spent (invariant I4).
   *
   * @throws ERR_CUSTODY_KEY_MISSING, ERR_VAULT_DAMAGED, ERR_SHORT_SCALAR
   */
  refuseUnopenable(key: SourceKey, policy: Pick<Policy, "allowShortScalars">): Promise<void>
  /** The token itself, without the vault: for what moves keys between the two, or watches over either. */
  readonly hsm: Token
}
