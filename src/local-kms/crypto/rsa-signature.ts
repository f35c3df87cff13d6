import { constants, createHash, type KeyObject, privateEncrypt, publicDecrypt, randomBytes } from "node:crypto"
import { der, TAG } from "./ber.js"

export type Hash = "sha256" | "sha384" | "sha512"

const OIDS: Readonly<Record<Hash, Buffer>> = {
  sha256: Buffer.from("608648016503040201", "hex"),
  sha384: Buffer.from("608648016503040202", "hex"),
  sha512: Buffer.from("608648016503040203", "hex"),
}

const { RSA_NO_PADDING, RSA_PKCS1_PADDING } = constants

/** DigestInfo of RFC 8017 section 9.2. */
function digestInfo(hash: Hash, digest: Buffer): Buffer {
  return der(TAG.SEQUENCE, der(TAG.SEQUENCE, der(TAG.OID, OIDS[hash]), der(TAG.NULL)), der(TAG.OCTET_STRING, digest))
}

/** RSASSA-PKCS1-v1_5 of a digest, which node:crypto signs only together with the hashing. */
export function signPkcs1(key: KeyObject, hash: Hash, digest: Buffer): Buffer {
  return privateEncrypt({ key, padding: RSA_PKCS1_PADDING }, digestInfo(hash, digest))
}

export function verifyPkcs1(key: KeyObject, hash: Hash, digest: Buffer, signature: Buffer): boolean {
  return publicDecrypt({ key, padding: RSA_PKCS1_PADDING }, signature).equals(digestInfo(hash, digest))
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

const ZEROS = Buffer.alloc(8)
const TRAILER = 0xbc

/** EMSA-PSS of RFC 8017 section 9.1.1 with a salt as long as the hash; all moduli here are whole bytes. */
export function signPss(key: KeyObject, size: number, hash: Hash, digest: Buffer): Buffer {
  const salt = randomBytes(digest.length)
  const h = hashOf(hash, ZEROS, digest, salt)
  const padding = Buffer.alloc(size - 2 * digest.length - 2)
  const masked = mask(hash, h, Buffer.concat([padding, Buffer.of(1), salt]))
  masked[0] = (masked[0] ?? 0) & 0x7f
  return privateEncrypt({ key, padding: RSA_NO_PADDING }, Buffer.concat([masked, h, Buffer.of(TRAILER)]))
}

/** EMSA-PSS verification, RFC 8017 section 9.1.2. */
export function verifyPss(key: KeyObject, size: number, hash: Hash, digest: Buffer, signature: Buffer): boolean {
  if (signature.length !== size) return false
  const encoded = publicDecrypt({ key, padding: RSA_NO_PADDING }, signature)
  const split = size - digest.length - 1
  const masked = encoded.subarray(0, split)
  const h = encoded.subarray(split, -1)
  if (encoded.at(-1) !== TRAILER || (masked[0] ?? 0) >= 0x80) return false
  const block = mask(hash, h, masked)
  block[0] = (block[0] ?? 0) & 0x7f
  const salt = block.subarray(-digest.length)
  const padding = Buffer.concat([Buffer.alloc(split - digest.length - 1), Buffer.of(1)])
  return block.subarray(0, -digest.length).equals(padding) && hashOf(hash, ZEROS, digest, salt).equals(h)
}
