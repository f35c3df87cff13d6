import { partitionOf, takenIn } from "../../core/key/partition.js"
import { KeyferryError } from "../../core/base/error.js"
import { generationsOf, type ImportWishes, type InventoryEntry, type MadeEntry } from "../../core/records/inventory.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { PlannedImport } from "../../core/plan/snapshot.js"
import type { Kms } from "../../core/ports/kms.js"
import { identityOf, type SourceKey } from "../../core/key/source-key.js"
import { refuseOtherToken, sameToken } from "../../core/token/token-info.js"
import type { Deps } from "../deps.js"
import { record } from "../record.js"
import { importKey } from "../import/import.js"
import { heldSourceKey, refuseUnextractable } from "../source-key/find.js"
import { chooseTested } from "../source-key/choose.js"

export interface RewrapStep {
  readonly imports: readonly PlannedImport[]
  readonly terms: ImportWishes
  /** KMS keys that an import enables, and that are to be disabled again at once; by ARN. */
  readonly disableAgain: ReadonlySet<string>
  /** Source keys that were seen already, by CKA_ID; others are looked for in the token. */
  readonly sources: ReadonlyMap<string, SourceKey>
}

/**
 * Imports the same material again, each generation into the KMS key of each Region that the plan names. Nothing is
 * deleted before, so the KMS key can be used at every moment of it. Everything that can be refused is refused before the
 * first GetParametersForImport is spent (invariant I4).
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE, ERR_CUSTODY_KEY_MISSING, ERR_NO_USABLE_ALGORITHM; what Token and Kms throw
 */
export async function rewrapKey(deps: Deps, entry: InventoryEntry, step: RewrapStep): Promise<InventoryEntry> {
  const { keyArn } = entry
  if (keyArn === null) throw new KeyferryError("ERR_BUG", `${entry.name} has no KMS key`)
  await refuseWithoutKeys(deps, entry, step.imports)
  const { wrappingKeySpec, wrappingAlgorithm, expiresIn } = step.terms
  const possible = wrapCandidates(entry.keySpec, wrappingKeySpec, wrappingAlgorithm, deps.policy)
  const candidates = takenIn(partitionOf(entry.region), possible)
  const { capability } = await chooseTested(deps.token, candidates)
  const preparedImports = await Promise.all(step.imports.map((planned) => prepared(deps, entry, step, planned)))

  let current: MadeEntry = {
    ...entry,
    keyArn,
    terms: step.terms,
    token: deps.token.info,
  }
  for (const { planned, source, kms } of preparedImports) {
    const { generation } = planned
    const importStep = { entry: current, source, generation, capability, expiresIn, prove: "accept" } as const
    current = (await importKey({ ...deps, kms }, importStep)).entry
    if (step.disableAgain.has(planned.keyArn)) await disableAgain(deps, kms, current, planned.keyArn)
  }
  return current
}

/**
 * A token that was restored from a backup may have another serial: it is taken for the one that was lost where it holds
 * the same objects. KMS compares the material itself.
 */
async function refuseWithoutKeys(deps: Deps, entry: InventoryEntry, imports: readonly PlannedImport[]): Promise<void> {
  if (entry.token === null || sameToken(entry.token, deps.token.info)) return
  const custodyKeys = entry.custody === "sealed" ? await deps.token.findCustodyKeys(entry.owner) : []
  const sourceKeys = generationsOf(entry).filter((sourceKey) =>
    imports.some(({ generation }) => generation === sourceKey.generation),
  )
  for (const { id, label } of sourceKeys) {
    const sealed = await deps.vault.get(id, identityOf(label))
    const present =
      sealed === undefined
        ? (await deps.token.findSourceKeys({ id })).length > 0
        : custodyKeys.some((key) => key.id === sealed.custodyKey.id && key.kcv === sealed.custodyKey.kcv)
    if (!present) refuseOtherToken(entry, deps.token.info)
  }
  deps.progress.warn(
    `token "${deps.token.info.label}" (serial ${deps.token.info.serial}) has the source key of ${entry.name}, which was in ` +
      `"${entry.token.label}" (serial ${entry.token.serial}): taken for its restored copy`,
  )
}

interface Prepared {
  readonly planned: PlannedImport
  readonly source: SourceKey
  readonly kms: Kms
}

async function prepared(
  deps: Deps,
  entry: InventoryEntry,
  { sources }: RewrapStep,
  planned: PlannedImport,
): Promise<Prepared> {
  const record = generationsOf(entry).find(({ generation }) => generation === planned.generation)
  if (record === undefined) throw new KeyferryError("ERR_BUG", `${entry.name} has no generation ${planned.generation}`)
  const source = sources.get(record.id) ?? (await heldSourceKey(deps.token, record, entry.name))
  refuseUnextractable(source)
  await deps.token.refuseUnopenable(source, deps.policy)
  const kms = planned.region === deps.kms.region ? deps.kms : await deps.kmsIn(planned.region)
  return { planned, source, kms }
}

async function disableAgain(deps: Deps, kms: Kms, entry: InventoryEntry, keyArn: string): Promise<void> {
  await kms.disableKey(keyArn)
  await record(deps, "kms-key.disabled", { key: entry, keyArn, facts: { again: true } })
}
