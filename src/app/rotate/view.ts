import { KeyferryError } from "../../core/base/error.js"
import { type InventoryEntry, keyArnIn, type MadeEntry } from "../../core/records/inventory.js"
import { isSymmetric } from "../../core/plan/material.js"
import type { KeyDescription, RegionalKey } from "../../core/key/key-description.js"
import { keyStateRow } from "../../core/key/key-state.js"
import { isPending, type KeyRotation, pendingRotation } from "../../core/key/rotation.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Deps } from "../deps.js"

/** A KMS key of the entry in one Region. */
export interface RegionView {
  readonly kms: Kms
  readonly keyArn: string
  readonly key: KeyDescription
  readonly rotations: readonly KeyRotation[]
}

/** What KMS says of a key that is to be rotated. */
export interface RotationView {
  /** Where NEW_KEY_MATERIAL and RotateKeyOnDemand go: the primary of a multi-Region key. */
  readonly home: RegionView
  readonly replicas: readonly RegionView[]
  readonly inProgress: boolean
  /** Whether the newest generation of the entry is not yet the KMS key's current material, or something is left to do after that. */
  readonly unfinished: boolean
}

/**
 * Looks how far the rotation to the entry's newest generation has come.
 *
 * @throws ERR_KMS_KEY_MISMATCH where the multi-Region key has a replica that the entry does not know
 */
export async function lookAtRotation(deps: Pick<Deps, "kms" | "kmsIn">, entry: MadeEntry): Promise<RotationView> {
  const key = await deps.kms.describeKey(entry.keyArn)
  const regions = key.multiRegionConfiguration
  refuseUnknown(entry, regions === null ? [] : [regions.primary, ...regions.replicas])
  const look = async ({ arn, region }: RegionalKey): Promise<RegionView> => {
    const kms = await deps.kmsIn(region)
    return { kms, keyArn: arn, key: await kms.describeKey(arn), rotations: await kms.listKeyRotations(arn) }
  }
  const home = await look(regions?.primary ?? { arn: entry.keyArn, region: deps.kms.region })
  const replicas: RegionView[] = []
  for (const replica of regions?.replicas ?? []) replicas.push(await look(replica))
  const { onDemandRotationStartDate } = await home.kms.keyRotationStatus(home.keyArn)
  return {
    home,
    replicas,
    inProgress: onDemandRotationStartDate !== null,
    unfinished: isUnfinished(entry, home),
  }
}

function refuseUnknown(entry: MadeEntry, keys: readonly RegionalKey[]): void {
  const unknown = keys.find(({ region }) => keyArnIn(entry, region) === undefined)
  if (unknown === undefined) return
  throw new KeyferryError(
    "ERR_KMS_KEY_MISMATCH",
    `${entry.name} has the KMS key ${unknown.arn}, which this state directory does not know`,
    {
      key: unknown.arn,
      hint: `every Region must take the new material: take that key with \`keyferry provision --replica ${unknown.region}\`, or \`keyferry apply\` where the configuration has its primary by keyArn, or delete it`,
    },
  )
}

function isUnfinished(entry: MadeEntry, { rotations }: RegionView): boolean {
  if (entry.source.generation === 0) return false
  return entry.rotating || materialIn(rotations, materialOf(entry))?.keyMaterialState !== "CURRENT"
}

/** KMS' ID of the newest generation's material, the same in all Regions; null before its first import was recorded. */
export function materialOf({ imports, source }: InventoryEntry): string | null {
  return imports.findLast((importRecord) => importRecord.generation === source.generation)?.keyMaterialId ?? null
}

export function materialIn(rotations: readonly KeyRotation[], id: string | null): KeyRotation | undefined {
  return rotations.find(({ keyMaterialId }) => keyMaterialId === id)
}

/**
 * Refuses a KMS key that holds material which no record here names: it was rotated from another copy of the state, whose
 * generations this one would never import again. What waits for its rotation is judged where it is in the way.
 *
 * @throws ERR_STATE_INCOMPLETE
 */
export function refuseUnknownMaterial(
  { name, imports }: InventoryEntry,
  { keyArn, rotations }: Pick<RegionView, "keyArn" | "rotations">,
): void {
  const ours = new Set(imports.map(({ keyMaterialId }) => keyMaterialId))
  const unknown = rotations.find((rotation) => !isPending(rotation) && !ours.has(rotation.keyMaterialId))
  if (unknown === undefined) return
  const { keyMaterialId, keyMaterialState } = unknown
  throw new KeyferryError(
    "ERR_STATE_INCOMPLETE",
    `${keyArn} holds key material ${keyMaterialId} (${keyMaterialState ?? "imported"}), which this state directory does not know: it is older than KMS, or ${name} was rotated from another copy of it`,
    { key: name, hint: FROM_ANOTHER_COPY },
  )
}

/**
 * Refuses material that waits for its rotation where nothing of ours is under way: somebody else began that.
 *
 * @throws ERR_KMS_KEY_STATE
 */
export function refusePendingMaterial({ name }: InventoryEntry, { rotations }: Pick<RegionView, "rotations">): void {
  const pending = pendingRotation(rotations)
  if (pending === undefined) return
  throw foreignPending(pending.keyMaterialId, name)
}

export function foreignPending(keyMaterialId: string, key: string): KeyferryError {
  return new KeyferryError(
    "ERR_KMS_KEY_STATE",
    `key material ${keyMaterialId}, which is not of this state directory, waits for the rotation of the KMS key`,
    {
      key,
      hint: "take it in from the copy of the state that imported it (`keyferry state merge DIR`), or delete it there (`keyferry rotate --abandon`, aws kms delete-imported-key-material), then run again",
    },
  )
}

/**
 * Refuses to go on from a state that does not have every generation of a key whose own rotations are finished, whatever
 * is to be made in its place: the entry would be kept, without them, as that of a key which is kept alive.
 *
 * @throws ERR_STATE_INCOMPLETE, ERR_KMS_KEY_STATE
 */
export async function refuseRotatedElsewhere({ kms }: Pick<Deps, "kms">, entry: MadeEntry): Promise<void> {
  const { keyArn, keySpec, imports } = entry
  // an endpoint that names no material leaves nothing to compare
  if (!isSymmetric(keySpec) || imports.every(({ keyMaterialId }) => keyMaterialId === null)) return
  // the primary takes new material first, so that no replica holds more
  const rotations = await kms.listKeyRotations(keyArn)
  refuseUnknownMaterial(entry, { keyArn, rotations })
  refusePendingMaterial(entry, { rotations })
}

/** What helps where another copy of the state, or a later one, has rotated. */
export const FROM_ANOTHER_COPY =
  "`keyferry state merge DIR` takes the generations from the copy of the state that made them; without one, `keyferry status --rebuild --overwrite` takes what KMS, token and vault have"

/**
 * Refuses a KMS key whose state would not let it rotate, or that an import would change.
 *
 * @throws ERR_KMS_KEY_STATE
 */
export function assertEnabled({ name }: InventoryEntry, { keyArn, keyState }: KeyDescription): void {
  const { phase, hint } = keyStateRow(keyState)
  if (phase === "usable") return
  throw new KeyferryError("ERR_KMS_KEY_STATE", `${keyArn} is in state ${keyState}, not Enabled`, {
    key: keyArn,
    hint: hint.replaceAll("NAME", name),
  })
}
