import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import { keyArnIn, type MadeEntry } from "../../core/records/inventory.js"
import type { Deps } from "../deps.js"
import { moveAlias } from "../kms-key/alias.js"
import { findKmsKey } from "../kms-key/find.js"
import { TAGS } from "../kms-key/tags.js"
import { record } from "../record.js"
import { aliasReplica } from "../replicas/alias.js"
import { plain } from "./nested-inventory.js"

export const isAlive = (key: KeyDescription | null): boolean => key !== null && phaseOf(key) !== "dying"

/** What users of the alias see: from here on the new key. The old one says which took its place. */
export async function takePlace(
  deps: Deps,
  old: MadeEntry,
  successor: MadeEntry,
  oldKey: KeyDescription | null,
): Promise<void> {
  const { alias } = old
  if (alias !== null && (await moveAlias(deps.kms, { ...old, alias }, { from: old.keyArn, to: successor.keyArn }))) {
    const facts = { alias, from: old.keyArn }
    await record(deps, "alias.moved", { key: successor, facts })
  }
  if (!isAlive(oldKey) || old.untagged === true) return
  await deps.kms.tagResource(old.keyArn, { [TAGS.replacedBy]: successor.keyArn })
}

export async function takeReplicasPlace(
  deps: Deps,
  old: MadeEntry,
  successor: MadeEntry,
  region: string,
): Promise<MadeEntry> {
  const oldArn = keyArnIn(old, region)
  const moved = await aliasReplica(deps, successor, region, oldArn)
  const newArn = keyArnIn(successor, region)
  const kms = await deps.kmsIn(region)
  if (oldArn !== undefined && newArn !== undefined && isAlive(await findKmsKey(kms, oldArn))) {
    await kms.tagResource(oldArn, { [TAGS.replacedBy]: newArn })
  }
  return moved
}

/** The new entry takes the old one's file, the old one its place among the former: in one write. */
export async function promote(deps: Deps, old: MadeEntry, successor: MadeEntry): Promise<MadeEntry> {
  await record(deps, "key.replaced", { key: successor, facts: { replaced: old.keyArn } })
  const replacedAt = deps.clock.now().toISOString()
  const outer = (await deps.inventory.get(old.name, old.target)) ?? old
  const former = { ...plain(outer), alias: null, aliasGiven: false, replacedAt, retiredAt: null }
  const promoted = { ...successor, aliasGiven: old.alias !== null, former: [...outer.former, former] }
  await deps.inventory.put(promoted)
  return promoted
}
