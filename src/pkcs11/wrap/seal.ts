import { createPublicKey } from "node:crypto"
import pkcs11js from "pkcs11js"
import { assessAttributes, type AttributeFinding, findingsText } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { isAsymmetric, KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { CKA, KEY_TYPES, type KeyObjectFacts, template } from "../cryptoki/attributes.js"
import {
  destroyObject,
  type Handle,
  type Session,
  setAttribute,
  type Template,
  unwrapKey,
  wrapKey,
  type Wrapping,
} from "../cryptoki/calls.js"
import { refusalOf } from "../cryptoki/errors.js"
import { type MechanismName, MECHANISMS } from "../cryptoki/mechanisms.js"
import type { TokenProfile } from "../profiles.js"
import type { TokenSession } from "../session/pool.js"
import { withoutZeros } from "../objects/public-key.js"
import { PRIVATE_USAGES, SECRET_USAGES, stated } from "../objects/template.js"

/** A custody key, and the mechanism of RFC 5649 by which it seals. */
export interface SealingKey {
  readonly object: Handle
  readonly mechanism: MechanismName
}

/** A sealed key: what it was, and is to be again. */
export interface SealedKey {
  /** AES-KWP(material), 24 bytes or more. */
  readonly ciphertext: Uint8Array
  readonly keySpec: KeySpec
  readonly id: Buffer
  readonly label: string
  /** SubjectPublicKeyInfo, DER; null for secret keys. */
  readonly publicKey: Uint8Array | null
  readonly wrapWithTrusted: boolean
  readonly usages: readonly ("encrypt" | "sign")[]
}

export interface Unsealed {
  readonly object: Handle
  readonly facts: KeyObjectFacts
}

/**
 * AES-KWP(material) under a custody key.
 *
 * @throws ERR_WRAP_RESULT for a length that cannot be right, and what C_WrapKey answers
 */
export async function sealUnder(
  session: Session,
  sealingKey: SealingKey,
  { object, keySpec }: { readonly object: Handle; readonly keySpec: KeySpec },
): Promise<Buffer> {
  const bytes = await wrapKey(session, wrappingOf(sealingKey), object)
  const exact = sealedLength(keySpec)
  if (exact === null ? bytes.length < 24 || bytes.length % 8 !== 0 : bytes.length !== exact) {
    const message = `the token sealed ${keySpec} to ${bytes.length} bytes, which RFC 5649 does not give`
    throw new KeyferryError("ERR_WRAP_RESULT", message)
  }
  return bytes
}

/** As C_WrapKey and C_UnwrapKey take it. */
export function wrappingOf({ object, mechanism }: SealingKey): Wrapping {
  return { wrappingKey: object, mechanism: { mechanism: MECHANISMS[mechanism] } }
}

/** Bytes that RFC 5649 gives for a secret key; null for pairs, whose PKCS #8 is of no one length. */
export function sealedLength(keySpec: KeySpec): number | null {
  return isAsymmetric(keySpec) ? null : 8 + 8 * Math.ceil(KEY_SPECS[keySpec].bits / 64)
}

/**
 * Unseals into a session object and reads it back. CKA_SENSITIVE is set where the token ignored it; an object that is
 * not as it must be is destroyed.
 *
 * @throws ERR_KEY_ATTRIBUTES, and what C_UnwrapKey answers
 */
export async function unsealUnder(session: TokenSession, sealingKey: SealingKey, sealed: SealedKey): Promise<Unsealed> {
  const wrapped = { bytes: sealed.ciphertext, template: unsealedTemplate(sealed, session.profile) }
  const object = await unwrapKey(session, wrappingOf(sealingKey), wrapped)
  try {
    const kind = `unsealed ${KEY_SPECS[sealed.keySpec].keyType}`
    let facts = session.reader.read(session, object, kind)
    const ignored = findingsOf(facts, sealed)
    if (ignored.length > 0) {
      for (const finding of ignored) correct(session, object, finding)
      facts = session.reader.read(session, object, kind)
    }
    assertAsSealed(facts, sealed)
    return { object, facts }
  } catch (error) {
    // never left lying about: it may be readable
    destroyObject(session, object)
    throw error
  }
}

/** Whether the unsealed key is the one of this public key, as far as a private key object tells. */
export function fitsPublicKey(facts: KeyObjectFacts, publicKey: Uint8Array): boolean {
  const { kty, n = "" } = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" }).export({
    format: "jwk",
  })
  if (kty !== "RSA") return true
  return facts.modulus !== null && withoutZeros(facts.modulus).equals(Buffer.from(n, "base64url"))
}

function unsealedTemplate(sealed: SealedKey, profile: TokenProfile): Template {
  const { keyType } = KEY_SPECS[sealed.keySpec]
  const pair = isAsymmetric(sealed.keySpec)
  const extractable = profile.unwrapUnstated.includes("extractable") ? {} : { extractable: true }
  return template({
    class: pair ? pkcs11js.CKO_PRIVATE_KEY : pkcs11js.CKO_SECRET_KEY,
    keyType: KEY_TYPES[keyType],
    token: false,
    private: true,
    sensitive: true,
    ...extractable,
    id: sealed.id,
    label: sealed.label,
    ...(sealed.wrapWithTrusted ? { wrapWithTrusted: true } : {}),
    ...(pair ? stated(PRIVATE_USAGES, sealed.usages, profile.unknownUsages) : stated(SECRET_USAGES, sealed.usages)),
    ...(profile.unwrapWantsPoint && keyType === "CKK_EC" && sealed.publicKey
      ? { nssDb: pointOf(sealed.publicKey) }
      : {}),
  })
}

/** The uncompressed point: what the BIT STRING at the end of the SubjectPublicKeyInfo holds (RFC 5480 section 2.2). */
export function pointOf(spki: Uint8Array): Buffer {
  const { x = "", y = "" } = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }).export({
    format: "jwk",
  })
  return Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")])
}

/** openCryptoki ignores CKA_SENSITIVE in an unwrap template, NSS the usages of a private key; both take them afterwards. */
function correct(session: Session, object: Handle, { attribute, expected }: AttributeFinding): void {
  try {
    setAttribute(session, object, { type: CKA[attribute], value: expected })
  } catch (error) {
    // what is read back decides
    refusalOf(error)
  }
}

/** What is not as a sealed key must be between unsealing and wrap. */
function findingsOf({ attributes }: KeyObjectFacts, sealed: SealedKey): readonly AttributeFinding[] {
  return assessAttributes(attributes, "sealed", sealed.usages)
}

function assertAsSealed(facts: KeyObjectFacts, sealed: SealedKey): void {
  const { attributes } = facts
  const deviations = findingsOf(facts, sealed)
  const findings = [
    deviations.length === 0 ? [] : findingsText(deviations),
    attributes.keyType === KEY_SPECS[sealed.keySpec].keyType ? [] : `it is a ${attributes.keyType} key`,
    sealed.wrapWithTrusted && attributes.wrapWithTrusted !== true ? "CKA_WRAP_WITH_TRUSTED is not kept" : [],
    facts.id?.equals(sealed.id) === true && facts.label === sealed.label ? [] : "its CKA_ID or label is another",
  ].flat()
  if (findings.length === 0) return
  const message = `the unsealed key is not as asked: ${findings.join(", ")}`
  throw new KeyferryError("ERR_KEY_ATTRIBUTES", message, { key: sealed.label })
}
