import { generateKeyPair, randomBytes } from "node:crypto"
import { promisify } from "node:util"
import { requireAlgorithm } from "../crypto/algorithms.js"
import { encryptWith } from "./encrypt.js"
import { operation, useOperation } from "./operation.js"
import { documented, recorded } from "../protocol/refusal.js"
import { oneOf, required, textMap, wholeNumber } from "../protocol/request.js"
import { currentMaterial } from "../state/material.js"

const DATA_KEY = {
  EncryptionContext: textMap(),
  KeySpec: oneOf(["AES_256", "AES_128"]),
  NumberOfBytes: wholeNumber(1, 1024),
}
const DATA_KEY_BYTES = { AES_256: 32, AES_128: 16 } as const

const dataKey = (name: string, withPlaintext: boolean) =>
  useOperation({
    name,
    usage: "ENCRYPT_DECRYPT",
    request: DATA_KEY,
    run(key, { EncryptionContext, KeySpec, NumberOfBytes }) {
      if (KeySpec === undefined && NumberOfBytes === undefined) throw recorded.noLength()
      if (KeySpec !== undefined && NumberOfBytes !== undefined) {
        throw documented.invalid("Please specify either number of bytes or key spec.")
      }
      const plaintext = randomBytes(NumberOfBytes ?? DATA_KEY_BYTES[KeySpec ?? "AES_256"])
      const encryption = { algorithm: "SYMMETRIC_DEFAULT", context: EncryptionContext } as const
      const CiphertextBlob = encryptWith(key, encryption, plaintext)
      const answer = { KeyId: key.arn, CiphertextBlob, KeyMaterialId: currentMaterial(key)?.id }
      return withPlaintext ? { ...answer, Plaintext: plaintext } : answer
    },
  })

export const GenerateDataKey = dataKey("GenerateDataKey", true)
export const GenerateDataKeyWithoutPlaintext = dataKey("GenerateDataKeyWithoutPlaintext", false)

const generate = promisify(generateKeyPair)
const rsa = (modulusLength: number) => () => generate("rsa", { modulusLength })
const ec = (namedCurve: string) => () => generate("ec", { namedCurve })

const PAIRS = {
  RSA_2048: rsa(2048),
  RSA_3072: rsa(3072),
  RSA_4096: rsa(4096),
  ECC_NIST_P256: ec("prime256v1"),
  ECC_NIST_P384: ec("secp384r1"),
  ECC_NIST_P521: ec("secp521r1"),
  ECC_SECG_P256K1: ec("secp256k1"),
  ECC_NIST_EDWARDS25519: () => generate("ed25519", {}),
} as const
const PAIR_SPECS = [...(Object.keys(PAIRS) as (keyof typeof PAIRS)[]), "SM2"] as const

const dataKeyPair = (name: string, withPlaintext: boolean) =>
  useOperation({
    name,
    usage: "ENCRYPT_DECRYPT",
    request: {
      EncryptionContext: textMap(),
      KeyPairSpec: required(oneOf(PAIR_SPECS)),
    },
    async run(key, { EncryptionContext, KeyPairSpec }) {
      requireAlgorithm(key, "SYMMETRIC_DEFAULT")
      if (KeyPairSpec === "SM2") throw documented.unsupported("SM2 is for the Regions of China, and not made here")
      const pair = await PAIRS[KeyPairSpec]()
      const privateKey = pair.privateKey.export({ format: "der", type: "pkcs8" })
      const encryption = { algorithm: "SYMMETRIC_DEFAULT", context: EncryptionContext } as const
      return {
        KeyId: key.arn,
        KeyPairSpec,
        PublicKey: pair.publicKey.export({ format: "der", type: "spki" }),
        PrivateKeyCiphertextBlob: encryptWith(key, encryption, privateKey),
        ...(withPlaintext ? { PrivateKeyPlaintext: privateKey } : {}),
        KeyMaterialId: currentMaterial(key)?.id,
      }
    },
  })

export const GenerateDataKeyPair = dataKeyPair("GenerateDataKeyPair", true)
export const GenerateDataKeyPairWithoutPlaintext = dataKeyPair("GenerateDataKeyPairWithoutPlaintext", false)

export const GenerateRandom = operation({
  request: { NumberOfBytes: wholeNumber(1, 1024) },
  run(_, { NumberOfBytes }) {
    if (NumberOfBytes === undefined) throw recorded.noLength()
    return { Plaintext: randomBytes(NumberOfBytes) }
  },
})
