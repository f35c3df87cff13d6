import type { Policy } from "../../core/manifest/binding.js"
import { CUSTODIES } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { checkExpiresIn } from "../../core/base/expiry.js"
import { type InventoryEntry, newestImport } from "../../core/records/inventory.js"
import { IDENTITY_NAMES, settingOf, type SettingsFor } from "../../core/manifest/key-settings.js"
import { settingFaults } from "../../core/manifest/settings-check.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { WrapRequest } from "../../core/key/wrapping.js"
import { isMultiRegion } from "../../core/key/key-arn.js"
import { refuseCustodyByPolicy, refuseImportOnce } from "../custody/policy.js"

export interface ProvisionRequest extends SettingsFor<"provision"> {
  readonly owner: string
  readonly name: string
  readonly target: string
  /** An existing EXTERNAL key in PendingImport, by ID, ARN or alias; null to have one made. */
  readonly keyId: string | null
  /** `session` and `locked` custody can import only once; the operator has said that this is understood. */
  readonly acceptNoReimport: boolean
}

/** Whether the ID of a KMS key says that it is multi-Region. */
const saysMultiRegion = (keyId: string): boolean => isMultiRegion({ keyId: keyId.replace(/^.*\//, "") })

/** A name stands for one key: what was begun under it cannot be changed by other flags. */
export function refuseConflict(entry: InventoryEntry, request: ProvisionRequest): void {
  const differing = [
    entry.owner === request.owner ? undefined : `owner ${entry.owner}, not ${request.owner}`,
    ...IDENTITY_NAMES.map((name) => {
      const words = settingOf(name).identity ?? name
      const [recorded, requested] = [entry[name], request[name]].map((value) =>
        value === null ? "none" : String(value),
      )
      return recorded === requested ? undefined : `${words} ${recorded}, not ${requested}`
    }),
  ].filter((text) => text !== undefined)
  if (differing.length === 0) return
  const differences = differing.join("; ")
  throw new KeyferryError("ERR_NAME_TAKEN", `the name ${request.name} stands for another key: ${differences}`, {
    hint: "give the same flags to take it up, or choose another --name",
  })
}

/** A key that was rotated holds several materials: what it lacks is imported again, not provisioned. */
export function refuseGenerations({ name, source }: InventoryEntry): void {
  if (source.generation === 0) return
  throw new KeyferryError("ERR_NAME_TAKEN", `${name} was rotated, and KMS lacks key material of it`, {
    key: name,
    hint: `import it again, every generation: keyferry rewrap ${name}; or finish its rotation: keyferry rotate ${name}`,
  })
}

/** Material that was deleted on purpose comes back only by the command that says so. */
export function refuseDeleted(entry: InventoryEntry): void {
  const imported = newestImport(entry)
  if (entry.withheldAt === null && imported?.deletedAt === undefined) return
  throw new KeyferryError("ERR_KMS_KEY_STATE", `the key material of ${entry.name} was deleted from its KMS key`, {
    key: entry.keyArn ?? entry.name,
    hint: `import it again, if that is what you want: keyferry recover ${entry.name} --yes`,
  })
}

/**
 * Refuses what flags alone show to be wrong, without token or KMS; gives what is left to ask the token's self-test.
 *
 * @throws ERR_EXPIRY_INVALID, ERR_CUSTODY_REFUSED, ERR_NOT_ACKNOWLEDGED, ERR_ALGORITHM_NOT_ALLOWED, ERR_POLICY_REFUSED
 */
export function refuseEarly(
  request: Omit<ProvisionRequest, "owner" | "target">,
  policy: Policy,
): readonly WrapRequest[] {
  const { custody, expiresIn, keySpec, wrappingKeySpec, wrappingAlgorithm } = request
  checkExpiresIn(expiresIn)
  refuseCustodyByPolicy(custody, policy)
  for (const { setting, message, code } of settingFaults(request)) {
    throw new KeyferryError(code, `--${settingOf(setting).flag ?? setting} ${message}`)
  }
  const { keyId } = request
  if (keyId !== null && (request.description !== null || (request.multiRegion && !saysMultiRegion(keyId)))) {
    throw new KeyferryError(
      "ERR_USAGE",
      "--description and --multi-region are for a KMS key that is made, not for --key-id",
    )
  }
  refuseImportOnce({ ...request, isAccepted: request.acceptNoReimport })
  return wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, policy)
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
  const sibling = entries.find(({ owner, target }) => owner === request.owner && target !== request.target)
  if (sibling === undefined) return
  throw new KeyferryError(
    "ERR_CUSTODY_REFUSED",
    `with custody ${request.custody} the material of ${request.name} goes into one KMS key only, and ${sibling.target} has it`,
    { key: request.name, hint: "choose another --name, or --custody sealed for a key of several targets" },
  )
}
