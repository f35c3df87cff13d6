import { KeyferryError } from "../../core/base/error.js"
import { parseKeyArn } from "../../core/key/key-arn.js"
import type { Custody } from "../../core/key/custody.js"
import { generationsOf, type InventoryEntry, withNested } from "../../core/records/inventory.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import type { Erasure } from "../custody/crypto-erase.js"
import type { Deps } from "../deps.js"
import { namedObject } from "./named.js"
import { findKmsKey } from "../kms-key/find.js"
import { taggedKeys } from "../kms-key/tagged-keys.js"
import { TAGS } from "../kms-key/tags.js"

export interface DestroyResult {
  readonly name: string
  readonly id: string
  readonly label: string
  readonly destroyed: boolean
  readonly custody: Custody | null
  /** In words: what this cannot undo; null where nothing is left. */
  readonly note: string | null
  /** What became of the custody keys that it was sealed under; null where that was not asked for. */
  readonly erasure: Erasure | null
}

/** How KMS is reached. */
export interface DestroyDoors {
  /** KMS in the Region of a key; null where it cannot be asked. */
  readonly openRegion: (region: string) => Promise<Pick<Kms, "describeKey"> | null>
  /** KMS as the flags name it. @throws where it cannot be opened, as without a Region */
  readonly openKms: () => Promise<SearchedKms>
}

type SearchedKms = Pick<Kms, "region" | "listKeys" | "describeKey" | "listResourceTags">

export interface DestroyRequest {
  readonly owner: string
  readonly name: string
  readonly id: string | undefined
  /** The newest where it is left out. */
  readonly generation?: number | undefined
  /** The operator knows that no KMS key depends on it, where neither the inventory nor KMS can tell. */
  readonly unrecorded: boolean
  /** Makes copies of a sealed key's file worthless, before the file itself goes; null where they may stay. */
  readonly erase: ((sourceKeyId: string) => Promise<Erasure>) | null
}

/**
 * Destroys a source key for good, unless a KMS key depends on it: then the material could not be imported again, and
 * that KMS key would die when its material expires. Where the inventory names no KMS key, KMS is searched.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS, ERR_KEY_IN_USE, ERR_CUSTODY_REFUSED, and what erasing throws
 */
export async function destroyKey(
  deps: Pick<Deps, "token" | "inventory" | "vault" | "progress">,
  request: DestroyRequest,
  doors: DestroyDoors,
): Promise<DestroyResult> {
  const { owner, name } = request
  const source = await namedObject(deps, request)
  const custody = "custody" in source ? source.custody : null
  if (custody !== "sealed") refuseWrite(deps.token, `to destroy the source key ${name}`, name)
  if (request.erase !== null && custody !== "sealed") {
    throw new KeyferryError(
      "ERR_CUSTODY_REFUSED",
      `the source key ${name} is not sealed, so nothing of it is to be erased`,
      {
        key: name,
        hint: "leave --crypto-erase out",
      },
    )
  }
  const entries = (await deps.inventory.list(name))
    .filter((entry) => entry.owner === owner)
    .flatMap(withNested)
    .filter(
      // an import of loose files knows the name of its source key alone
      (entry) => generationsOf(entry).some(({ id }) => id === source.id) || entry.source.attributes === null,
    )
  const gone: InventoryEntry[] = []
  for (const entry of entries) if ((await lookRecorded(entry, doors.openRegion)) === "gone") gone.push(entry)
  const named = entries.flatMap(({ keyArn }) => keyArn ?? [])
  const spoken = entries.some(({ keyArn, source: { attributes } }) => keyArn !== null && attributes !== null)
  if (!spoken) await refuseFound(deps, { ...request, sourceId: source.id, named }, doors.openKms)
  const erasure = request.erase === null ? null : await request.erase(source.id)
  await deps.token.destroySourceKey(source)
  // an entry whose KMS key waits for material stays, so that the KMS key stays named
  for (const entry of gone) {
    if ((await deps.inventory.get(entry.name, entry.target))?.keyArn === entry.keyArn)
      await deps.inventory.remove(entry.name, entry.target)
  }
  const note = custody === "sealed" ? (erasure === null ? COPIES : ERASED) : null
  if (note !== null) deps.progress.warn(note)
  return { name, id: source.id, label: source.label, destroyed: true, custody, note, erasure }
}

