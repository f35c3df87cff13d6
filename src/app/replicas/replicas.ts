import { partitionOf } from "../../core/key/partition.js"
import { CUSTODIES } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import {
  generationsOf,
  importOf,
  type ImportWishes,
  type InventoryEntry,
  keyArnIn,
  type SourceKeyRecord,
  type MadeEntry,
} from "../../core/records/inventory.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { keyStateRow, takesMaterial } from "../../core/key/key-state.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import { refuseTakenAlias } from "../kms-key/alias.js"
import type { Deps } from "../deps.js"
import { importKey } from "../import/import.js"
import { chooseWay, wished } from "../import/terms.js"
import type { ImportAgainWishes } from "../../core/records/operation.js"
import { heldSourceKey } from "../source-key/find.js"
import { makeReplica } from "./make.js"
import { aliasReplica } from "./alias.js"

interface Replicated {
  readonly entry: MadeEntry
  /** Whether anything was left to do. */
  readonly changed: boolean
}

/**
 * The replica of a multi-Region key in a Region: made, filled with the same material of every generation, proven there,
 * and given the alias last. What was done before is seen to be done, by the entry where that can say it.
 *
 * @throws ERR_REPLICA_REFUSED before anything is made; ERR_KMS_* as the Region answers
 */
export async function ensureReplica(
  deps: Deps,
  entry: InventoryEntry,
  region: string,
  wishes: ImportAgainWishes,
): Promise<Replicated> {
  const primary = refuseReplica(entry, region)
  if (isReplicated(primary, region, deps.clock.now())) return { entry: primary, changed: false }
  const { alias } = entry
  if (alias !== null) await refuseTakenAlias(await deps.kmsIn(region), { ...entry, alias }, arnIn(primary, region))
  const filled = await fillReplica(deps, primary, region, wishes)
  return { entry: await aliasReplica(deps, filled, region), changed: true }
}

/** The same for every Region that is asked for. */
export async function ensureReplicas(
  deps: Deps,
  entry: MadeEntry,
  wishes: ImportAgainWishes & { readonly replicas?: readonly string[] },
): Promise<Replicated> {
  let all: Replicated = { entry, changed: false }
  for (const region of wishes.replicas ?? []) {
    const { entry: next, changed } = await ensureReplica(deps, all.entry, region, wishes)
    all = { entry: next, changed: all.changed || changed }
  }
  return all
}

/**
 * Refuses replicas that cannot be, before the primary is made (invariant I4).
 *
 * @throws ERR_REPLICA_REFUSED, ERR_KMS_ALIAS_TAKEN, ERR_STATE_INCOMPLETE
 */
export async function refuseReplicas(
  deps: Pick<Deps, "kms" | "kmsIn">,
  wishes: { owner: string; name: string; alias: string | null; replicas?: readonly string[] },
  recorded: InventoryEntry | undefined,
): Promise<void> {
  const { name, alias, replicas = [] } = wishes
  for (const region of replicas) {
    if (region === deps.kms.region) {
      throw new KeyferryError("ERR_REPLICA_REFUSED", `${region} is where the primary of ${name} is`, { key: name })
    }
    if (partitionOf(region) !== partitionOf(deps.kms.region)) {
      const message = `${region} is in another partition than ${deps.kms.region}, where the primary of ${name} is`
      throw new KeyferryError("ERR_REPLICA_REFUSED", message, { key: name })
    }
    if (alias === null) continue
    const ours = recorded === undefined ? null : keyArnIn(recorded, region)
    await refuseTakenAlias(await deps.kmsIn(region), { ...wishes, alias }, ours)
  }
}

/** Whether the entry says that the Region has everything: material of every generation, unexpired, and the alias. */
export function isReplicated(entry: InventoryEntry, region: string, now: Date): boolean {
  const replica = entry.replicas.find((candidate) => candidate.region === region)
  if (replica === undefined || replica.keyArn === null || entry.importing?.region === region) return false
  return (entry.alias === null || replica.aliasGiven) && missing(entry, region, now).length === 0
}

/** Source keys whose material the Region is not known to hold now; not one that the primary does not hold either. */
function missing(entry: InventoryEntry, region: string, now: Date): readonly SourceKeyRecord[] {
  return generationsOf(entry).filter(({ generation }) => {
    const imported = importOf(entry, generation, region)
    const expired = imported?.validTo != null && new Date(imported.validTo) <= now
    // what was deleted stays away until somebody names the key
    const deleted = imported?.deletedAt !== undefined
    const held = imported !== undefined && imported.proof.result !== "failed" && (!expired || deleted)
    return importOf(entry, generation, entry.region) !== undefined && !held
  })
}

/**
 * @throws ERR_REPLICA_REFUSED for a key that can have no replica there
 */
function refuseReplica(entry: InventoryEntry, region: string): MadeEntry {
  const { name, multiRegion, custody, keyArn } = entry
  const refuse = (why: string, hint: string): never => {
    throw new KeyferryError("ERR_REPLICA_REFUSED", `${name} can have no replica in ${region}: ${why}`, {
      key: name,
      hint,
    })
  }
  if (!multiRegion) refuse("it is no multi-Region key", "KMS makes none of a key that exists: provision another name")
  if (region === entry.region) refuse("its primary is there", "name another Region")
  if (!CUSTODIES[custody].reimport) refuse(`custody ${custody} imports once`, "use a custody that can import again")
  if (keyArn === null || importOf(entry, 0, entry.region) === undefined) {
    return refuse("its primary has no key material yet", "provision it first")
  }
  return { ...entry, keyArn }
}

/** The same key ID in every Region. */
function arnIn({ keyArn, region: ownRegion }: MadeEntry, region: string): string {
  return keyArn.replace(`:kms:${ownRegion}:`, `:kms:${region}:`)
}

/** Everything but the alias. */
export async function fillReplica(
  deps: Deps,
  entry: InventoryEntry,
  region: string,
  wishes: ImportAgainWishes,
): Promise<MadeEntry> {
  let filledEntry = refuseReplica(entry, region)
  const terms = wished(filledEntry, wishes)
  const { capability } = await chooseWay(deps, filledEntry, { ...terms, isMade: true })
  const kms = await deps.kmsIn(region)
  filledEntry = await makeReplica(deps, filledEntry, kms, arnIn(filledEntry, region))
  return await importMissing({ ...deps, kms }, filledEntry, { capability, terms, prove: wishes.prove })
}

async function importMissing(
  deps: Deps,
  entry: MadeEntry,
  { capability, terms, prove }: { capability: WrapCapability; terms: ImportWishes; prove: "full" | "accept" },
): Promise<MadeEntry> {
  let filled = entry
  const { region } = deps.kms
  const open = entry.importing?.region === region ? [entry.importing.generation] : []
  const missingGenerations = missing(entry, region, deps.clock.now()).map(({ generation }) => generation)
  for (const { id, label, generation } of generationsOf(entry)) {
    if (![...missingGenerations, ...open].includes(generation)) continue
    assertTakes(await deps.kms.describeKey(keyArnIn(entry, region) ?? ""))
    const source = await heldSourceKey(deps.token, { id, label }, entry.name)
    const step = { entry: filled, source, generation, capability, expiresIn: terms.expiresIn, prove }
    ;({ entry: filled } = await importKey(deps, step))
  }
  return filled
}

function assertTakes({ keyArn, keyState }: KeyDescription): void {
  if (takesMaterial({ keyState })) return
  throw new KeyferryError("ERR_KMS_KEY_STATE", `${keyArn} is in state ${keyState}`, {
    key: keyArn,
    hint: keyStateRow(keyState).hint,
  })
}
