/**
 * Opens wrapped key material by node:crypto alone, in a process without a PKCS #11 module: one that holds SoftHSM has
 * errors of it in OpenSSL's queue. Reads `Job[]` as JSON from standard input and prints `Result[]`.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
} from "node:crypto"
import { text } from "node:stream/consumers"

export interface Job {
  /** PKCS #8, DER, base64, of the RSA pair that lent the wrapping key. */
  readonly unwrappingKey: string
  readonly oaepHash: "sha1" | "sha256"
  /** Whether it is `RSA-OAEP(aesKey) || AES-KWP(material)`. */
  readonly composed: boolean
  /** base64 */
  readonly wrapped: string
  /** Name of a hash to MAC `message` with; null for a private key. */
  readonly mac: { readonly hash: string; readonly message: string } | null
  readonly pair: boolean
}

export interface Result {
  /** Bytes of the material. */
  readonly length: number
  /** base64 */
  readonly mac: string | null
  /** SubjectPublicKeyInfo, base64. */
  readonly publicKey: string | null
  /** First three bytes of AES-256 over a zero block, hex: CKA_CHECK_VALUE of an AES key. */
  readonly checkValue: string | null
}

function open(job: Job): Result {
  const key = createPrivateKey({ key: Buffer.from(job.unwrappingKey, "base64"), format: "der", type: "pkcs8" })
  const bytes = Buffer.from(job.wrapped, "base64")
  const oaepBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  const head = privateDecrypt({ key, oaepHash: job.oaepHash }, bytes.subarray(0, oaepBytes))
  const material = job.composed ? unwrap(head, bytes.subarray(oaepBytes)) : head
  return {
    length: material.length,
    mac: job.mac
      ? createHmac(job.mac.hash, material).update(Buffer.from(job.mac.message, "base64")).digest("base64")
      : null,
    publicKey: job.pair
      ? createPublicKey(createPrivateKey({ key: material, format: "der", type: "pkcs8" }))
          .export({ format: "der", type: "spki" })
          .toString("base64")
      : null,
    checkValue: material.length === 32 ? checkValueOf(material) : null,
  }
}

function checkValueOf(material: Buffer): string {
  const cipher = createCipheriv("aes-256-ecb", material, null)
  return cipher.update(Buffer.alloc(16)).subarray(0, 3).toString("hex")
}

function unwrap(aesKey: Buffer, wrapped: Buffer): Buffer {
  const decipher = createDecipheriv("id-aes256-wrap-pad", aesKey, Buffer.from("a65959a6", "hex"))
  return Buffer.concat([decipher.update(wrapped), decipher.final()])
}

const jobs = JSON.parse(await text(process.stdin)) as readonly Job[]
process.stdout.write(JSON.stringify(jobs.map(open)))
