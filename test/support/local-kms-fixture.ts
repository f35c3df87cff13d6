import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto"
import type { ImportKeyMaterialRequest, KMS } from "@aws-sdk/client-kms"
import { KEY_SPECS, type KeySpec, type KeyUsage, type WrappingKeySpec } from "#src/core/key/key-spec.js"
import { type OaepHash, openssl, wrapAes, wrapOaep } from "#test/support/openssl.js"

export const ALGORITHMS = {
  RSAES_OAEP_SHA_1: { hybrid: false, hash: "sha1" },
  RSAES_OAEP_SHA_256: { hybrid: false, hash: "sha256" },
  RSA_AES_KEY_WRAP_SHA_1: { hybrid: true, hash: "sha1" },
  RSA_AES_KEY_WRAP_SHA_256: { hybrid: true, hash: "sha256" },
} as const satisfies Record<string, { hybrid: boolean; hash: OaepHash }>

export type Algorithm = keyof typeof ALGORITHMS

export const ALGORITHM_NAMES = Object.keys(ALGORITHMS) as readonly Algorithm[]

const GENPKEY: Partial<Record<KeySpec, readonly string[]>> = {
  RSA_2048: ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  RSA_3072: ["RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
  RSA_4096: ["RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
  ECC_NIST_P256: ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  ECC_NIST_P384: ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
  ECC_NIST_P521: ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
  ECC_SECG_P256K1: ["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
  ECC_NIST_EDWARDS25519: ["ED25519"],
}

/** A new private key of the key spec as PKCS #8 in DER, by `openssl genpkey` and `openssl pkcs8`; RSA 4096 takes a second. */
export function makePkcs8(keySpec: KeySpec): Buffer {
  using tool = openssl()
  tool.run("genpkey", "-algorithm", ...(GENPKEY[keySpec] ?? []), "-out", "key.pem")
  return tool.run("pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER")
}

/** New material as KMS wants it for the key spec. */
export function makeMaterial(keySpec: KeySpec): Buffer {
  return GENPKEY[keySpec] === undefined ? randomBytes(KEY_SPECS[keySpec].bits / 8) : makePkcs8(keySpec)
}

export function spkiOf(pkcs8: Buffer): Buffer {
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  return createPublicKey(key).export({ format: "der", type: "spki" })
}

/** Wraps by the OpenSSL command line, as the algorithm wants it. */
export function wrapWith(algorithm: Algorithm, publicKey: Uint8Array, material: Uint8Array): Buffer {
  const { hybrid, hash } = ALGORITHMS[algorithm]
  if (!hybrid) return wrapOaep(publicKey, material, hash)
  const aesKey = randomBytes(32)
  return Buffer.concat([wrapOaep(publicKey, aesKey, hash), wrapAes(aesKey, material)])
}

export async function createKey(
  client: KMS,
  keySpec: KeySpec = "SYMMETRIC_DEFAULT",
  usage?: KeyUsage,
): Promise<string> {
  const KeyUsage = usage ?? KEY_SPECS[keySpec].usages.at(-1)
  const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", KeySpec: keySpec, KeyUsage })
  return KeyMetadata!.Arn!
}

export interface Lent {
  readonly publicKey: Uint8Array
  readonly importToken: Uint8Array
}

export async function getParameters(
  client: KMS,
  KeyId: string,
  algorithm: Algorithm,
  spec: WrappingKeySpec = "RSA_2048",
): Promise<Lent> {
  const answer = await client.getParametersForImport({
    KeyId,
    WrappingAlgorithm: algorithm,
    WrappingKeySpec: spec,
  })
  return { publicKey: answer.PublicKey!, importToken: answer.ImportToken! }
}

/** The algorithm that KMS takes for every key of this kind. */
export const usualAlgorithm = (keySpec: KeySpec): Algorithm =>
  KEY_SPECS[keySpec].rsaAes ? "RSA_AES_KEY_WRAP_SHA_256" : "RSAES_OAEP_SHA_256"

type ImportOptions = Partial<ImportKeyMaterialRequest> & { readonly keySpec?: KeySpec }

/** Wraps and imports material, for ever unless the options say otherwise; returns the key material ID. */
export async function importMaterial(
  client: KMS,
  KeyId: string,
  material: Uint8Array,
  { keySpec = "SYMMETRIC_DEFAULT", ...options }: ImportOptions = {},
): Promise<string | undefined> {
  const algorithm = usualAlgorithm(keySpec)
  const lent = await getParameters(client, KeyId, algorithm)
  const answer = await client.importKeyMaterial({
    KeyId,
    ImportToken: lent.importToken,
    EncryptedKeyMaterial: wrapWith(algorithm, lent.publicKey, material),
    ...(options.ValidTo === undefined ? { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" } : {}),
    ...options,
  })
  return answer.KeyMaterialId
}

/** A new key that holds the material. */
export async function importedKey(client: KMS, keySpec: KeySpec, material: Uint8Array, usage?: KeyUsage) {
  const KeyId = await createKey(client, keySpec, usage)
  await importMaterial(client, KeyId, material, { keySpec })
  return KeyId
}

export interface Refusal {
  readonly name: string
  readonly message: string
}

/** How the service refused; `name` is empty if it did not. The SDK says UnknownError where the service sends no message. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call
  } catch (error) {
    const { name, message } = error as Error
    return { name, message: message === "UnknownError" ? "" : message }
  }
  return { name: "", message: "not refused" }
}
