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
} from "../cryptoki/calls.js"
import { refusalOf } from "../cryptoki/errors.js"
import { type MechanismName, MECHANISMS } from "../cryptoki/mechanisms.js"
import type { TokenProfile } from "../profiles.js"
import { withoutZeros } from "../objects/public-key.js"
import { PRIVATE_USAGES, SECRET_USAGES, stated } from "../objects/template.js"
import type { WrapContext } from "./wrap.js"

/** What a sealed key was, and is to be again. */
export interface UnsealedShape {
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
  custodyKey: Handle,
  key: Handle,
  keySpec: KeySpec,
  mechanism: MechanismName,
): Promise<Buffer> {
  const bytes = await wrapKey(session, { mechanism: MECHANISMS[mechanism] }, custodyKey, key)
  const exact = sealedLength(keySpec)
  if (exact === null ? bytes.length < 24 || bytes.length % 8 !== 0 : bytes.length !== exact) {
    const message = `the token sealed ${keySpec} to ${bytes.length} bytes, which RFC 5649 does not give`
    throw new KeyferryError("ERR_WRAP_RESULT", message)
  }
  return bytes
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
export async function unsealUnder(
  session: Session,
  custodyKey: Handle,
  ciphertext: Uint8Array,
  mechanism: MechanismName,
  shape: UnsealedShape,
  context: WrapContext,
): Promise<Unsealed> {
  const wanted = unsealedTemplate(shape, context.profile)
  const object = await unwrapKey(session, { mechanism: MECHANISMS[mechanism] }, custodyKey, ciphertext, wanted)
  try {
    const kind = `unsealed ${KEY_SPECS[shape.keySpec].keyType}`
    let facts = context.reader.read(session, object, kind)
    const ignored = findingsOf(facts, shape)
    if (ignored.length > 0) {
      for (const { attribute, expected } of ignored) correct(session, object, CKA[attribute], expected)
      facts = context.reader.read(session, object, kind)
    }
    assertAsAsked(facts, shape)
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

function unsealedTemplate(shape: UnsealedShape, profile: TokenProfile): Template {
  const { keyType } = KEY_SPECS[shape.keySpec]
  const pair = isAsymmetric(shape.keySpec)
  const extractable = profile.unwrapUnstated.includes("extractable") ? {} : { extractable: true }
  return template({
    class: pair ? pkcs11js.CKO_PRIVATE_KEY : pkcs11js.CKO_SECRET_KEY,
    keyType: KEY_TYPES[keyType],
    token: false,
    private: true,
    sensitive: true,
    ...extractable,
    id: shape.id,
    label: shape.label,
    ...(shape.wrapWithTrusted ? { wrapWithTrusted: true } : {}),
    ...(pair ? stated(PRIVATE_USAGES, shape.usages, profile.unknownUsages) : stated(SECRET_USAGES, shape.usages)),
    ...(profile.unwrapWantsPoint && keyType === "CKK_EC" && shape.publicKey ? { nssDb: pointOf(shape.publicKey) } : {}),
  })
}

/** The uncompressed point: what the BIT STRING at the end of the SubjectPublicKeyInfo holds (RFC 5480 section 2.2). */
function pointOf(spki: Uint8Array): Buffer {
  const { x = "", y = "" } = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }).export({
    format: "jwk",
  })
  return Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")])
}

/** openCryptoki ignores CKA_SENSITIVE in an unwrap template, NSS the usages of a private key; both take them afterwards. */
function correct(session: Session, object: Handle, type: number, value: boolean): void {
  try {
    setAttribute(session, object, { type, value })
  } catch (error) {
    // what is read back decides
    refusalOf(error)
  }
}

/** What is not as a sealed key must be between unsealing and wrap. */
function findingsOf({ attributes }: KeyObjectFacts, shape: UnsealedShape): readonly AttributeFinding[] {
  return assessAttributes(attributes, "sealed", shape.usages.includes("sign"), shape.usages)
}

function assertAsAsked(facts: KeyObjectFacts, shape: UnsealedShape): void {
  const { attributes } = facts
  const allowed = findingsOf(facts, shape)
  const findings = [
    allowed.length === 0 ? [] : findingsText(allowed),
    attributes.keyType === KEY_SPECS[shape.keySpec].keyType ? [] : `it is a ${attributes.keyType} key`,
    shape.wrapWithTrusted && attributes.wrapWithTrusted !== true ? "CKA_WRAP_WITH_TRUSTED is not kept" : [],
    facts.id?.equals(shape.id) === true && facts.label === shape.label ? [] : "its CKA_ID or label is another",
  ].flat()
  if (findings.length === 0) return
  const message = `the unsealed key is not as asked: ${findings.join(", ")}`
  throw new KeyferryError("ERR_KEY_ATTRIBUTES", message, { key: shape.label })
}
