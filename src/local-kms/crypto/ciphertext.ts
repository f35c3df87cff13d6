import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { recorded } from "../protocol/refusal.js"
import type { Key, Material, Region } from "../state/state.js"

export type EncryptionContext = Readonly<Record<string, string>> | undefined

/** The five bytes with which the real service's blobs were seen to begin; the key material ID follows. */
const HEADER = Buffer.from("0102020078", "hex")
const MATERIAL_ID_BYTES = 32
/** A UUID in text, or `mrk-` and 32 hex digits. */
const KEY_ID_BYTES = 36
const IV_BYTES = 12
const TAG_BYTES = 16
const KEY_ID = HEADER.length + MATERIAL_ID_BYTES
const BODY = KEY_ID + KEY_ID_BYTES

/** The encryption context in one form, whatever the order of its members. */
function contextBytes(context: EncryptionContext): Buffer {
  const entries = Object.entries(context ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(JSON.stringify(entries))
}

/** A material of a key, under which is encrypted. */
export interface KeyAndMaterial {
  readonly key: Key
  readonly material: Material
}

function secretOf({ key, material }: KeyAndMaterial): Buffer {
  const secret = key.holdings.get(material.id)?.secret
  if (secret === undefined) throw recorded.pendingImport(key.arn)
  return Buffer.from(secret, "base64")
}

/** AES-256, or for the 128 bits of a China Region, where KMS has SM4, AES-128: nobody can tell by the ciphertext. */
function cipherOf(keyAndMaterial: KeyAndMaterial): ["aes-256-gcm" | "aes-128-gcm", Buffer] {
  const secret = secretOf(keyAndMaterial)
  return [secret.length === 16 ? "aes-128-gcm" : "aes-256-gcm", secret]
}

/** Encrypts under a material: `header || key material ID || key ID || iv || AES-256-GCM(plaintext) || tag`. */
export function seal(keyAndMaterial: KeyAndMaterial, plaintext: Uint8Array, context: EncryptionContext): Buffer {
  const { key, material } = keyAndMaterial
  const head = Buffer.concat([HEADER, Buffer.from(material.id, "hex"), Buffer.from(key.id)])
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(...cipherOf(keyAndMaterial), iv)
  cipher.setAAD(Buffer.concat([head, contextBytes(context)]))
  return Buffer.concat([head, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** The key and the material that a ciphertext names; InvalidCiphertextException if this Region has none such. */
export function materialOf(region: Region, ciphertext: Buffer): KeyAndMaterial {
  const wellFormed =
    ciphertext.length >= BODY + IV_BYTES + TAG_BYTES && ciphertext.subarray(0, HEADER.length).equals(HEADER)
  const key = wellFormed ? region.keys.get(ciphertext.toString("latin1", KEY_ID, BODY)) : undefined
  const id = ciphertext.toString("hex", HEADER.length, KEY_ID)
  const material = key?.set.materials.find((candidate) => candidate.id === id)
  if (key === undefined || material === undefined) throw recorded.invalidCiphertext()
  return { key, material }
}

/** Opens a ciphertext; InvalidCiphertextException if it was changed or the encryption context is another. */
export function unseal(keyAndMaterial: KeyAndMaterial, ciphertext: Buffer, context: EncryptionContext): Buffer {
  const iv = ciphertext.subarray(BODY, BODY + IV_BYTES)
  const decipher = createDecipheriv(...cipherOf(keyAndMaterial), iv)
  decipher.setAAD(Buffer.concat([ciphertext.subarray(0, BODY), contextBytes(context)]))
  decipher.setAuthTag(ciphertext.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(ciphertext.subarray(BODY + IV_BYTES, -TAG_BYTES)), decipher.final()])
  } catch {
    throw recorded.invalidCiphertext()
  }
}
