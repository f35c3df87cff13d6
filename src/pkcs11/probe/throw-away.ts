import { createCipheriv, createHmac, generateKeyPair, type KeyObject, randomBytes } from "node:crypto"
import { promisify } from "node:util"
import pkcs11js from "pkcs11js"
import { KEY_TYPES } from "../cryptoki/attributes.js"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec, WRAPPING_KEY_SPECS, type WrappingKeySpec } from "../../core/key/key-spec.js"
import { encrypt, type Handle, OwnedObjects, type Session, sign } from "../cryptoki/calls.js"
import { ckrOf, failureText, refusalOf } from "../cryptoki/errors.js"
import { generate, type KeyHandles } from "../objects/generation.js"
import { MECHANISMS } from "../cryptoki/mechanisms.js"
import { publicKeyOf } from "../objects/public-key.js"
import { identify } from "../objects/source-key.js"
import { type NewKey, SECRET_USAGES, stated } from "../objects/template.js"
import type { SessionPool, TokenSession } from "../session/pool.js"
import type { RsaPublicKey } from "../wrap/wrap.js"
import { privateKeyFlaw, secretLengthFlaw } from "./material.js"

/** Marks every key of the self-test and the custody probe; none of them is ever imported. */
export const THROW_AWAY_LABEL = "keyferry-self-test"

/** A session that is lent to a probe, and the throw-away objects that it makes there. */
export interface Probe {
  readonly session: TokenSession
  readonly objects: OwnedObjects
}

/** Lends a session to a probe and destroys what it made; the session is not lent again, as calls failed in it. */
export function withProbe<T>(pool: SessionPool, use: (probe: Probe) => Promise<T>): Promise<T> {
  return pool.withSession(async (session, loan) => {
    loan.spoil()
    using objects = new OwnedObjects(session)
    return await use({ session, objects })
  })
}

/** A throw-away key of the token, and how a value that left the token is compared with it. */
export interface Sample {
  readonly keySpec: KeySpec
  readonly object: Handle
  /** SubjectPublicKeyInfo, DER; null for secret keys. */
  readonly publicKey: Uint8Array | null
  /** What is wrong with the opened value, in words; null if it is this key. */
  flaw(value: Buffer): string | null
}

/** An RSA pair made here, whose public half wraps throw-away keys. */
export interface LocalPair extends RsaPublicKey {
  readonly privateKey: KeyObject
}

const pairs = new Map<WrappingKeySpec, Promise<LocalPair>>()

/** Made once for each process and size, on libuv's threads. */
export function localPair(spec: WrappingKeySpec): Promise<LocalPair> {
  const pair = pairs.get(spec) ?? makePair(spec)
  pairs.set(spec, pair)
  return pair
}

async function makePair(spec: WrappingKeySpec): Promise<LocalPair> {
  const { modulusBits } = WRAPPING_KEY_SPECS[spec]
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: modulusBits })
  const { n = "" } = publicKey.export({ format: "jwk" })
  return { spec, privateKey, modulus: Buffer.from(n, "base64url"), publicExponent: Uint8Array.of(1, 0, 1) }
}

/**
 * Generates a throw-away session key of the spec: sensitive and extractable as a source key is, and read back. Secret
 * keys are compared by use, as nothing reads their value.
 */
export async function makeSample(probe: Probe, keySpec: KeySpec): Promise<Sample> {
  const { session } = probe
  const { keyType } = KEY_SPECS[keySpec]
  const key = { ...THROW_AWAY, keySpec, id: randomBytes(16), usages: throwAwayUsages(keySpec) }
  const handles = await generateThrowAway(probe, key)
  const { attributes } = session.reader.read(session, handles.object, `throw-away ${keyType}`)
  const ignored = [
    attributes.sensitive === true ? [] : "CKA_SENSITIVE=true",
    attributes.extractable === true ? [] : "CKA_EXTRACTABLE=true",
    attributes.token === false ? [] : "CKA_TOKEN=false",
  ].flat()
  if (ignored.length > 0) throw new KeyferryError("ERR_KEY_ATTRIBUTES", `the token does not keep ${ignored.join(", ")}`)
  const { object, publicHalf } = handles
  if (publicHalf) {
    const publicKey = publicKeyOf(session, publicHalf, keySpec)
    return { keySpec, object, publicKey, flaw: (value) => privateKeyFlaw(value, keySpec, publicKey) }
  }
  return { keySpec, object, publicKey: null, flaw: comparison(session, object, keySpec) }
}

