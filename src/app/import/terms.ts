import { partitionOf, takenIn } from "../../core/key/partition.js"
import { type ImportWishes, type InventoryEntry, termsOf } from "../../core/records/inventory.js"
import type { ImportAgainWishes } from "../../core/records/operation.js"
import { type Choice, wrapCandidates } from "../../core/key/negotiation.js"
import type { Deps } from "../deps.js"
import { refuseLostCustodyKey } from "../custody/custody-key.js"
import { refuseCustody } from "../custody/policy.js"
import { chooseTested } from "../source-key/choose.js"

/** Nothing asked for: as it was the last time. */
export const AS_BEFORE: ImportAgainWishes = {
  expiresIn: null,
  wrappingAlgorithm: null,
  wrappingKeySpec: null,
  prove: "accept",
}

export function wished(
  entry: InventoryEntry,
  { expiresIn, wrappingAlgorithm, wrappingKeySpec }: ImportAgainWishes,
): ImportWishes {
  const terms = termsOf(entry)
  return {
    expiresIn: expiresIn ?? terms.expiresIn,
    wrappingAlgorithm: wrappingAlgorithm ?? terms.wrappingAlgorithm,
    wrappingKeySpec: wrappingKeySpec ?? terms.wrappingKeySpec,
  }
}

interface Way extends Choice {
  /** What the token does not enforce of the custody, and policy takes; null where it enforces all of it. */
  readonly unenforced: string | null
}

/**
 * The best way by which the token can carry such a key, proven; refuses what policy or token refuse. `isMade`: the source
 * key is there.
 */
export async function chooseWay(
  deps: Pick<Deps, "kms" | "token" | "policy" | "progress" | "custodyKeys">,
  { owner, keySpec, custody }: Pick<InventoryEntry, "owner" | "keySpec" | "custody">,
  { wrappingAlgorithm, wrappingKeySpec, isMade }: ImportWishes & { readonly isMade?: boolean },
): Promise<Way> {
  const possible = wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, deps.policy)
  const candidates = takenIn(partitionOf(deps.kms.region), possible)
  await refuseLostCustodyKey(deps, { owner, custody })
  const unenforced = await refuseCustody(deps, { keySpec, custody, isMade: isMade ?? false })
  return { ...(await chooseTested(deps.token, candidates)), unenforced }
}
