import { KeyferryError } from "../core/base/error.js"
import type { Kms } from "../core/ports/kms.js"
import { ANSWERS } from "./answer.js"
import { ofOtherKey, otherThan } from "./call.js"
import type { Session } from "./session.js"

interface SignAnswer {
  readonly KeyId?: string | undefined
  readonly SigningAlgorithm?: string | undefined
}

/** Uses of a KMS key by which its material is proven. */
export function useOperations({ call }: Session): Pick<Kms, "getPublicKey" | "verifyMac" | "sign"> {
  return {
    async getPublicKey(keyArn) {
      const operation = "GetPublicKey"
      const input = { KeyId: keyArn }
      const contradiction = ({ KeyId }: { KeyId?: string | undefined }): string | null => ofOtherKey(KeyId, keyArn)
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.GetPublicKey, contradiction }
      return (await call(request)).answer.PublicKey
    },

    async verifyMac(keyArn, message, mac, algorithm) {
      const operation = "VerifyMac"
      const input = { KeyId: keyArn, Message: message, Mac: mac, MacAlgorithm: algorithm }
      const contradiction = ({
        KeyId,
        MacAlgorithm,
      }: {
        KeyId?: string | undefined
        MacAlgorithm?: string | undefined
      }) => ofOtherKey(KeyId, keyArn) ?? otherThan("algorithm", MacAlgorithm, algorithm)
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.VerifyMac, contradiction }
      try {
        return (await call(request)).answer.MacValid
      } catch (error) {
        if (error instanceof KeyferryError && error.causes[0]?.code === "KMSInvalidMacException") return false
        throw error
      }
    },

    async sign(keyArn, message, algorithm) {
      const operation = "Sign"
      const input = {
        KeyId: keyArn,
        Message: message,
        MessageType: "RAW",
        SigningAlgorithm: algorithm,
      } as const
      const contradiction = ({ KeyId, SigningAlgorithm }: SignAnswer) =>
        ofOtherKey(KeyId, keyArn) ?? otherThan("algorithm", SigningAlgorithm, algorithm)
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.Sign, contradiction }
      return (await call(request)).answer.Signature
    },
  }
}
