import { errorOf, KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry, MadeEntry } from "../../core/records/inventory.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { Deps } from "../deps.js"
import { record, type RecordDeps } from "../record.js"
import { nullWhereGone } from "./find.js"
import { learnKmsTime } from "./kms-time.js"
import { taggedKeys } from "./tagged-keys.js"
import { identityTags, TAGS } from "./tags.js"
import { refuseUnknownKey } from "./unknown-keys.js"

/** A listing may lag behind CreateKey: only when it still shows nothing after this long was nothing made. */
const LISTING_LAG_MS = 30_000
const POLL_MS = 3000

interface CreateTerms {
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>>
  /** JSON; KMS' default where none is given. */
  readonly policy?: string | null
}

type CreateDeps = Pick<Deps, "kms" | "inventory" | "clock" | "sleep"> & RecordDeps

/**
 * Creates the KMS key of an entry, exactly once. CreateKey has no idempotency token, so the
 * entry with its request id is on disk before the call, the id becomes a tag, and where the answer is lost, now or in
 * an earlier run, the key is looked for before another is made.
 *
 * @throws ERR_STATE_INCOMPLETE where another copy of the state directory has made the key since it was begun here
 */
export async function createKeyOnce(deps: CreateDeps, entry: InventoryEntry, terms: CreateTerms): Promise<MadeEntry> {
  if (entry.creating) {
    const createdBefore = await findCreated(deps, entry)
    if (createdBefore !== undefined) return await recordCreated(deps, entry, createdBefore, "recovered")
    await record(deps, "recovered", { key: entry, facts: { step: "CreateKey", found: "nothing" } })
    // another copy of the state directory may have made one meanwhile
    await refuseUnknownKey(deps, entry)
  }
  // how long a listing may lag is counted from here, by KMS' time also in later runs
  await learnKmsTime(deps)
  const intended: InventoryEntry = { ...entry, creating: true, intendedAt: deps.clock.now().toISOString() }
  await Promise.all([
    deps.inventory.put(intended),
    record(deps, "kms-key.intended", {
      key: intended,
      facts: { requestId: entry.requestId, keySpec: entry.keySpec, keyUsage: entry.keyUsage, region: entry.region },
    }),
  ])
  let created: KeyDescription
  try {
    ;({ key: created } = await deps.kms.createKey({
      keySpec: entry.keySpec,
      keyUsage: entry.keyUsage,
      description: terms.description,
      multiRegion: entry.multiRegion,
      policy: terms.policy ?? null,
      tags: { ...terms.tags, ...identityTags(entry) },
    }))
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    if (error.code === "ERR_KMS_OUTCOME_UNKNOWN")
      return await recoverCreated(deps, intended, "the answer to CreateKey was lost", error)
    // KMS said no: nothing was made, so nothing stays behind
    await deps.inventory.remove(entry.name, entry.target)
    throw error
  }
  if (await carriesRequest(deps, created, entry)) {
    return await recordCreated(deps, intended, created, "kms-key.created")
  }
  const why = `the answer to CreateKey names another KMS key than was made, ${created.keyArn}`
  return await recoverCreated(deps, intended, why, new KeyferryError("ERR_KMS_OUTCOME_UNKNOWN", why))
}

/** @throws `lost` where nothing was made */
async function recoverCreated(
  deps: CreateDeps,
  entry: InventoryEntry,
  why: string,
  lost: KeyferryError,
): Promise<MadeEntry> {
  deps.progress.warn(`${why}; looking whether the KMS key was made`)
  const created = await findCreated(deps, entry)
  if (created === undefined) throw lost
  return await recordCreated(deps, entry, created, "recovered")
}

/**
 * Whether the key that CreateKey's answer names has the entry's request id among its tags: key material imported into
 * another KMS key could not be taken back. Where the tags may not be read, the answer has to do.
 */
async function carriesRequest(deps: CreateDeps, { keyArn }: KeyDescription, entry: InventoryEntry): Promise<boolean> {
  try {
    const tags = await nullWhereGone(() => deps.kms.listResourceTags(keyArn))
    return tags?.[TAGS.request] === entry.requestId
  } catch (error) {
    if (!(error instanceof KeyferryError) || error.code !== "ERR_KMS_ACCESS_DENIED") throw error
    deps.progress.warn(
      `the tags of ${keyArn} may not be read: that CreateKey's answer names the right key was not seen`,
    )
    return true
  }
}

async function recordCreated(
  deps: CreateDeps,
  entry: InventoryEntry,
  key: KeyDescription,
  event: "kms-key.created" | "recovered",
): Promise<MadeEntry> {
  const created: MadeEntry = { ...entry, creating: false, keyArn: key.keyArn }
  try {
    await deps.inventory.put(created)
    const { requestId, keySpec, keyUsage } = entry
    if (event === "recovered") {
      await record(deps, event, { key: created, facts: { requestId, step: "CreateKey", found: "the KMS key" } })
    } else {
      await record(deps, event, { key: created, facts: { requestId, keySpec, keyUsage } })
    }
  } catch (error) {
    throw errorOf(error, key.keyArn)
  }
  return created
}

/** Looks for the KMS key with the entry's request id, until a lagging listing would show it. */
async function findCreated(deps: CreateDeps, entry: InventoryEntry): Promise<KeyDescription | undefined> {
  // a clock that was set back must not make it wait for longer
  const since = Math.min(new Date(entry.intendedAt).getTime(), deps.clock.now().getTime())
  let isAnnounced = false
  for (;;) {
    const key = await findByRequest(deps, entry)
    if (key !== undefined) return key
    const remainingMs = since + LISTING_LAG_MS - deps.clock.now().getTime()
    if (remainingMs <= 0) return undefined
    if (!isAnnounced)
      deps.progress.step("waiting until KMS' listing of keys would show a key that was made a moment ago")
    isAnnounced = true
    await deps.sleep(Math.min(POLL_MS, remainingMs))
  }
}

/**
 * The key with the entry's request id among its tags. The id is random, so it is proof by itself; how old a key is is not
 * asked, since the clocks of KMS and of this host may differ.
 *
 * @throws ERR_KMS_ACCESS_DENIED where it was not found and a key that it might be does not show its tags
 */
async function findByRequest(deps: CreateDeps, entry: InventoryEntry): Promise<KeyDescription | undefined> {
  let hidden: KeyferryError | undefined
  for await (const tagged of taggedKeys(deps.kms, (key) => phaseOf(key) === "empty")) {
    if ("tags" in tagged) {
      if (tagged.tags[TAGS.request] === entry.requestId) return tagged.key
    } else if (tagged.key !== null) {
      hidden ??= tagged.denied
    }
  }
  if (hidden !== undefined) throw hidden
  return undefined
}
