import { expect } from "chai"
import { KEY_SPECS, type KeySpec, WRAPPING_KEY_SPECS, type WrappingKeySpec } from "#src/core/key/key-spec.js"
import type { OpenSsl } from "#test/support/openssl.js"
import type { Cell } from "./matrix-cells.js"
import { type Carried, MESSAGE } from "./matrix-process.js"

/** The length of secret material, to the byte; private keys have the length that their DER says. */
const SECRET_BYTES: Partial<Record<KeySpec, number>> = {
  SYMMETRIC_DEFAULT: 32,
  HMAC_224: 28,
  HMAC_256: 32,
  HMAC_384: 48,
  HMAC_512: 64,
}

/** Makes a key pair of the test, whose private half stays in the folder; gives the public half, DER in base64. */
export function localKey(tool: OpenSsl, spec: WrappingKeySpec): string {
  const bits = String(WRAPPING_KEY_SPECS[spec].modulusBits)
  tool.run("genpkey", "-algorithm", "RSA", "-pkeyopt", `rsa_keygen_bits:${bits}`, "-out", `${spec}.pem`)
  tool.run("pkey", "-in", `${spec}.pem`, "-pubout", "-outform", "DER", "-out", `${spec}.der`)
  return tool.read(`${spec}.der`).toString("base64")
}

/** Opens wrapped key material with the commands of OpenSSL, as KMS must: nothing here knows keyferry's code. */
export function openWithOpenSsl(tool: OpenSsl, blob: Buffer, cell: Cell): Buffer {
  const hash = cell.wrappingAlgorithm.endsWith("SHA_256") ? "sha256" : "sha1"
  const oaepBytes = WRAPPING_KEY_SPECS[cell.wrappingKeySpec].modulusBits / 8
  tool.write("oaep.bin", blob.subarray(0, oaepBytes))
  const options = ["rsa_padding_mode:oaep", `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${hash}`]
  const flags = options.flatMap((option) => ["-pkeyopt", option])
  const head = tool.run("pkeyutl", "-decrypt", "-inkey", `${cell.wrappingKeySpec}.pem`, "-in", "oaep.bin", ...flags)
  if (cell.wrappingAlgorithm.startsWith("RSAES_OAEP")) {
    if (blob.length !== oaepBytes) throw new Error(`${blob.length - oaepBytes} bytes after the OAEP ciphertext`)
    return head
  }
  if (head.length !== 32) throw new Error(`an AES key of ${head.length} bytes`)
  tool.write("kwp.bin", blob.subarray(oaepBytes))
  const kwp = ["-d", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", head.toString("hex")]
  return tool.run("enc", ...kwp, "-in", "kwp.bin")
}

/** The value is the token's own key: by its public key, by a MAC, or by its check value where the token has one. */
export function assertKey(tool: OpenSsl, where: string, keySpec: KeySpec, value: Buffer, carried: Carried): void {
  const { mac } = KEY_SPECS[keySpec]
  if (carried.publicKey !== null) {
    const header = derHeader(value)
    expect(header.bytes + header.contentBytes, `${where}: DER to the last byte`).to.equal(value.length)
    // version 0 and a short AlgorithmIdentifier: PKCS #8, neither SEC1 nor PKCS #1
    expect(value.subarray(header.bytes, header.bytes + 4).toString("hex"), where).to.equal("02010030")
    tool.write("key.der", value)
    const publicKey = tool.run("pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER")
    expect(publicKey.toString("base64"), where).to.equal(carried.publicKey)
    return
  }
  expect(value.length, where).to.equal(SECRET_BYTES[keySpec])
  if (mac) {
    tool.write("message.bin", Buffer.from(MESSAGE))
    const key = `hexkey:${value.toString("hex")}`
    const own = tool.run("dgst", `-${mac.hash}`, "-mac", "HMAC", "-macopt", key, "-binary", "message.bin")
    expect(own.toString("hex"), where).to.equal(carried.mac)
  } else if (carried.kcv !== null) {
    tool.write("zeros.bin", Buffer.alloc(16))
    const block = tool.run("enc", "-aes-256-ecb", "-nopad", "-K", value.toString("hex"), "-in", "zeros.bin")
    expect(block.subarray(0, 3).toString("hex"), where).to.equal(carried.kcv)
  }
}

/** Length of the identifier and length octets, and what they say of the content (X.690 section 8.1.3). */
function derHeader(der: Buffer): { readonly bytes: number; readonly contentBytes: number } {
  const first = der[1] ?? 0
  if (first < 0x80) return { bytes: 2, contentBytes: first }
  const octets = first & 0x7f
  return { bytes: 2 + octets, contentBytes: der.readUIntBE(2, octets) }
}
