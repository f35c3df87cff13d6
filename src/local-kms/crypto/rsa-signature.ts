import { constants, createHash, type KeyObject, privateEncrypt, publicDecrypt, randomBytes } from "node:crypto"
import { der, TAG } from "./ber.js"

type Hash = "sha256" | "sha384" | "sha512"

/** What is signed: the digest that this hash made of a message. */
export interface Digest {
  readonly hash: Hash
  readonly bytes: Buffer
}

const OIDS: Readonly<Record<Hash, Buffer>> = {
  sha256: Buffer.from("608648016503040201", "hex"),
  sha384: Buffer.from("608648016503040202", "hex"),
  sha512: Buffer.from("608648016503040203", "hex"),
}

const { RSA_NO_PADDING, RSA_PKCS1_PADDING } = constants

/** DigestInfo of RFC 8017 section 9.2. */
function digestInfo({ hash, bytes }: Digest): Buffer {
  return der(TAG.SEQUENCE, der(TAG.SEQUENCE, der(TAG.OID, OIDS[hash]), der(TAG.NULL)), der(TAG.OCTET_STRING, bytes))
}

/** RSASSA-PKCS1-v1_5 of a digest, which node:crypto signs only together with the hashing. */
export function signPkcs1(key: KeyObject, digest: Digest): Buffer {
  return privateEncrypt({ key, padding: RSA_PKCS1_PADDING }, digestInfo(digest))
}

export function verifyPkcs1(key: KeyObject, digest: Digest, signature: Buffer): boolean {
  return publicDecrypt({ key, padding: RSA_PKCS1_PADDING }, signature).equals(digestInfo(digest))
}

const hashOf = (hash: Hash, ...parts: readonly Uint8Array[]) => {
  const digest = createHash(hash)
  for (const part of parts) digest.update(part)
  return digest.digest()
}

/** MGF1 of RFC 8017 appendix B.2.1, laid over `data`. */
function mask(hash: Hash, seed: Buffer, data: Buffer): Buffer {
  const blocks: Buffer[] = []
  for (let i = 0, length = 0; length < data.length; i++) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(i)
    const block = hashOf(hash, seed, counter)
    blocks.push(block)
    length += block.length
  }
  const stream = Buffer.concat(blocks)
  return Buffer.from(data.map((byte, i) => byte ^ (stream[i] ?? 0)))
}

const modulusBytes = (key: KeyObject) => (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8

const ZEROS = Buffer.alloc(8)
const TRAILER = 0xbc

/** EMSA-PSS of RFC 8017 section 9.1.1 with a salt as long as the hash; all moduli here are whole bytes. */
export function signPss(key: KeyObject, { hash, bytes }: Digest): Buffer {
  const salt = randomBytes(bytes.length)
  const h = hashOf(hash, ZEROS, bytes, salt)
  const padding = Buffer.alloc(modulusBytes(key) - 2 * bytes.length - 2)
  const masked = mask(hash, h, Buffer.concat([padding, Buffer.of(1), salt]))
  masked[0] = (masked[0] ?? 0) & 0x7f
  return privateEncrypt({ key, padding: RSA_NO_PADDING }, Buffer.concat([masked, h, Buffer.of(TRAILER)]))
}

/** EMSA-PSS verification, RFC 8017 section 9.1.2. */
export function verifyPss(key: KeyObject, { hash, bytes }: Digest, signature: Buffer): boolean {
  const size = modulusBytes(key)
  if (signature.length !== size) return false
  const encoded = publicDecrypt({ key, padding: RSA_NO_PADDING }, signature)
  const split = size - bytes.length - 1
  const masked = encoded.subarray(0, split)
  const h = encoded.subarray(split, -1)
  if (encoded.at(-1) !== TRAILER || (masked[0] ?? 0) >= 0x80) return false
  const block = mask(hash, h, masked)
  block[0] = (block[0] ?? 0) & 0x7f
  const salt = block.subarray(-bytes.length)
  const padding = Buffer.concat([Buffer.alloc(split - bytes.length - 1), Buffer.of(1)])
  return block.subarray(0, -bytes.length).equals(padding) && hashOf(hash, ZEROS, bytes, salt).equals(h)
}
