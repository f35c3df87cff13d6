import type { WriteProtectable } from "../token/write-protection.js"
import type { StrayObject, SearchResult, SourceKey, SourceKeyTemplate } from "../key/source-key.js"
import type { WrapCapability, WrapRequest, WrappedKeyMaterial } from "../key/wrapping.js"
import type { KeySpec } from "../key/key-spec.js"
import type { CustodyProbe } from "../key/custody.js"
import type { WrappingKey } from "../key/wrapping-key.js"
import type { CustodyKey, CustodyKeyTemplate, SealedBytes, SealedMaterial } from "../records/sealed-material.js"

/** A logged-in token. Disposing it closes its sessions, and with them every session object. */
export interface Token extends AsyncDisposable, WriteProtectable {
  /** Source keys (objects with a keyferry label) by CKA_ID, by label, or all; as read back from the token now. */
  findSourceKeys(terms?: { readonly id?: string; readonly label?: string }): Promise<readonly SourceKey[]>
  /** Both in one search, which on some tokens reads every object: source keys, and what only carries such a label. */
  search(terms?: { readonly id?: string; readonly label?: string }): Promise<SearchResult>
  /**
   * Generates key material in the token and reads its attributes back. A key whose attributes are not as its custody
   * asks is destroyed again. With custody `session` the key lives until the token is disposed; with `locked` it is
   * made extractable, for {@link lock} to close. `sealed` is no custody of an object: seal a `session` one.
   *
   * @throws ERR_KEY_SPEC_UNSUPPORTED, ERR_KEY_ATTRIBUTES, ERR_NAME_TAKEN (ID or label in use), ERR_TOKEN_*
   */
  generateSourceKey(template: SourceKeyTemplate): Promise<SourceKey>
  /** Destroys every object of the source key. */
  destroySourceKey(key: Pick<SourceKey, "id" | "label">): Promise<void>
  /** Proves each path with throw-away keys, or answers from the cache unless `fresh`; one verdict a request, in order. */
  selfTest(requests: readonly WrapRequest[], options?: { readonly fresh?: boolean }): Promise<readonly WrapCapability[]>
  /**
   * Probes with throw-away keys what the token enforces, and for the key specs named whether it can seal them; cached
   * like the self-test.
   */
  probeCustody(options?: { readonly fresh?: boolean; readonly keySpecs?: readonly KeySpec[] }): Promise<CustodyProbe>
  /**
   * Wraps the source key under the wrapping key by the path that the self-test proved. The wrapping key exists in the
   * token as a session object for the time of the call.
   *
   * @throws ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE, ERR_WRAP_RESULT, ERR_TOKEN_*
   */
  wrap(key: SourceKey, wrappingKey: WrappingKey, capability: WrapCapability): Promise<WrappedKeyMaterial>
  /** SubjectPublicKeyInfo, DER, of an asymmetric source key. */
  publicKey(key: SourceKey): Promise<Uint8Array>
  /** HMAC of the message by an HMAC source key, full length of its hash. */
  mac(key: SourceKey, message: Uint8Array): Promise<Uint8Array>
  /** Custody keys of an owner in the token, by number, newest last. */
  findCustodyKeys(owner: string): Promise<readonly CustodyKey[]>
  /**
   * Makes a custody key and reads it back; one that is not as asked is destroyed again.
   *
   * @throws ERR_CUSTODY_REFUSED where the token cannot seal, ERR_KEY_ATTRIBUTES, ERR_NAME_TAKEN, ERR_TOKEN_*
   */
  generateCustodyKey(template: CustodyKeyTemplate): Promise<CustodyKey>
  destroyCustodyKey(key: Pick<CustodyKey, "id" | "label">): Promise<void>
  /**
   * Seals a source key that is an object of the token now, by the mechanism that was proven for its key spec.
   *
   * @throws ERR_CUSTODY_REFUSED, ERR_CUSTODY_KEY_MISSING, ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE, ERR_WRAP_RESULT
   */
  seal(key: SourceKey, custodyKey: Pick<CustodyKey, "id" | "label">): Promise<SealedBytes>
  /**
   * Unseals into a session object with the ID and label of the source key: sensitive, extractable, read back. It lives
   * until {@link destroySourceKey}. Two calls for one key make two objects, each known by the SourceKey it was given as.
   *
   * @throws ERR_CUSTODY_KEY_MISSING, ERR_SEALED_UNREADABLE, ERR_KEY_ATTRIBUTES, ERR_TOKEN_*
   */
  unseal(sealed: SealedMaterial): Promise<SourceKey>
  /**
   * Sets CKA_EXTRACTABLE to false for good, and reads it back.
   *
   * @throws ERR_KEY_ATTRIBUTES, ERR_KEY_NOT_FOUND, ERR_TOKEN_*
   */
  lock(key: SourceKey): Promise<SourceKey>
  /** Keys by CKA_ID or CKA_LABEL, whatever their label: for adoption. */
  findKeys(terms: { readonly id?: string; readonly label?: string }): Promise<readonly SourceKey[]>
  /** What is there by CKA_ID or CKA_LABEL and is no key that keyferry can use, each with the reason. */
  findOddKeys(terms: { readonly id?: string; readonly label?: string }): Promise<readonly StrayObject[]>
  /**
   * Gives every object of the key a new CKA_ID and label, and reads them back.
   *
   * @throws ERR_NAME_TAKEN, ERR_KEY_NOT_FOUND, ERR_KEY_ATTRIBUTES where the token keeps the old ones, ERR_TOKEN_*
   */
  relabel(key: SourceKey, identity: { readonly id: string; readonly label: string }): Promise<SourceKey>
}
