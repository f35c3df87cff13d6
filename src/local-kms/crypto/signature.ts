import { createHash, createPublicKey, sign, verify } from "node:crypto"
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from "./algorithms.js"
import { curveOf, fromBytes } from "./curve.js"
import { type EcdsaKey, signEcdsa, verifyEcdsa } from "./ecdsa.js"
import { signEd25519ph, verifyEd25519ph } from "./ed25519ph.js"
import { privateKeyOf } from "./key-object.js"
import { documented } from "../protocol/refusal.js"
import { type Digest, signPkcs1, signPss, verifyPkcs1, verifyPss } from "./rsa-signature.js"
import type { Key } from "../state/state.js"

/** What is signed, and by which algorithm. */
export interface Message {
  readonly bytes: Buffer
  readonly type: "RAW" | "DIGEST"
  readonly algorithm: SigningAlgorithm
}

interface Scheme {
  readonly sign: (key: Key, digest: Digest) => Buffer
  readonly verify: (key: Key, digest: Digest, signature: Buffer) => boolean
}

const publicKey = (key: Key) => createPublicKey(privateKeyOf(key))
const ecdsaKey = (key: Key): EcdsaKey => ({
  curve: curveOf(key.keySpec),
  scalar: fromBytes(Buffer.from(privateKeyOf(key).export({ format: "jwk" }).d ?? "", "base64url")),
})

const SCHEMES: Readonly<Record<"pkcs1" | "pss" | "ecdsa" | "ed25519" | "ed25519ph", Scheme>> = {
  pkcs1: {
    sign: (key, digest) => signPkcs1(privateKeyOf(key), digest),
    verify: (key, digest, signature) => verifyPkcs1(publicKey(key), digest, signature),
  },
  pss: {
    sign: (key, digest) => signPss(privateKeyOf(key), digest),
    verify: (key, digest, signature) => verifyPss(publicKey(key), digest, signature),
  },
  ecdsa: {
    sign: (key, digest) => signEcdsa(ecdsaKey(key), digest.bytes),
    verify: (key, digest, signature) => verifyEcdsa(ecdsaKey(key), digest.bytes, signature),
  },
  ed25519ph: {
    sign: (key, digest) => signEd25519ph(privateKeyOf(key), digest.bytes),
    verify: (key, digest, signature) => verifyEd25519ph(publicKey(key), digest.bytes, signature),
  },
  // hashes by itself (RFC 8032), so the 'digest' is the message
  ed25519: {
    sign: (key, message) => sign(null, message.bytes, privateKeyOf(key)),
    verify: (key, message, signature) => verify(null, message.bytes, publicKey(key), signature),
  },
}

/** What the scheme signs: the digest, which must have the length of the algorithm's hash. */
function digestOf({ algorithm, type, bytes }: Message): Digest {
  const { scheme, hash } = SIGNING_ALGORITHMS[algorithm]
  if (scheme === "ed25519") {
    if (type === "RAW") return { hash, bytes }
    throw documented.invalid(`Algorithm ${algorithm} takes only messages of type RAW.`)
  }
  if (scheme === "ed25519ph" && type === "RAW") {
    throw documented.invalid(`Algorithm ${algorithm} takes only messages of type DIGEST.`)
  }
  const hashed = createHash(hash)
  if (type === "RAW") return { hash, bytes: hashed.update(bytes).digest() }
  if (bytes.length === hashed.digest().length) return { hash, bytes }
  throw documented.invalid(`Digest is invalid length for algorithm ${algorithm}.`)
}

export function signMessage(key: Key, message: Message): Buffer {
  const { scheme } = SIGNING_ALGORITHMS[message.algorithm]
  return SCHEMES[scheme].sign(key, digestOf(message))
}

/** Whether the signature is right; anything malformed is not. */
export function verifyMessage(key: Key, message: Message, signature: Buffer): boolean {
  const { scheme } = SIGNING_ALGORITHMS[message.algorithm]
  const digest = digestOf(message)
  try {
    return SCHEMES[scheme].verify(key, digest, signature)
  } catch {
    return false
  }
}
