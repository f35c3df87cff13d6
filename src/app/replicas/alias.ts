import { keyArnIn, type MadeEntry } from "../../core/records/inventory.js"
import { moveAlias } from "../kms-key/alias.js"
import type { Deps } from "../deps.js"
import { record, type RecordDeps } from "../record.js"
import { withReplica } from "./make.js"

/** Gives a replica the entry's alias in its Region, or moves it there from the replica of the KMS key that it replaces. */
export async function aliasReplica(
  deps: Pick<Deps, "kmsIn" | "inventory"> & RecordDeps,
  entry: MadeEntry,
  region: string,
  oldArn?: string,
): Promise<MadeEntry> {
  const keyArn = keyArnIn(entry, region)
  if (entry.alias === null || keyArn === undefined) return entry
  const { alias } = entry
  const kms = await deps.kmsIn(region)
  if (await moveAlias(kms, { ...entry, alias }, { from: oldArn ?? keyArn, to: keyArn })) {
    await record(deps, "alias.moved", { key: entry, keyArn, facts: { alias, region } })
  }
  const aliased = withReplica(entry, { region, keyArn, aliasGiven: true })
  await deps.inventory.put(aliased)
  return aliased
}