const COPIES =
  "the vault file is gone, but copies of it may exist, as in a backup, and whoever has one and this token has the key: --crypto-erase ends that"

const ERASED =
  "copies of the vault file cannot be opened any more, but with a backup of the custody key that was destroyed: destroy those backups too"

/** @throws ERR_KEY_IN_USE where the entry's KMS key has material, or may have */
async function lookRecorded(entry: InventoryEntry, openRegion: DestroyDoors["openRegion"]): Promise<"gone" | "empty"> {
  if (entry.keyArn === null) return "empty"
  const key = await ask(entry.keyArn, openRegion)
  if (key === "gone") return "gone"
  const empty = entry.imports.length === 0 && entry.importing === null
  if (key !== "unknown" && phaseOf(key) === "empty" && empty) return "empty"
  const validTo = entry.imports.at(-1)?.validTo ?? entry.importing?.validTo ?? null
  throw inUse(entry.name, entry.keyArn, key === "unknown" ? null : key.keyState, validTo)
}

/** Asks KMS for a key that says by its tags that it has its material from this source key. */
async function refuseFound(
  deps: Pick<Deps, "progress">,
  { owner, name, unrecorded, sourceId, named }: DestroyRequest & { sourceId: string; named: readonly string[] },
  openKms: DestroyDoors["openKms"],
): Promise<void> {
  const silent = `this state directory has no record of a KMS key of the source key ${name}`
  try {
    const kms = await openKms()
    let denied: KeyferryError | null = null
    let namesake: KeyDescription | null = null
    for await (const tagged of taggedKeys(kms, ({ keyArn }) => !named.includes(keyArn))) {
      if (!("tags" in tagged)) denied ??= tagged.denied
      else if (tagged.tags[TAGS.source] === sourceId)
        throw inUse(name, tagged.key.keyArn, tagged.key.keyState, deathOf(tagged.key))
      else if (tagged.tags[TAGS.owner] === owner && tagged.tags[TAGS.name] === name) namesake = tagged.key
    }
    if (unrecorded) return
    if (namesake !== null) {
      // what loose files were imported from is not known, so its tag may name another source key
      throw new KeyferryError(
        "ERR_KEY_IN_USE",
        `${silent}, and the KMS key ${namesake.keyArn} (now ${namesake.keyState}) has its name`,
        { key: name, hint: UNRECORDED },
      )
    }
    if (denied !== null) throw denied
    deps.progress.step(`no KMS key in ${kms.region} has its material from the source key ${name}`)
  } catch (error) {
    if (!(error instanceof KeyferryError) || error.code === "ERR_KEY_IN_USE") throw error
    if (unrecorded) {
      deps.progress.warn(`KMS could not be asked whether a KMS key depends on the source key: ${error.message}`)
      return
    }
    throw new KeyferryError(
      "ERR_KEY_IN_USE",
      `${silent}, and KMS could not be asked whether one depends on it: ${error.message}`,
      { key: name, cause: error, causes: error.causes, hint: ASK_OR_UNRECORDED },
    )
  }
}

const UNRECORDED = "give --unrecorded if you know that no KMS key, in any Region or account, depends on it"
const ASK_OR_UNRECORDED = `run it where KMS answers (--region, credentials that may list, describe and read tags), or ${UNRECORDED}`

/** When a KMS key ends as things stand: its deletion, or the end of its material. */
function deathOf({ validTo, deletionDate }: KeyDescription): string | null {
  return (deletionDate ?? validTo)?.toISOString() ?? null
}

/** `state` is null where KMS could not be asked. */
function inUse(name: string, keyArn: string, state: string | null, dies: string | null): KeyferryError {
  const now = state === null ? "KMS could not be asked for its state" : `now ${state}`
  const loss = dies === null ? "its material could never be imported again after a loss" : `it dies for good at ${dies}`
  return new KeyferryError(
    "ERR_KEY_IN_USE",
    `the KMS key ${keyArn} (${now}) depends on the source key ${name}: without it ${loss}`,
    { key: name },
  )
}

async function ask(
  keyArn: string,
  openRegion: DestroyDoors["openRegion"],
): Promise<KeyDescription | "gone" | "unknown"> {
  try {
    const kms = await openRegion(parseKeyArn(keyArn)?.region ?? "")
    return kms === null ? "unknown" : ((await findKmsKey(kms, keyArn)) ?? "gone")
  } catch {
    return "unknown"
  }
}
