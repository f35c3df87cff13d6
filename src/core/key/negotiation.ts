import { KeyferryError } from "../base/error.js"
import { type KeySpec, WRAPPING_KEY_SPEC_NAMES, type WrappingKeySpec } from "./key-spec.js"
import type { WrapCapability, WrapRequest } from "./wrapping.js"
import {
  kmsAllows,
  type OaepHash,
  WRAPPING_ALGORITHM_NAMES,
  WRAPPING_ALGORITHMS,
  type WrappingAlgorithm,
} from "./wrapping-algorithm.js"

export type WantedAlgorithm = WrappingAlgorithm | "auto"

/** What the policy says of wrapping; SHA-1 in OAEP is safe for this use, but may be forbidden all the same. */
export interface WrapPolicy {
  readonly minimumHash: OaepHash
  /** Takes a path that shortens EC private keys whose scalar begins with zero bytes. */
  readonly allowShortScalars?: boolean
}

const allowedAlgorithms = (keySpec: KeySpec, wrappingKeySpec: WrappingKeySpec): readonly WrappingAlgorithm[] =>
  WRAPPING_ALGORITHM_NAMES.filter((algorithm) => kmsAllows(keySpec, algorithm, wrappingKeySpec))

/**
 * The requests to put to the self-test, best first: what KMS takes for the key spec and the policy permits.
 *
 * @throws ERR_ALGORITHM_NOT_ALLOWED where KMS takes none or not the wanted one, ERR_POLICY_REFUSED
 */
export function wrapCandidates(
  keySpec: KeySpec,
  wrappingKeySpec: WrappingKeySpec,
  wrappingAlgorithm: WantedAlgorithm,
  policy: WrapPolicy,
): readonly WrapRequest[] {
  const allowed = allowedAlgorithms(keySpec, wrappingKeySpec)
  const candidates =
    wrappingAlgorithm === "auto" ? allowed : allowed.filter((algorithm) => algorithm === wrappingAlgorithm)
  if (candidates.length === 0) {
    const name = wrappingAlgorithm === "auto" ? "any algorithm" : wrappingAlgorithm
    throw new KeyferryError(
      "ERR_ALGORITHM_NOT_ALLOWED",
      `KMS does not take ${keySpec} by ${name} under ${wrappingKeySpec}`,
      {
        hint: allowedHint(keySpec, allowed, wrappingKeySpec),
      },
    )
  }
  const permitted = candidates.filter(
    (algorithm) => policy.minimumHash === "SHA-1" || WRAPPING_ALGORITHMS[algorithm].hash === "SHA-256",
  )
  if (permitted.length === 0) {
    throw new KeyferryError(
      "ERR_POLICY_REFUSED",
      `policy.minimumHash is ${policy.minimumHash}, and ${candidates.join(", ")} uses SHA-1`,
    )
  }
  const risk = policy.allowShortScalars === true ? { allowShortScalars: true } : {}
  return permitted.map((algorithm) => ({ keySpec, wrappingAlgorithm: algorithm, wrappingKeySpec, ...risk }))
}

function allowedHint(
  keySpec: KeySpec,
  allowed: readonly WrappingAlgorithm[],
  wrappingKeySpec: WrappingKeySpec,
): string {
  if (allowed.length > 0) return `for ${keySpec} under ${wrappingKeySpec} KMS takes ${allowed.join(", ")}`
  const specs = WRAPPING_KEY_SPEC_NAMES.filter((spec) => allowedAlgorithms(keySpec, spec).length > 0)
  return `for ${keySpec} KMS takes a wrapping key of ${specs.join(" or ")}`
}

export interface Choice {
  readonly capability: WrapCapability
  /** Why this algorithm: in words, for the result. */
  readonly why: string
}

/**
 * Takes the first usable path. `verdicts` are asked for one by one, so that nothing is tested beyond the one taken.
 *
 * @throws ERR_NO_USABLE_ALGORITHM with the reason of every refusal
 */
export async function chooseAlgorithm(
  requests: readonly WrapRequest[],
  test: (request: WrapRequest) => Promise<WrapCapability>,
): Promise<Choice> {
  const refused: WrapCapability[] = []
  for (const request of requests) {
    const capability = await test(request)
    if (capability.usable) return { capability, why: whyChosen(capability, refused, requests.length) }
    refused.push(capability)
  }
  const [request] = requests
  const keyText = request === undefined ? "this key" : `${request.keySpec} under ${request.wrappingKeySpec}`
  throw new KeyferryError("ERR_NO_USABLE_ALGORITHM", `the token cannot carry ${keyText} to KMS cleanly`, {
    causes: refused.map(({ wrappingAlgorithm, reason }) => ({ code: wrappingAlgorithm, message: reason })),
  })
}

function whyChosen(chosen: WrapCapability, refused: readonly WrapCapability[], candidates: number): string {
  const proven = `proven on this token (${chosen.reason})`
  if (refused.length > 0) {
    return `${proven}; stronger ones refused: ${refused.map(({ wrappingAlgorithm, reason }) => `${wrappingAlgorithm}: ${reason}`).join("; ")}`
  }
  return candidates > 1 ? `the strongest that KMS takes for ${chosen.keySpec}, ${proven}` : proven
}
