import { keyArnIn, type MadeEntry } from "../../core/records/inventory.js"
import { moveAlias } from "../kms-key/alias.js"
import type { Deps } from "../deps.js"
import { entryEvent } from "../import/events.js"
import { withReplica } from "./make.js"

/** Gives a replica the entry's alias in its Region, or moves it there from the replica of the KMS key that it replaces. */
export async function aliasReplica(
  deps: Pick<Deps, "kmsIn" | "inventory" | "custodyLog" | "progress">,
  entry: MadeEntry,
  region: string,
  from?: string,
): Promise<MadeEntry> {
  const keyArn = keyArnIn(entry, region)
  if (entry.alias === null || keyArn === undefined) return entry
  const { alias } = entry
  const kms = await deps.kmsIn(region)
  if (await moveAlias(kms, alias, { from: from ?? keyArn, to: keyArn })) {
    await deps.custodyLog.append({ ...entryEvent(entry), event: "alias.moved", keyArn, facts: { alias, region } })
    deps.progress.step(`alias ${alias} in ${region}`)
  }
  const given = withReplica(entry, { region, keyArn, aliasGiven: true })
  await deps.inventory.put(given)
  return given
}
