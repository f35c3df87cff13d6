import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { isAsymmetric } from "../protocol/key-spec.js"
import { currentMaterial } from "../state/material.js"
import { recorded } from "../protocol/refusal.js"
import type { Key } from "../state/state.js"

/** The bytes of the current material; refuses a key that has none. */
export function currentSecret(key: Key): Buffer {
  const material = currentMaterial(key)
  const secret = material && key.holdings.get(material.id)?.secret
  if (secret === undefined) throw recorded.pendingImport(key.arn)
  return Buffer.from(secret, "base64")
}

export function privateKeyOf(key: Key): KeyObject {
  if (!isAsymmetric(key.keySpec)) throw recorded.notThisKeySpec()
  return createPrivateKey({ key: currentSecret(key), format: "der", type: "pkcs8" })
}

/** SubjectPublicKeyInfo in DER. */
export function publicKeyOf(key: Key): Buffer {
  return createPublicKey(privateKeyOf(key)).export({ format: "der", type: "spki" })
}
