import { type ValidTo, validToFrom } from "../../core/base/expiry.js"
import { keyStateRow, phaseOf } from "../../core/key/key-state.js"
import { isSymmetric } from "../../core/plan/material.js"
import type { ImportTerms, Kms } from "../../core/ports/kms.js"
import { importOf, type MadeEntry } from "../../core/records/inventory.js"
import type { Deps } from "../deps.js"
import { announced, type Announced, keyArnOf, type Pin } from "./records.js"

/** An import that an earlier run was stopped in, and that KMS has taken all the same. */
export interface Taken {
  readonly sending: Announced & { readonly terms: Pick<ImportTerms, "importType"> }
  readonly answer: { readonly keyMaterialId: string | null; readonly requestId: null }
}

/** What may be as long as this from what is wanted is not imported anew for it. */
const SLACK_MS = 3_600_000

/**
 * Looks whether KMS has the material of the entry's open import, with the expiry that was sent along: nothing is to be
 * sent again then. KMS is asked of an import that was stopped, and of no other; null where it is to be sent.
 *
 * @throws what Kms throws
 */
export async function takenBefore(
  deps: Pick<Deps, "kms" | "clock">,
  intention: { readonly entry: MadeEntry; readonly generation: number; readonly expiresIn: string },
  pin: Pin,
): Promise<Taken | null> {
  const { entry, generation, expiresIn } = intention
  const { importing } = entry
  const { region } = deps.kms
  if (importing?.region !== region || importing.generation !== generation) return null
  const sent = importing.validTo === null ? null : new Date(importing.validTo)
  if (!isAsWanted(sent, validToFrom(expiresIn, deps.clock.now()))) return null
  const before = importOf(entry, generation, region)
  // with the same expiry it looks the same before and after, unless it was gone in between
  if (before?.validTo === importing.validTo && before.deletedAt === undefined) return null
  const { importType, keyMaterialId = null } = pin
  // what KMS names can be told from other generations only by its name
  if (isSymmetric(entry.keySpec) && keyMaterialId === null) return null
  const held = await heldUntil(deps.kms, keyArnOf(entry, region), keyMaterialId)
  if (held === undefined || held?.getTime() !== sent?.getTime()) return null
  return {
    sending: { ...announced(entry, importing, pin), terms: importType === undefined ? {} : { importType } },
    answer: { keyMaterialId, requestId: null },
  }
}

function isAsWanted(sent: ValidTo, requested: ValidTo): boolean {
  if (sent === null || requested === null) return sent === requested
  return Math.abs(sent.getTime() - requested.getTime()) <= SLACK_MS
}

/** When the material ends that KMS holds; undefined where it holds none. */
async function heldUntil(
  kms: Pick<Kms, "describeKey" | "listKeyRotations">,
  keyArn: string,
  keyMaterialId: string | null,
): Promise<ValidTo | undefined> {
  const description = await kms.describeKey(keyArn)
  if (keyMaterialId === null) return phaseOf(description) === "usable" ? description.validTo : undefined
  // a key whose other materials are still missing lists those that it has
  if (!keyStateRow(description.keyState).listsRotations) return undefined
  const rotations = await kms.listKeyRotations(keyArn)
  const held = rotations.find((rotation) => rotation.keyMaterialId === keyMaterialId)
  return held?.importState === "IMPORTED" ? held.validTo : undefined
}
