import { CUSTODIES } from "../../core/key/custody.js"
import { errorAfter, KeyferryError } from "../../core/base/error.js"
import { validToFrom } from "../../core/base/expiry.js"
import {
  generationsOf,
  importedEntry,
  importOf,
  type InventoryEntry,
  type MadeEntry,
} from "../../core/records/inventory.js"
import { type KeyResult, keyResult } from "../../core/records/key-result.js"
import { MOST_ROTATIONS, rotationsDone, rotationsWarning } from "../../core/key/rotation.js"
import type { ImportAgainWishes } from "../../core/records/operation.js"
import { labelOf, newSourceKeyId } from "../../core/key/source-key.js"
import { refuseOtherToken } from "../../core/token/token-info.js"
import type { Deps } from "../deps.js"
import { refuseCustodyByPolicy } from "../custody/policy.js"
import { AS_BEFORE, chooseWay, wished } from "../import/terms.js"
import { completeRotation } from "./complete.js"
import {
  assertEnabled,
  lookAtRotation,
  refusePendingMaterial,
  refuseUnknownMaterial,
  type RotationView,
} from "./view.js"

/**
 * New key material for the same KMS key, and its rotation to it: the next source key, NEW_KEY_MATERIAL, every replica,
 * RotateKeyOnDemand, until KMS says that the new one is current. A rotation that an earlier run left unfinished is
 * finished, and is this one. What is left to do is read from the entry and from KMS, at any moment.
 *
 * @throws ERR_ROTATION_UNSUPPORTED, ERR_KMS_LIMIT, ERR_KMS_KEY_STATE, ERR_CUSTODY_REFUSED before anything is made;
 *   ERR_ROTATION_PENDING where KMS takes longer than keyferry waits
 */
export async function rotateKey(deps: Deps, entry: InventoryEntry, wishes: ImportAgainWishes): Promise<KeyResult> {
  const madeEntry = rotatable(entry)
  try {
    refuseOtherToken(madeEntry, deps.token.info)
    const view = await lookAtRotation(deps, madeEntry)
    for (const regionView of [view.home, ...view.replicas]) refuseUnknownMaterial(madeEntry, regionView)
    return view.unfinished ? await finish(deps, madeEntry, view, wishes) : await begin(deps, madeEntry, view, wishes)
  } catch (error) {
    throw errorAfter(error, `${madeEntry.name}, ${madeEntry.keyArn}`)
  }
}

/** Finishes the rotation that an earlier run began; null where there is none. */
export async function finishRotation(
  deps: Deps,
  entry: InventoryEntry,
  wishes: ImportAgainWishes = AS_BEFORE,
): Promise<KeyResult | null> {
  const madeEntry = rotatable(entry)
  const view = await lookAtRotation(deps, madeEntry)
  for (const regionView of [view.home, ...view.replicas]) refuseUnknownMaterial(madeEntry, regionView)
  return view.unfinished ? await finish(deps, madeEntry, view, wishes) : null
}

/** @throws ERR_ROTATION_UNSUPPORTED, ERR_KEY_NOT_FOUND where there is nothing to rotate yet */
export function rotatable(entry: InventoryEntry): MadeEntry {
  const { name, keySpec, custody } = entry
  const refuse = (why: string): never => {
    throw new KeyferryError("ERR_ROTATION_UNSUPPORTED", `${name} cannot be rotated: ${why}`, { key: name })
  }
  if (keySpec !== "SYMMETRIC_DEFAULT") refuse(`KMS rotates symmetric keys only, and it is a ${keySpec} key`)
  if (!CUSTODIES[custody].reimport) refuse(`with custody ${custody} no material can be imported again`)
  return importedEntry(entry)
}

async function begin(deps: Deps, entry: MadeEntry, view: RotationView, wishes: ImportAgainWishes): Promise<KeyResult> {
  refuseBusy(entry, view)
  for (const { key } of [view.home, ...view.replicas]) assertEnabled(entry, key)
  const rotations = rotationsDone(view.home.rotations)
  if (rotations >= MOST_ROTATIONS) {
    throw new KeyferryError(
      "ERR_KMS_LIMIT",
      `all ${MOST_ROTATIONS} on-demand rotations that KMS allows a key are used up`,
      { key: entry.name, hint: `make a new KMS key in its place: keyferry replace ${entry.name}` },
    )
  }
  const warning = rotationsWarning(rotations)
  if (warning !== null) deps.progress.warn(warning)
  const terms = wished(entry, wishes)
  validToFrom(terms.expiresIn, deps.clock.now())
  refuseCustodyByPolicy(entry.custody, deps.policy)
  const choice = await chooseWay(deps, entry, terms)
  const generation = entry.source.generation + 1
  const shared = await siblingSource(deps, entry, generation)
  const label = labelOf({ owner: entry.owner, name: entry.name, generation })
  const fresh = { id: newSourceKeyId(), label, generation, attributes: null, kcv: null, publicKeyFingerprint: null }
  const begunEntry: MadeEntry = {
    ...entry,
    terms,
    rotating: true,
    unenforced: choice.unenforced,
    earlier: generationsOf(entry),
    source: shared ?? fresh,
  }
  // its ID is on disk before the source key is made, so that none is made twice
  await deps.inventory.put(begunEntry)
  const { entry: rotated, record } = await completeRotation(deps, begunEntry, view, {
    capability: choice.capability,
    expiresIn: terms.expiresIn,
    prove: wishes.prove,
  })
  return keyResult(rotated, record, "done", choice.why)
}

async function finish(deps: Deps, entry: MadeEntry, view: RotationView, wishes: ImportAgainWishes): Promise<KeyResult> {
  deps.progress.step(`the rotation to generation ${entry.source.generation} was begun before; finishing it`)
  const terms = wished(entry, wishes)
  const choice = await chooseWay(deps, entry, terms)
  const { entry: rotated, record } = await completeRotation(deps, entry, view, {
    capability: choice.capability,
    expiresIn: terms.expiresIn,
    prove: wishes.prove,
  })
  return keyResult(rotated, record, "done", choice.why)
}

/** Nothing of ours is under way, so what KMS holds or does is somebody else's. */
function refuseBusy(entry: MadeEntry, { home, inProgress }: RotationView): void {
  if (inProgress) {
    throw new KeyferryError("ERR_ROTATION_PENDING", "KMS rotates the key already, and not by this state directory", {
      key: entry.name,
    })
  }
  refusePendingMaterial(entry, home)
}

/** One source key has its material in several targets: where another of them was rotated first, this one follows it. */
async function siblingSource(deps: Pick<Deps, "inventory">, entry: MadeEntry, generation: number) {
  const siblings = (await deps.inventory.list(entry.name)).filter(
    ({ owner, target }) => owner === entry.owner && target !== entry.target,
  )
  for (const sibling of siblings) {
    const all = generationsOf(sibling)
    const isSame = all.some((sourceKey) => sourceKey.id === entry.source.id && sourceKey.generation === generation - 1)
    const next = all.find((sourceKey) => sourceKey.generation === generation)
    if (isSame && next !== undefined && importOf(sibling, generation, sibling.region) !== undefined) return next
  }
  return undefined
}
