import { createHmac, timingSafeEqual } from "node:crypto"
import { KEY_SPECS } from "../protocol/key-spec.js"
import { MAC_ALGORITHMS, requireAlgorithm } from "../crypto/algorithms.js"
import { currentSecret } from "../crypto/key-object.js"
import { useOperation } from "./operation.js"
import { documented, recorded } from "../protocol/refusal.js"
import { blob, oneOf, required } from "../protocol/request.js"
import type { Key } from "../state/state.js"

const MESSAGE = required(blob({ max: 4096 }))
const ALGORITHM = required(oneOf(MAC_ALGORITHMS))

function macOf(key: Key, algorithm: string, message: Buffer): Buffer {
  requireAlgorithm(key, algorithm)
  const hash = KEY_SPECS[key.keySpec].mac?.hash
  if (hash === undefined) throw recorded.wrongAlgorithm(algorithm, key.keySpec)
  return createHmac(hash, currentSecret(key)).update(message).digest()
}

export const GenerateMac = useOperation({
  name: "GenerateMac",
  usage: "GENERATE_VERIFY_MAC",
  request: { Message: MESSAGE, MacAlgorithm: ALGORITHM },
  run: (key, { Message, MacAlgorithm }) => ({
    KeyId: key.arn,
    Mac: macOf(key, MacAlgorithm, Message),
    MacAlgorithm,
  }),
})

export const VerifyMac = useOperation({
  name: "VerifyMac",
  usage: "GENERATE_VERIFY_MAC",
  request: { Message: MESSAGE, MacAlgorithm: ALGORITHM, Mac: required(blob({ max: 6144 })) },
  run(key, { Message, MacAlgorithm, Mac }) {
    const expected = macOf(key, MacAlgorithm, Message)
    if (Mac.length !== expected.length || !timingSafeEqual(Mac, expected)) throw documented.invalidMac()
    return { KeyId: key.arn, MacValid: true, MacAlgorithm }
  },
})
