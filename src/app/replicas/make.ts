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
export async function makeReplica(deps: MakeDeps, entry: MadeEntry, there: Kms, keyArn: string): Promise<MadeEntry> {
  const { region } = there
  if (keyArnIn(entry, region) !== undefined) {
    await waitUntilCreated(deps, there, keyArn)
    return entry
  }
  const intended = withReplica(entry, { region, keyArn: null, aliasGiven: false })
  await deps.inventory.put(intended)
  const found = await findKmsKey(there, keyArn)
  if (found === null) await replicate(deps, intended, there, keyArn)
  const made = withReplica(intended, { region, keyArn, aliasGiven: false })
  await deps.inventory.put(made)
  const event = found === null ? "kms-key.replicated" : "kms-key.taken"
  await record(deps, event, { key: made, keyArn, facts: { region } })
  await waitUntilCreated(deps, there, keyArn)
  if (found !== null) await tagTaken(there, made, keyArn)
  return made
}

export function withReplica(entry: MadeEntry, replica: ReplicaRecord): MadeEntry {
  const others = entry.replicas.filter(({ region }) => region !== replica.region)
  return { ...entry, replicas: [...others, replica] }
}

async function replicate(deps: MakeDeps, entry: MadeEntry, there: Kms, keyArn: string): Promise<void> {
  const own = await deps.kms.describeKey(entry.keyArn)
  const primary = own.multiRegionConfiguration?.primary ?? { arn: entry.keyArn, region: entry.region }
  const home = await deps.kmsIn(primary.region)
  const dress = await dressOf(deps, home, { keyArn: primary.arn, description: own.description })
  await record(deps, "kms-key.replicating", { key: entry, keyArn: primary.arn, facts: { region: there.region } })
  try {
    const tags = { ...dress.tags, ...identityTags(entry) }
    await home.replicateKey(primary.arn, { ...dress, region: there.region, tags })
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    const lost = error.code === "ERR_KMS_OUTCOME_UNKNOWN"
    if (lost) deps.progress.warn("the answer to ReplicateKey was lost; looking whether the replica was made")
    // another run's, or this one's: there is no more than one of that ID
    if ((await lookAWhile(deps, there, keyArn, lost ? LAG.allMs : 0)) !== null) return
    if (!lost) {
      const replicas = entry.replicas.filter(({ region }) => region !== there.region)
      await deps.inventory.put({ ...entry, replicas })
    }
    throw error
  }
}

/** Tags are each Region's own. */
async function tagTaken(there: Kms, entry: MadeEntry, keyArn: string): Promise<void> {
  const tags = await there.listResourceTags(keyArn)
  if (tags[TAGS.request] !== entry.requestId) await there.tagResource(keyArn, identityTags(entry))
}

async function lookAWhile(
  { sleep }: Pick<Deps, "sleep">,
  there: Kms,
  keyArn: string,
  allMs: number,
): Promise<KeyDescription | null> {
  for (let waited = 0; ; waited += LAG.pollMs) {
    const found = await findKmsKey(there, keyArn)
    if (found !== null || waited >= allMs) return found
    await sleep(LAG.pollMs)
  }
}

async function waitUntilCreated(deps: Pick<Deps, "sleep">, there: Kms, keyArn: string): Promise<void> {
  for (let waited = 0; ; waited += CREATING.pollMs) {
    const found = await lookAWhile(deps, there, keyArn, LAG.allMs)
    if (found !== null && phaseOf(found) !== "creating") return
    if (found === null || waited >= CREATING.allMs) {
      throw new KeyferryError("ERR_KMS_UNAVAILABLE", `KMS is still creating the replica ${keyArn}`, { key: keyArn })
    }
    await deps.sleep(CREATING.pollMs)
  }
}
