import { KeyferryError } from "../base/error.js"
import type { KeySpec } from "./key-spec.js"
import type { WrapRequest } from "./wrapping.js"
import { WRAPPING_ALGORITHMS } from "./wrapping-algorithm.js"

/** AWS' partitions, and what KMS of one does otherwise than everywhere else (Developer Guide, "Importing key material"). */

/** The partitions whose Regions have names of their own, by how these begin; all others are in `aws`. */
const PARTITIONS: readonly (readonly [prefix: string, partition: string])[] = [
  ["cn-", "aws-cn"],
  ["us-gov-", "aws-us-gov"],
  ["eusc-", "aws-eusc"],
  ["us-isob-", "aws-iso-b"],
  ["eu-isoe-", "aws-iso-e"],
  ["us-isof-", "aws-iso-f"],
  ["us-iso-", "aws-iso"],
]

/** The partition of a Region: `aws`, `aws-cn`, `aws-us-gov`, … */
export function partitionOf(region: string): string {
  return PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[1] ?? "aws"
}

const CHINA = "aws-cn"

/** What is wrong with a key spec in a partition, to follow its name; undefined where KMS takes its material there. */
export function keySpecFault(partition: string, keySpec: KeySpec): string | undefined {
  if (partition !== CHINA || keySpec !== "SYMMETRIC_DEFAULT") return undefined
  return "is SM4 with 128 bits in China Regions, not AES with 256, so no key material from here is imported there"
}

/** Whether KMS of a partition takes key material by an algorithm. */
export const isTaken = (partition: string, wrappingAlgorithm: WrapRequest["wrappingAlgorithm"]): boolean =>
  partition !== CHINA || WRAPPING_ALGORITHMS[wrappingAlgorithm].scheme !== "rsa-aes"

/**
 * Of ways to wrap those that KMS of a partition takes.
 *
 * @throws ERR_KEY_SPEC_UNSUPPORTED, ERR_ALGORITHM_NOT_ALLOWED where there is none
 */
export function takenIn(partition: string, candidates: readonly WrapRequest[]): readonly WrapRequest[] {
  const [first] = candidates
  if (first === undefined) return candidates
  const fault = keySpecFault(partition, first.keySpec)
  if (fault !== undefined) {
    throw new KeyferryError("ERR_KEY_SPEC_UNSUPPORTED", `${first.keySpec} ${fault}`, {
      hint: "take another key spec there (HMAC, or an elliptic curve), or a Region of another partition",
    })
  }
  const taken = candidates.filter(({ wrappingAlgorithm }) => isTaken(partition, wrappingAlgorithm))
  if (taken.length > 0) return taken
  throw new KeyferryError(
    "ERR_ALGORITHM_NOT_ALLOWED",
    `KMS in China Regions does not take ${first.keySpec} by ${candidates.map(({ wrappingAlgorithm }) => wrappingAlgorithm).join(", ")}`,
    {
      hint: "RSAES_OAEP_SHA_256 and RSAES_OAEP_SHA_1 are taken there; RSA keys want SM2PKE, which keyferry does not have",
    },
  )
}
