import { createHash, createPublicKey, sign, verify } from "node:crypto"
import { KEY_SPECS } from "../../core/key/key-spec.js"
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from "./algorithms.js"
import { curveOf, fromBytes } from "./curve.js"
import { signEcdsa, verifyEcdsa } from "./ecdsa.js"
import { privateKeyOf } from "./key-object.js"
import { documented } from "../protocol/refusal.js"
import { type Hash, signPkcs1, signPss, verifyPkcs1, verifyPss } from "./rsa-signature.js"
import type { Key } from "../state/state.js"

export interface Message {
  readonly bytes: Buffer
  readonly type: "RAW" | "DIGEST"
}

interface Scheme {
  readonly sign: (key: Key, hash: Hash, digest: Buffer) => Buffer
  readonly verify: (key: Key, hash: Hash, digest: Buffer, signature: Buffer) => boolean
}

const sizeOf = (key: Key) => KEY_SPECS[key.keySpec].bits / 8
const publicKey = (key: Key) => createPublicKey(privateKeyOf(key))
const scalarOf = (key: Key) => fromBytes(Buffer.from(privateKeyOf(key).export({ format: "jwk" }).d ?? "", "base64url"))

const SCHEMES: Readonly<Record<"pkcs1" | "pss" | "ecdsa" | "ed25519", Scheme>> = {
  pkcs1: {
    sign: (key, hash, digest) => signPkcs1(privateKeyOf(key), hash, digest),
    verify: (key, hash, digest, signature) => verifyPkcs1(publicKey(key), hash, digest, signature),
  },
  pss: {
    sign: (key, hash, digest) => signPss(privateKeyOf(key), sizeOf(key), hash, digest),
    verify: (key, hash, digest, signature) => verifyPss(publicKey(key), sizeOf(key), hash, digest, signature),
  },
  ecdsa: {
    sign: (key, _, digest) => signEcdsa(curveOf(key.keySpec), scalarOf(key), digest),
    verify: (key, _, digest, signature) => verifyEcdsa(curveOf(key.keySpec), scalarOf(key), digest, signature),
  },
  // hashes by itself (RFC 8032), so the 'digest' is the message
  ed25519: {
    sign: (key, _, message) => sign(null, message, privateKeyOf(key)),
    verify: (key, _, message, signature) => verify(null, message, publicKey(key), signature),
  },
}

/** What the scheme signs: the digest, which must have the length of the algorithm's hash. */
function digestOf(algorithm: SigningAlgorithm, message: Message): Buffer {
  const { scheme, hash } = SIGNING_ALGORITHMS[algorithm]
  if (scheme === "ed25519") {
    if (message.type === "RAW") return message.bytes
    throw documented.invalid(`Algorithm ${algorithm} takes only messages of type RAW.`)
  }
  const hashed = createHash(hash)
  if (message.type === "RAW") return hashed.update(message.bytes).digest()
  if (message.bytes.length === hashed.digest().length) return message.bytes
  throw documented.invalid(`Digest is invalid length for algorithm ${algorithm}.`)
}

export function signMessage(key: Key, algorithm: SigningAlgorithm, message: Message): Buffer {
  const { scheme, hash } = SIGNING_ALGORITHMS[algorithm]
  return SCHEMES[scheme].sign(key, hash, digestOf(algorithm, message))
}

/** Whether the signature is right; anything malformed is not. */
export function verifyMessage(key: Key, algorithm: SigningAlgorithm, message: Message, signature: Buffer): boolean {
  const { scheme, hash } = SIGNING_ALGORITHMS[algorithm]
  const digest = digestOf(algorithm, message)
  try {
    return SCHEMES[scheme].verify(key, hash, digest, signature)
  } catch {
    return false
  }
}
