import type { Policy } from "../../core/manifest/binding.js"
import { CUSTODIES, type Custody } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { validToFrom } from "../../core/base/expiry.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { KeySpec, KeyUsage, WrappingKeySpec } from "../../core/key/key-spec.js"
import { wrapCandidates, type WantedAlgorithm } from "../../core/key/negotiation.js"
import type { WrapRequest } from "../../core/key/wrapping.js"
import { refuseCustodyByPolicy } from "../custody/policy.js"

export interface ProvisionRequest {
  readonly owner: string
  readonly name: string
  readonly target: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly alias: string | null
  readonly custody: Custody
  readonly wrappingAlgorithm: WantedAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly expiresIn: string
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly multiRegion: boolean
  /** Other Regions that are to have a replica. */
  readonly replicas?: readonly string[]
  readonly prove: "full" | "accept"
  /** Key policy of the KMS key that is made, as JSON text; null for KMS' default. */
  readonly keyPolicy?: string | null
  /** CKA_WRAP_WITH_TRUSTED: only a wrapping key that the security officer marked trusted takes the source key out. */
  readonly wrapWithTrusted?: boolean
  /** An existing EXTERNAL key in PendingImport, by ID, ARN or alias; null to have one made. */
  readonly keyId: string | null
  /** A `locked` key may be used in the token as its key usage says. */
  readonly localUse?: boolean
  /** `session` and `locked` custody can import only once; the operator has said that this is understood. */
  readonly acceptNoReimport: boolean
}

/** What a name stands for, and the words for it. */
const IDENTITY = [
  ["owner", "owner"],
  ["keySpec", "key spec"],
  ["keyUsage", "key usage"],
  ["custody", "custody"],
  ["alias", "alias"],
  ["multiRegion", "multi-Region"],
] as const

/** A name stands for one key: what was begun under it cannot be changed by other flags. */
export function refuseConflict(known: InventoryEntry, request: ProvisionRequest): void {
  const differing = IDENTITY.filter(([field]) => known[field] !== request[field])
  if (differing.length === 0) return
  const say = (value: string | boolean | null): string => (value === null ? "none" : String(value))
  const said = differing.map(([field, words]) => `${words} ${say(known[field])}, not ${say(request[field])}`).join("; ")
  throw new KeyferryError("ERR_NAME_TAKEN", `the name ${request.name} stands for another key: ${said}`, {
    hint: "give the same flags to take it up, or choose another --name",
  })
}

/**
 * Refuses what flags alone show to be wrong, without token or KMS; gives what is left to ask the token's self-test.
 *
 * @throws ERR_EXPIRY_INVALID, ERR_CUSTODY_REFUSED, ERR_NOT_ACKNOWLEDGED, ERR_ALGORITHM_NOT_ALLOWED, ERR_POLICY_REFUSED
 */
export function refuseEarly(
  request: Omit<ProvisionRequest, "owner" | "target">,
  now: Date,
  policy: Policy,
): readonly WrapRequest[] {
  const { custody, expiresIn, keySpec, wrappingKeySpec, wrappingAlgorithm } = request
  validToFrom(expiresIn, now)
  refuseCustodyByPolicy(custody, policy)
  refuseLocalUse(request)
  if (request.keyId !== null && (request.description !== null || request.multiRegion)) {
    throw new KeyferryError(
      "ERR_USAGE",
      "--description and --multi-region are for a KMS key that is made, not for --key-id",
    )
  }
  const { replicas = [] } = request
  if (replicas.length > 0 && !request.multiRegion) {
    throw new KeyferryError("ERR_USAGE", "--replica is for a multi-Region key: give --multi-region as well")
  }
  if (replicas.length > 0 && !CUSTODIES[custody].reimport) {
    throw new KeyferryError(
      "ERR_REPLICA_REFUSED",
      `custody ${custody} imports once, and each replica is an import more`,
    )
  }
  if (!CUSTODIES[custody].reimport && !(request.acceptNoReimport && expiresIn === "never")) {
    throw new KeyferryError(
      "ERR_NOT_ACKNOWLEDGED",
      `with custody ${custody} the material of ${request.name} can never be imported again`,
    )
  }
  return wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, policy)
}

/** Any other custody keeps its source key for wrapping alone. */
export function refuseLocalUse({ custody, localUse }: Pick<ProvisionRequest, "custody" | "localUse">): void {
  if (localUse !== true || custody === "locked") return
  throw new KeyferryError("ERR_USAGE", `--local-use is for custody locked, not ${custody}`)
}

/**
 * Material that can be imported only once goes into one KMS key.
 *
 * @throws ERR_CUSTODY_REFUSED where the name has a KMS key at another target already
 */
export function refuseSecondTarget(
  request: Pick<ProvisionRequest, "owner" | "name" | "target" | "custody">,
  entries: readonly InventoryEntry[],
): void {
  if (CUSTODIES[request.custody].reimport) return
  const other = entries.find(({ owner, target }) => owner === request.owner && target !== request.target)
  if (other === undefined) return
  throw new KeyferryError(
    "ERR_CUSTODY_REFUSED",
    `with custody ${request.custody} the material of ${request.name} goes into one KMS key only, and ${other.target} has it`,
    { key: request.name, hint: "choose another --name, or --custody sealed for a key of several targets" },
  )
}
