import { KeyferryError } from "../../core/base/error.js"
import { importOf, type ImportRecord, type MadeEntry } from "../../core/records/inventory.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import { isPending, pendingRotation } from "../../core/key/rotation.js"
import type { Deps } from "../deps.js"
import { record } from "../record.js"
import { ensureSource } from "../source-key/ensure.js"
import { importKey, provable } from "../import/import.js"
import { giveUpNewest } from "./abandon.js"
import {
  assertEnabled,
  foreignPending,
  FROM_ANOTHER_COPY,
  materialIn,
  materialOf,
  refuseUnknownMaterial,
  type RegionView,
  type RotationView,
} from "./view.js"
import { settled } from "../kms-key/eventual.js"
import { TAGS } from "../kms-key/tags.js"

export interface RotationTerms {
  readonly capability: WrapCapability
  readonly expiresIn: string
  readonly prove: "full" | "accept"
}

/** Pending material is imported again before it is rotated to where less than this is left of its life. */
const LEAST_LIFE_MS = 6 * 3_600_000

/** KMS was seen to take up to three minutes; an on-demand rotation that takes longer is left to the next run. */
const WAIT = { firstMs: 1000, longestMs: 5000, allMs: 900_000 } as const

/**
 * Whatever is left of the rotation to the entry's newest generation, step by step; a step that was done before, by this
 * run or another, is seen to be done and not repeated.
 */
export async function completeRotation(
  deps: Deps,
  begunEntry: MadeEntry,
  view: RotationView,
  terms: RotationTerms,
): Promise<{ readonly entry: MadeEntry; readonly record: ImportRecord }> {
  const { home, replicas } = view
  let entry = begunEntry
  // new material goes into the primary, then the same into each replica: KMS takes no other order
  for (const regionView of [home, ...replicas])
    entry = await importInto(deps, entry, { ...regionView, primary: regionView === home }, terms)
  const id = materialOf(entry) ?? ""
  await rotateTo(deps, entry, home, id)
  await waitForRotation(deps, home, id)
  await record(deps, "rotation.done", rotationStep(deps, { entry, home, id }))
  for (const { kms, keyArn } of entry.untagged === true ? [] : [home, ...replicas])
    await kms.tagResource(keyArn, { [TAGS.source]: entry.source.id })
  entry = { ...entry, rotating: false }
  await deps.inventory.put(entry)
  // another host that rotated past it has a generation which this one has not
  refuseUnknownMaterial(entry, { keyArn: home.keyArn, rotations: await home.kms.listKeyRotations(home.keyArn) })
  const imported = importOf(entry, entry.source.generation, home.kms.region)
  if (imported === undefined) throw new KeyferryError("ERR_BUG", `no import of ${entry.source.label} is recorded`)
  return { entry, record: imported }
}

async function importInto(
  deps: Deps,
  entry: MadeEntry,
  place: RegionView & { readonly primary: boolean },
  terms: RotationTerms,
): Promise<MadeEntry> {
  const { kms, key, rotations, primary } = place
  const need = needOf(entry, place, terms, deps.clock.now())
  if (need === "nothing") return entry
  assertEnabled(entry, key)
  const pending = pendingRotation(rotations)
  if (need === "new") {
    refuseForeign(entry, pending?.keyMaterialId)
    // another host may have rotated since this one looked
    refuseUnknownMaterial(entry, { keyArn: place.keyArn, rotations: await kms.listKeyRotations(place.keyArn) })
  }
  const held = !primary || (materialIn(rotations, materialOf(entry)) ?? pending) !== undefined
  const { source, entry: sourced } = await ensureSource(deps, entry, { held, sharesLabel: true })
  const { capability, expiresIn, prove } = terms
  const importAs = need === "new" ? ({ importType: "NEW_KEY_MATERIAL" } as const) : {}
  const imported = await importKey(
    { ...deps, kms },
    { entry: sourced, source, capability, expiresIn, prove, ...importAs },
  )
  if (need === "new") await withdrawIfRotated(deps, imported.entry, place)
  return imported.entry
}

/**
 * KMS takes new material as soon as another host's rotation is over: rotated to as well, it would rotate the KMS key twice
 * for one wish, and neither host would have every generation.
 *
 * @throws ERR_STATE_INCOMPLETE, once the material is deleted again
 */