/** Of a throw-away AES key whose value is brought in: sensitive, of this session, never to be imported anywhere. */
export function throwAwaySecret(usages: readonly (typeof SECRET_USAGES)[number][]) {
  return {
    class: pkcs11js.CKO_SECRET_KEY,
    keyType: KEY_TYPES.CKK_AES,
    token: false,
    private: true,
    sensitive: true,
    extractable: false,
    label: THROW_AWAY_LABEL,
    ...stated(SECRET_USAGES, usages),
  }
}

const USAGES = { aes: ["encrypt"], hmac: ["sign"], rsa: [], ec: [], edwards: [] } as const

/** By what a throw-away key is compared: a source key has no CKA_ENCRYPT. */
export function throwAwayUsages(keySpec: KeySpec): readonly ("encrypt" | "sign")[] {
  return USAGES[KEY_SPECS[keySpec].family]
}

/** Generates a key labelled as one to throw away; the probe destroys its objects. */
export async function generateThrowAway(
  { session, objects: owned }: Probe,
  key: Omit<NewKey, "label">,
): Promise<KeyHandles> {
  const handles = await generate(session, { ...key, label: THROW_AWAY_LABEL })
  const objects = [handles.object, ...(handles.publicHalf ? [handles.publicHalf] : [])]
  for (const object of objects) {
    // a token that confuses its handles would have another key destroyed
    const { id, label } = identify(session, object)
    if (label !== THROW_AWAY_LABEL || id !== key.id.toString("hex")) throw confused()
    owned.add(object)
  }
  return handles
}

function confused(): KeyferryError {
  return new KeyferryError("ERR_TOKEN_OTHER", "the token gave another object's handle for a new key")
}

const THROW_AWAY = { token: false, extractable: true, wrapWithTrusted: false } as const

function comparison(session: Session, object: Handle, keySpec: KeySpec): Sample["flaw"] {
  const use = KEY_SPECS[keySpec].family === "aes" ? blockOf(session, object) : macOf(session, object, keySpec)
  return (value) =>
    secretLengthFlaw(value, keySpec) ??
    (use.repeat(value).equals(use.result) ? null : "gives another key than the one to be wrapped")
}

interface Use {
  readonly result: Buffer
  readonly repeat: (value: Buffer) => Buffer
}

/** AES of one block; with a zero initial value CBC is the same, for tokens without ECB. */
function blockOf(session: Session, object: Handle): Use {
  const block = randomBytes(16)
  const repeat = (value: Buffer): Buffer =>
    createCipheriv("aes-256-ecb", value, null).setAutoPadding(false).update(block)
  const cbc = { mechanism: MECHANISMS.CKM_AES_CBC, parameter: Buffer.alloc(16) }
  try {
    const result = encrypt(session, { mechanism: { mechanism: MECHANISMS.CKM_AES_ECB }, key: object }, block)
    return { result, repeat }
  } catch (error) {
    if (ckrOf(error) !== "CKR_MECHANISM_INVALID") throw error
    return { result: encrypt(session, { mechanism: cbc, key: object }, block), repeat }
  }
}

/** The HMAC that KMS computes with the key: the proof of the import will want this one, so no other serves. */
function macOf(session: Session, object: Handle, keySpec: KeySpec): Use {
  const message = randomBytes(32)
  const { mac } = KEY_SPECS[keySpec]
  if (!mac) throw new KeyferryError("ERR_BUG", `${keySpec} has no MAC`)
  try {
    return {
      result: sign(session, { mechanism: { mechanism: MECHANISMS[mac.mechanism] }, key: object }, message),
      repeat: (value) => createHmac(mac.hash, value).update(message).digest(),
    }
  } catch (error) {
    const refusal = refusalOf(error)
    if (refusal.retry === "later") throw refusal
    const words = `the token cannot compute ${mac.algorithm}, so the import could not be proven (${failureText(refusal)})`
    throw new KeyferryError("ERR_TOKEN_OTHER", words, { cause: refusal })
  }
}
