import { KeyferryError } from "../../core/base/error.js"
import { keyArnIn, type ReplicaRecord, type MadeEntry } from "../../core/records/inventory.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Deps } from "../deps.js"
import { findKmsKey } from "../kms-key/find.js"
import { record, type RecordDeps } from "../record.js"
import { dressOf } from "../kms-key/settings.js"
import { identityTags, TAGS } from "../kms-key/tags.js"

type MakeDeps = Pick<Deps, "kms" | "kmsIn" | "inventory" | "sleep"> & RecordDeps

/** A Region may not know yet what ReplicateKey made in it a moment ago. */
const LAG = { pollMs: 2000, allMs: 30_000 } as const
/** Creating a replica takes seconds. */
const CREATING = { pollMs: 1000, allMs: 120_000 } as const

/**
 * The replica in the Region of `there`, made once: it has the ID of its primary, so that it is looked for before another
 * is asked for, and after an answer that was lost.
 */
export async function makeReplica(
  deps: MakeDeps,
  entry: MadeEntry,
  replicaKms: Kms,
  keyArn: string,
): Promise<MadeEntry> {
  const { region } = replicaKms
  if (keyArnIn(entry, region) !== undefined) {
    await waitUntilCreated(deps, replicaKms, keyArn)
    return entry
  }
  const intended = withReplica(entry, { region, keyArn: null, aliasGiven: false })
  await deps.inventory.put(intended)
  const existing = await findKmsKey(replicaKms, keyArn)
  if (existing === null) await replicate(deps, intended, replicaKms, keyArn)
  const withArn = withReplica(intended, { region, keyArn, aliasGiven: false })
  await deps.inventory.put(withArn)
  const event = existing === null ? "kms-key.replicated" : "kms-key.taken"
  await record(deps, event, { key: withArn, keyArn, facts: { region } })
  await waitUntilCreated(deps, replicaKms, keyArn)
  if (existing !== null) await tagTaken(replicaKms, withArn, keyArn)
  return withArn
}

export function withReplica(entry: MadeEntry, replica: ReplicaRecord): MadeEntry {
  const others = entry.replicas.filter(({ region }) => region !== replica.region)
  return { ...entry, replicas: [...others, replica] }
}

async function replicate(deps: MakeDeps, entry: MadeEntry, replicaKms: Kms, keyArn: string): Promise<void> {
  const ownKey = await deps.kms.describeKey(entry.keyArn)
  const primary = ownKey.multiRegionConfiguration?.primary ?? { arn: entry.keyArn, region: entry.region }
  const home = await deps.kmsIn(primary.region)
  const dress = await dressOf(deps, home, { keyArn: primary.arn, description: ownKey.description })
  await record(deps, "kms-key.replicating", { key: entry, keyArn: primary.arn, facts: { region: replicaKms.region } })
  try {
    const tags = { ...dress.tags, ...identityTags(entry) }
    await home.replicateKey(primary.arn, { ...dress, region: replicaKms.region, tags })
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    const lost = error.code === "ERR_KMS_OUTCOME_UNKNOWN"
    if (lost) deps.progress.warn("the answer to ReplicateKey was lost; looking whether the replica was made")
    // another run's, or this one's: there is no more than one of that ID
    if ((await lookAWhile(deps, replicaKms, keyArn, lost ? LAG.allMs : 0)) !== null) return
    if (!lost) {
      const replicas = entry.replicas.filter(({ region }) => region !== replicaKms.region)
      await deps.inventory.put({ ...entry, replicas })
    }
    throw error
  }
}

/** Tags are each Region's own. */
async function tagTaken(replicaKms: Kms, entry: MadeEntry, keyArn: string): Promise<void> {
  if (entry.untagged === true) return
  const tags = await replicaKms.listResourceTags(keyArn)
  if (tags[TAGS.request] !== entry.requestId) await replicaKms.tagResource(keyArn, identityTags(entry))
}

async function lookAWhile(
  { sleep }: Pick<Deps, "sleep">,
  replicaKms: Kms,
  keyArn: string,
  allMs: number,
): Promise<KeyDescription | null> {
  for (let waited = 0; ; waited += LAG.pollMs) {
    const replica = await findKmsKey(replicaKms, keyArn)
    if (replica !== null || waited >= allMs) return replica
    await sleep(LAG.pollMs)
  }
}

async function waitUntilCreated(deps: Pick<Deps, "sleep">, replicaKms: Kms, keyArn: string): Promise<void> {
  for (let waited = 0; ; waited += CREATING.pollMs) {
    const replica = await lookAWhile(deps, replicaKms, keyArn, LAG.allMs)
    if (replica !== null && phaseOf(replica) !== "creating") return
    if (replica === null || waited >= CREATING.allMs) {
      throw new KeyferryError("ERR_KMS_UNAVAILABLE", `KMS is still creating the replica ${keyArn}`, { key: keyArn })
    }
    await deps.sleep(CREATING.pollMs)
  }
}
