import { KeyferryError } from "../../core/base/error.js"
import type { MadeEntry } from "../../core/records/inventory.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { Deps } from "../deps.js"
import type { ProvisionRequest } from "./request.js"

/**
 * The source key of an entry: the one that stands in the token, or a new one under the ID that the entry chose.
 *
 * @throws ERR_KEY_NOT_FOUND where KMS has material whose source key is gone; what Token throws
 */
export async function provisionSource(
  deps: Deps,
  request: ProvisionRequest,
  entry: MadeEntry,
  { existing, resumed }: { readonly existing: SourceKey | undefined; readonly resumed: boolean },
): Promise<{ source: SourceKey; entry: MadeEntry }> {
  if (existing === undefined) {
    await refuseLostSource(deps, entry)
    if (resumed) await clearHalfMade(deps, entry.source)
  }
  const source =
    existing ??
    (await deps.token.generateSourceKey({
      keySpec: request.keySpec,
      id: entry.source.id,
      label: entry.source.label,
      custody: request.custody,
      wrapWithTrusted: request.wrapWithTrusted ?? false,
      localUse: request.localUse ?? false,
      keyUsage: request.keyUsage,
    }))
  deps.progress.step(
    `source key ${source.label} (${source.id}) ${existing === undefined ? "generated in" : "found in"} the token, custody ${request.custody}`,
  )
  const { id, label, attributes, kcv, publicKeyFingerprint } = source
  const { expiresIn, wrappingAlgorithm, wrappingKeySpec } = request
  const sourced = {
    ...entry,
    token: deps.token.info,
    terms: { expiresIn, wrappingAlgorithm, wrappingKeySpec },
    source: { id, label, generation: entry.source.generation, attributes, kcv, publicKeyFingerprint },
  }
  if (existing === undefined || entry.source.attributes === null) await deps.inventory.put(sourced)
  return { source, entry: sourced }
}

/** KMS holds, or may hold, material whose source key is no longer there: new material would not be the same. */
async function refuseLostSource(deps: Deps, entry: MadeEntry): Promise<void> {
  if (entry.importing === null && entry.imports.length === 0) return
  const { keyState } = await deps.kms.describeKey(entry.keyArn)
  if (phaseOf({ keyState }) === "empty" && entry.imports.length === 0) return
  throw new KeyferryError(
    "ERR_KEY_NOT_FOUND",
    `an earlier run gave ${entry.keyArn} (${keyState}) material whose source key is gone, so it cannot be proven or imported again`,
    {
      key: entry.keyArn,
      hint: "schedule that KMS key's deletion and provision under another --name; with session custody a stopped run cannot be resumed",
    },
  )
}

/** What a run left that died while the token made a pair, whose two objects are not made in one step. */
async function clearHalfMade(
  deps: Deps,
  { id, label }: { readonly id: string; readonly label: string },
): Promise<void> {
  if ((await deps.token.search({ id, label })).strays.length === 0) return
  deps.progress.warn(`an earlier run died while the token generated ${label}; what that left is destroyed`)
  await deps.token.destroySourceKey({ id, label })
}
