import { createPublicKey, diffieHellman, type KeyObject } from "node:crypto"
import { ALL_SIGNING_ALGORITHMS, algorithmsOf, requireAlgorithm } from "../crypto/algorithms.js"
import { privateKeyOf, publicKeyOf } from "../crypto/key-object.js"
import { keyOperation, USE_FIELDS, useOperation } from "./operation.js"
import { documented, recorded } from "../protocol/refusal.js"
import { blob, oneOf, required } from "../protocol/request.js"
import { signMessage, verifyMessage } from "../crypto/signature.js"

const MESSAGE = required(blob({ max: 4096 }))
const MESSAGE_TYPE = oneOf(["RAW", "DIGEST", "EXTERNAL_MU"])
const ALGORITHM = required(oneOf(ALL_SIGNING_ALGORITHMS))

export const Sign = useOperation({
  name: "Sign",
  usage: "SIGN_VERIFY",
  request: { Message: MESSAGE, MessageType: MESSAGE_TYPE, SigningAlgorithm: ALGORITHM },
  run(key, { Message: bytes, MessageType: type = "RAW", SigningAlgorithm }) {
    requireAlgorithm(key, SigningAlgorithm)
    if (type === "EXTERNAL_MU") throw recorded.wrongMessageType(type, key.keySpec)
    return {
      KeyId: key.arn,
      Signature: signMessage(key, { bytes, type, algorithm: SigningAlgorithm }),
      SigningAlgorithm,
    }
  },
})

export const Verify = useOperation({
  name: "Verify",
  usage: "SIGN_VERIFY",
  request: {
    Message: MESSAGE,
    MessageType: MESSAGE_TYPE,
    Signature: required(blob({ max: 6144 })),
    SigningAlgorithm: ALGORITHM,
  },
  run(key, { Message: bytes, MessageType: type = "RAW", Signature, SigningAlgorithm }) {
    requireAlgorithm(key, SigningAlgorithm)
    if (type === "EXTERNAL_MU") throw recorded.wrongMessageType(type, key.keySpec)
    const message = { bytes, type, algorithm: SigningAlgorithm }
    if (!verifyMessage(key, message, Signature)) throw documented.invalidSignature()
    return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm }
  },
})

export const GetPublicKey = keyOperation({
  aliases: "aliases",
  state: "publicKey",
  request: { GrantTokens: USE_FIELDS.GrantTokens },
  run: (key) => ({
    KeyId: key.arn,
    PublicKey: publicKeyOf(key),
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    KeyUsage: key.keyUsage,
    ...algorithmsOf(key),
  }),
})

function readPublicKey(bytes: Buffer): KeyObject {
  try {
    const key = createPublicKey({ key: bytes, format: "der", type: "spki" })
    // node:crypto takes what follows the key without a word
    if (key.export({ format: "der", type: "spki" }).length === bytes.length) return key
  } catch {
    // falls through to the refusal
  }
  throw recorded.otherCurve()
}

export const DeriveSharedSecret = useOperation({
  name: "DeriveSharedSecret",
  usage: "KEY_AGREEMENT",
  request: { KeyAgreementAlgorithm: required(oneOf(["ECDH"])), PublicKey: required(blob({ max: 8192 })) },
  run(key, { KeyAgreementAlgorithm, PublicKey }) {
    const privateKey = privateKeyOf(key)
    // OpenSSL agrees on no secrets with a key of that curve that it has read
    if (key.keySpec === "SM2") throw documented.unsupported("the local KMS does not have ECDH over SM2")
    const publicKey = readPublicKey(PublicKey)
    if (publicKey.asymmetricKeyDetails?.namedCurve !== privateKey.asymmetricKeyDetails?.namedCurve) {
      throw recorded.otherCurve()
    }
    const SharedSecret = diffieHellman({ privateKey, publicKey })
    return { KeyId: key.arn, SharedSecret, KeyAgreementAlgorithm, KeyOrigin: "EXTERNAL" }
  },
})
