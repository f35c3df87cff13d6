import {
  GetPublicKeyCommand,
  type MacAlgorithmSpec,
  SignCommand,
  type SigningAlgorithmSpec,
  VerifyMacCommand,
} from "@aws-sdk/client-kms"
import { KeyferryError } from "../core/base/error.js"
import type { Kms } from "../core/ports/kms.js"
import { required, requiredBytes, sameKey } from "./answer.js"
import type { Session } from "./session.js"

const GET_PUBLIC_KEY_MOST_BYTES = 8192
const SIGNATURE_MOST_BYTES = 6144

/** Uses of a KMS key by which its material is proven. */
export function useOperations({ client, call }: Session): Pick<Kms, "getPublicKey" | "verifyMac" | "sign"> {
  return {
    async getPublicKey(keyArn) {
      const operation = "GetPublicKey"
      const input = { KeyId: keyArn }
      const output = await call({ operation, input, keyId: keyArn }, () => client.send(new GetPublicKeyCommand(input)))
      if (output.KeyId !== undefined) sameKey(output.KeyId, keyArn, operation)
      return requiredBytes(output.PublicKey, { operation, name: "PublicKey", most: GET_PUBLIC_KEY_MOST_BYTES })
    },

    async verifyMac(keyArn, message, mac, algorithm) {
      const operation = "VerifyMac"
      const input = { KeyId: keyArn, Message: message, Mac: mac, MacAlgorithm: algorithm as MacAlgorithmSpec }
      try {
        const output = await call({ operation, input, keyId: keyArn }, () => client.send(new VerifyMacCommand(input)))
        return required(output.MacValid, operation, "MacValid")
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
        SigningAlgorithm: algorithm as SigningAlgorithmSpec,
      } as const
      const output = await call({ operation, input, keyId: keyArn }, () => client.send(new SignCommand(input)))
      return requiredBytes(output.Signature, { operation, name: "Signature", most: SIGNATURE_MOST_BYTES })
    },
  }
}
