import type { ExpirationModel } from "../base/expiry.js"

/** AWS KMS resource quotas: on-demand rotations of one KMS key, not adjustable. */
export const MOST_ROTATIONS = 25
/** From here on each rotation says how many are left. */
const WARN_FROM = 20

const PENDING: readonly (string | null)[] = ["PENDING_ROTATION", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"]

/** How often the KMS key was rotated (ListKeyRotations): the first material became current without. */
export function rotationsDone(rotations: readonly KeyRotation[]): number {
  return rotations.filter(({ rotationDate }) => rotationDate !== null).length
}

/** What is to be said before the next rotation; null while there are plenty. */
export function rotationsWarning(rotations: number): string | null {
  if (rotations < WARN_FROM) return null
  const remaining = MOST_ROTATIONS - rotations
  return `${rotations} of the ${MOST_ROTATIONS} on-demand rotations that KMS allows a key are used up; ${remaining} left, then \`keyferry replace\``
}

/** The material that waits for its rotation; KMS holds at most one. */
export function pendingRotation(rotations: readonly KeyRotation[]): KeyRotation | undefined {
  return rotations.find(isPending)
}

export function isPending({ keyMaterialState }: Pick<KeyRotation, "keyMaterialState">): boolean {
  return PENDING.includes(keyMaterialState)
}

export interface KeyRotation {
  readonly keyMaterialId: string
  readonly importState: string | null
  readonly keyMaterialState: string | null
  readonly expirationModel: ExpirationModel | null
  readonly validTo: Date | null
  /** When it became current; null for the first material and for one that waits for its rotation. */
  readonly rotationDate: Date | null
  /** `ON_DEMAND`, or null like `rotationDate`. */
  readonly rotationType: string | null
}
