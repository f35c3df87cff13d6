import { constants, createDecipheriv, createHash, type KeyObject, privateDecrypt } from "node:crypto"
import type { OaepHash } from "../../core/key/wrapping-algorithm.js"

/** A wrapped value opened outside the token, or in words what is wrong with it. */
export type Opened = { readonly value: Buffer } | { readonly flaw: string }

const NODE_HASH: Readonly<Record<OaepHash, string>> = { "SHA-1": "sha1", "SHA-256": "sha256" }
const HASHES: Readonly<Record<string, string>> = {
  sha1: "SHA-1",
  sha224: "SHA-224",
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512",
}

/** Opens RSAES-OAEP (RFC 8017 section 7.1.2) with this hash for OAEP and MGF1 and no label, as KMS will. */
export function openOaep(bytes: Buffer, key: KeyObject, hash: OaepHash): Opened {
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    return { value: privateDecrypt({ key, padding, oaepHash: NODE_HASH[hash] }, bytes) }
  } catch {
    return { flaw: oaepFlaw(bytes, key, hash) }
  }
}

/** What was done instead of OAEP with the hash that was asked for. */
function oaepFlaw(bytes: Buffer, key: KeyObject, expected: OaepHash): string {
  let encoded: Buffer
  try {
    encoded = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, bytes)
  } catch {
    return "is no RSA ciphertext under the wrapping key"
  }
  for (const hash of Object.keys(HASHES)) {
    for (const mgfHash of Object.keys(HASHES)) {
      if (!isOaep(encoded, hash, mgfHash)) continue
      const [oaep = "", mgf = ""] = [HASHES[hash], HASHES[mgfHash]]
      if (hash !== mgfHash) return `uses ${oaep} for OAEP but ${mgf} for MGF1`
      return `uses ${oaep} whatever hash is asked (${expected} was)`
    }
  }
  // last, since one in 256 blocks of OAEP begins so
  if (isPkcs1(encoded)) return "pads by PKCS #1 v1.5 instead of OAEP"
  return "does not open with any OAEP hash"
}

/** EME-PKCS1-v1_5 (RFC 8017 section 7.2.1): 00 02, at least eight bytes that are not zero, 00, the message. */
function isPkcs1(encoded: Buffer): boolean {
  return encoded[0] === 0 && encoded[1] === 2 && encoded.indexOf(0, 2) >= 10
}

/** EME-OAEP decoding of steps 3.b to 3.g, empty label. */
function isOaep(encoded: Buffer, hash: string, mgfHash: string): boolean {
  const labelHash = createHash(hash).digest()
  const seedEnd = 1 + labelHash.length
  if (encoded[0] !== 0 || encoded.length < 2 * labelHash.length + 2) return false
  const maskedBlock = encoded.subarray(seedEnd)
  const seed = xor(encoded.subarray(1, seedEnd), mgf1(maskedBlock, labelHash.length, mgfHash))
  const block = xor(maskedBlock, mgf1(seed, maskedBlock.length, mgfHash))
  return block.subarray(0, labelHash.length).equals(labelHash)
}

function mgf1(seed: Buffer, length: number, hash: string): Buffer {
  const blocks: Buffer[] = []
  for (let counter = 0; Buffer.concat(blocks).length < length; counter++) {
    const suffix = Buffer.alloc(4)
    suffix.writeUInt32BE(counter)
    blocks.push(createHash(hash).update(seed).update(suffix).digest())
  }
  return Buffer.concat(blocks).subarray(0, length)
}

function xor(bytes: Buffer, mask: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (mask[index] ?? 0)))
}

/** Alternative initial value of RFC 5649 section 3, and the default one of RFC 3394 section 2.2.3.1. */
const KWP_MARK = Buffer.from("a65959a6", "hex")
const KW_MARK = Buffer.alloc(8, 0xa6)

/** Opens AES key wrap with padding (RFC 5649): mark, length indicator and zero padding all as they must be. */
export function openKwp(bytes: Buffer, aesKey: Buffer): Opened {
  if (bytes.length < 16 || bytes.length % 8 !== 0) return { flaw: `gives ${bytes.length} bytes, no whole blocks` }
  try {
    const decipher = createDecipheriv("id-aes256-wrap-pad", aesKey, KWP_MARK)
    return { value: Buffer.concat([decipher.update(bytes), decipher.final()]) }
  } catch {
    return { flaw: kwpFlaw(bytes, aesKey) }
  }
}

/** What was done instead of RFC 5649. */
function kwpFlaw(bytes: Buffer, aesKey: Buffer): string {
  const { mark, value } = unwrapBlocks(bytes, aesKey)
  if (mark.subarray(0, 4).equals(KWP_MARK)) {
    return `has a wrong RFC 5649 length indicator or padding (${mark.readUInt32BE(4)} for ${value.length} bytes)`
  }
  if (!mark.equals(KW_MARK)) return "is neither RFC 5649 nor RFC 3394 under the AES key"
  const last = value.at(-1) ?? 0
  const padded = last >= 1 && last <= 16 && value.subarray(-last).every((byte) => byte === last)
  return padded ? "is RFC 3394 with PKCS #7 padding, not RFC 5649" : "is RFC 3394 without a length, not RFC 5649"
}

/** Unwrapping of RFC 3394 section 2.2.2 without judging the integrity value. */
function unwrapBlocks(bytes: Buffer, aesKey: Buffer): { mark: Buffer; value: Buffer } {
  const blocks = bytes.length / 8 - 1
  let mark = Buffer.from(bytes.subarray(0, 8))
  const value = Buffer.from(bytes.subarray(8))
  for (let step = 6 * blocks; step >= 1; step--) {
    const offset = ((step - 1) % blocks) * 8
    mark.writeUInt32BE((mark.readUInt32BE(4) ^ step) >>> 0, 4)
    const decipher = createDecipheriv("aes-256-ecb", aesKey, null).setAutoPadding(false)
    const plain = decipher.update(Buffer.concat([mark, value.subarray(offset, offset + 8)]))
    mark = Buffer.from(plain.subarray(0, 8))
    plain.copy(value, offset, 8)
  }
  return { mark, value }
}