async function withdrawIfRotated(deps: Deps, entry: MadeEntry, home: RegionView): Promise<void> {
  try {
    refuseUnknownMaterial(entry, {
      keyArn: home.keyArn,
      rotations: await home.kms.listKeyRotations(home.keyArn),
    })
  } catch (error) {
    const keyMaterialId = materialOf(entry)
    const isRotated = error instanceof KeyferryError && error.code === "ERR_STATE_INCOMPLETE"
    if (isRotated && keyMaterialId !== null) await giveUpNewest(deps, entry, { home, keyMaterialId })
    throw error
  }
}

/** Whether the newest generation is to be imported into a Region: as new, again, or not. */
function needOf(
  entry: MadeEntry,
  { kms: { region }, rotations, primary }: RegionView & { readonly primary: boolean },
  { prove }: RotationTerms,
  now: Date,
): "new" | "again" | "nothing" {
  const { generation } = entry.source
  const importRecord = importOf(entry, generation, region)
  const listed = materialIn(rotations, materialOf(entry))
  if (listed === undefined) return primary ? "new" : "again"
  if (listed.keyMaterialState === "NON_CURRENT") {
    throw new KeyferryError(
      "ERR_KMS_KEY_STATE",
      `KMS has rotated past key material ${listed.keyMaterialId}, the newest of this state directory`,
      { key: entry.keyArn, hint: FROM_ANOTHER_COPY },
    )
  }
  const open = entry.importing?.generation === generation && entry.importing.region === region
  if (open || (prove === "full" && importRecord !== undefined && provable(importRecord))) return "again"
  if (!isPending(listed)) return "nothing"
  const remainingMs = listed.validTo === null ? Infinity : listed.validTo.getTime() - now.getTime()
  // KMS does not enforce the expiry of pending material: rotated to, it would leave the KMS key without material
  return listed.importState === "IMPORTED" && remainingMs > LEAST_LIFE_MS ? "nothing" : "again"
}

/** Only an import of ours whose answer was lost may be what waits there; KMS says if it is, when it is sent again. */
function refuseForeign(entry: MadeEntry, pending: string | undefined): void {
  if (pending === undefined || entry.importing?.generation === entry.source.generation) return
  throw foreignPending(pending, entry.keyArn)
}

async function rotateTo(deps: Deps, entry: MadeEntry, home: RegionView, id: string): Promise<void> {
  if (await isUnderWay(home, id)) return
  assertEnabled(entry, await home.kms.describeKey(home.keyArn))
  await record(deps, "rotation.requested", rotationStep(deps, { entry, home, id }))
  try {
    await settled({ kms: home.kms, sleep: deps.sleep }, home.keyArn, () => home.kms.rotateKeyOnDemand(home.keyArn))
  } catch (error) {
    if (!(error instanceof KeyferryError) || !(await isUnderWay(home, id))) throw error
    deps.progress.warn("the answer to RotateKeyOnDemand was lost; KMS is seen to rotate")
  }
}

async function isUnderWay({ kms, keyArn }: RegionView, id: string): Promise<boolean> {
  if (await isRotatedTo({ kms, keyArn }, id)) return true
  return (await kms.keyRotationStatus(keyArn)).onDemandRotationStartDate !== null
}

/** Also where another host has rotated past it since. */
async function isRotatedTo({ kms, keyArn }: Pick<RegionView, "kms" | "keyArn">, id: string): Promise<boolean> {
  const material = materialIn(await kms.listKeyRotations(keyArn), id)
  return material?.keyMaterialState === "CURRENT" || material?.keyMaterialState === "NON_CURRENT"
}

/** @throws ERR_ROTATION_PENDING */
async function waitForRotation(deps: Pick<Deps, "sleep" | "progress">, home: RegionView, id: string): Promise<void> {
  let waited = 0
  for (let wait: number = WAIT.firstMs; !(await isRotatedTo(home, id)); wait = Math.min(wait * 2, WAIT.longestMs)) {
    if (waited === 0) deps.progress.step("waiting until KMS has rotated, which takes some minutes")
    if (waited >= WAIT.allMs) {
      throw new KeyferryError("ERR_ROTATION_PENDING", `KMS is still rotating to key material ${id}`, {
        key: home.keyArn,
      })
    }
    await deps.sleep(wait)
    waited += wait
  }
}

const rotationStep = (
  { token }: Pick<Deps, "token">,
  { entry, home, id }: { readonly entry: MadeEntry; readonly home: RegionView; readonly id: string },
) => ({ key: entry, keyArn: home.keyArn, token: token.info, facts: { keyMaterialId: id } })
