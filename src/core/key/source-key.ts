import { randomBytes } from "node:crypto"
import { KEY_SPECS, type KeyFamily, type KeySpec, type KeyUsage } from "./key-spec.js"
import type { Custody, LocalUsage } from "./custody.js"
import type { KeyAttributes } from "./key-attributes.js"

/** A source key in the token. It holds a reference and facts, never bytes of the key. */
export interface SourceKey {
  /** CKA_ID, hex; the same on both halves of a pair. */
  readonly id: string
  readonly label: string
  readonly keySpec: KeySpec
  readonly custody: Custody
  readonly attributes: KeyAttributes
  /** CKA_CHECK_VALUE, hex: three bytes; null for pairs and where the token has none. */
  readonly kcv: string | null
  /** `sha256:…` of the SubjectPublicKeyInfo; null for secret keys. */
  readonly publicKeyFingerprint: string | null
  /** Of a sealed key: what the token was seen not to enforce of its custody, in words; null where all of it is. */
  readonly unenforced?: string | null
}

/** What a new source key is to be. */
export interface SourceKeyTemplate {
  readonly keySpec: KeySpec
  readonly id: string
  readonly label: string
  readonly custody: Custody
  /** CKA_WRAP_WITH_TRUSTED */
  readonly wrapWithTrusted: boolean
  /** Whether a `locked` key may also be used in the token, as its key usage says; other custodies never may. */
  readonly localUse?: boolean
  /** What `localUse` allows; the first usage of the key spec unless given. */
  readonly keyUsage?: KeyUsage
  /** Whether objects with another CKA_ID may carry the label already (`replace`). */
  readonly shareLabel?: boolean
}

/** What the key object itself does for each key usage; the public half does the rest. */
const LOCAL_USAGES: Readonly<Record<"secret" | "pair", Readonly<Record<KeyUsage, readonly LocalUsage[]>>>> = {
  secret: {
    ENCRYPT_DECRYPT: ["encrypt", "decrypt"],
    GENERATE_VERIFY_MAC: ["sign", "verify"],
    SIGN_VERIFY: [],
    KEY_AGREEMENT: [],
  },
  pair: { ENCRYPT_DECRYPT: ["decrypt"], SIGN_VERIFY: ["sign"], KEY_AGREEMENT: ["derive"], GENERATE_VERIFY_MAC: [] },
}
const SECRET_FAMILIES: readonly KeyFamily[] = ["aes", "hmac"]

/** Usages that a locked key has for local use; the first key usage of the spec unless one is given. */
export function localUsages(keySpec: KeySpec, keyUsage?: KeyUsage): readonly LocalUsage[] {
  const { family, usages } = KEY_SPECS[keySpec]
  const usage = keyUsage ?? usages[0]
  if (usage === undefined) return []
  return LOCAL_USAGES[SECRET_FAMILIES.includes(family) ? "secret" : "pair"][usage]
}

/** What any source key of the spec may do whatever its custody: sign, where a MAC is its proof. */
export function proofUsages(keySpec: KeySpec): readonly "sign"[] {
  return KEY_SPECS[keySpec].mac === undefined ? [] : ["sign"]
}

/** Who a source key is: owner (the manifest's `id`), name and generation, written into its label. */
export interface SourceKeyIdentity {
  readonly owner: string
  readonly name: string
  readonly generation: number
}

/** What can name a key or an owner: 1 to 63 of letters, digits, `.`, `_`, `-`, not starting with a sign. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
/** `keyferry/custody/…` is how custody keys are labelled, so no owner has that name. */
const LABEL = /^keyferry\/(?!custody\/)([^/]+)\/([^/]+)\/(0|[1-9]\d*)$/

export function isName(text: string): boolean {
  return NAME.test(text)
}

/** `keyferry/<owner>/<name>/<generation>`. */
export function labelOf({ owner, name, generation }: SourceKeyIdentity): string {
  return `keyferry/${owner}/${name}/${generation}`
}

/** Reads a label back; undefined for an object that is not keyferry's. */
export function identityOf(label: string): SourceKeyIdentity | undefined {
  const [, owner, name, generation] = LABEL.exec(label) ?? []
  if (owner === undefined || name === undefined || generation === undefined) return undefined
  return { owner, name, generation: Number(generation) }
}

/** A fresh CKA_ID: 16 random bytes, hex. */
export function newSourceKeyId(): string {
  return randomBytes(16).toString("hex")
}

/** An object of the token that carries a keyferry label but is no whole source key. */
export interface StrayObject {
  readonly id: string
  readonly label: string
  /** In words: what is missing or odd. */
  readonly reason: string
}

export interface SearchResult {
  readonly keys: readonly SourceKey[]
  readonly strays: readonly StrayObject[]
}
