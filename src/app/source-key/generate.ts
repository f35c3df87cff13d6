import type { Policy } from "../../core/manifest/binding.js"
import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { SettingsFor } from "../../core/manifest/key-settings.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { WrapCapability, WrapRequest } from "../../core/key/wrapping.js"
import { labelOf, newSourceKeyId, type SourceKey } from "../../core/key/source-key.js"
import type { Deps } from "../deps.js"
import { refuseCustody, refuseCustodyByPolicy, refuseImportOnce, refuseLocalUse } from "../custody/policy.js"
import { chooseTested } from "./choose.js"

export interface GenerateRequest extends Omit<SettingsFor<"key generate">, "localUse"> {
  readonly owner: string
  readonly name: string
  readonly localUse?: boolean
  readonly acceptNoReimport?: boolean
}

/**
 * Refuses what the flags alone show to be wrong.
 *
 * @throws ERR_CUSTODY_REFUSED, ERR_NOT_ACKNOWLEDGED, ERR_ALGORITHM_NOT_ALLOWED, ERR_POLICY_REFUSED
 */
export function refuseGeneration(request: GenerateRequest, policy: Policy): readonly WrapRequest[] {
  refuseCustodyByPolicy(request.custody, policy)
  refuseLocalUse(request)
  if (request.custody === "session") {
    throw new KeyferryError("ERR_CUSTODY_REFUSED", "a session key dies with the command that generates it", {
      hint: "use provision, which imports it at once, or --custody sealed",
    })
  }
  refuseImportOnce({ ...request, expiresIn: null, isAccepted: request.acceptNoReimport ?? false })
  return wrapCandidates(request.keySpec, request.wrappingKeySpec, request.wrappingAlgorithm, policy)
}

/** A source key, and the way by which its token can carry it: what `params` on another host wants to be told. */
export interface GeneratedKey {
  readonly key: SourceKey
  readonly capability: WrapCapability
  /** What the token was seen not to enforce of the custody, and policy takes; null where all of it is. */
  readonly unenforced: string | null
}

/**
 * Generates a source key, once it is proven that the token can carry such a key to KMS.
 *
 * @throws ERR_NAME_TAKEN, ERR_NO_USABLE_ALGORITHM, ERR_KEY_ATTRIBUTES
 */
export async function generateKey(
  deps: Pick<Deps, "token" | "inventory" | "policy" | "progress">,
  request: GenerateRequest,
): Promise<GeneratedKey> {
  const { owner, name, keySpec, custody } = request
  const candidates = refuseGeneration(request, deps.policy)
  const label = labelOf({ owner, name, generation: 0 })
  const [existing] = await deps.token.findSourceKeys({ label })
  if (existing !== undefined)
    throw new KeyferryError("ERR_NAME_TAKEN", `the token has a key ${label} already`, { key: name })
  const [begunEntry] = (await deps.inventory.list(name)).filter((entry) => entry.owner === owner)
  if (begunEntry !== undefined) refuseOther(begunEntry, request)
  const unenforced = await refuseCustody(deps, request)
  const { capability, why } = await chooseTested(deps.token, candidates)
  deps.progress.step(`can be carried to KMS by ${capability.wrappingAlgorithm}: ${why}`)
  const key = await deps.token.generateSourceKey({
    keySpec,
    id: begunEntry?.source.id ?? newSourceKeyId(),
    label,
    custody,
    wrapWithTrusted: false,
    localUse: request.localUse ?? false,
  })
  return { key, capability, unenforced }
}

/** A name that `params` or a stopped `provision` began has its source key's ID already; any other use of it is refused. */
function refuseOther(begunEntry: InventoryEntry, { name, keySpec, custody }: GenerateRequest): void {
  const filled = begunEntry.importing !== null || begunEntry.imports.length > 0
  if (!filled && begunEntry.keySpec === keySpec && begunEntry.custody === custody) return
  throw new KeyferryError(
    "ERR_NAME_TAKEN",
    `the name ${name} stands for ${begunEntry.keyArn ?? "another key"} (${begunEntry.keySpec}, ${begunEntry.custody})`,
    {
      key: name,
    },
  )
}
