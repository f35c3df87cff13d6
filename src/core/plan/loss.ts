import { rfc3339 } from "../base/expiry.js"
import { stopsOf } from "../records/ending.js"
import { lostOf, wasDeleted } from "./check-import.js"
import { canReimport, type Context, earliest } from "./context.js"
import { materialsOf } from "./material.js"
import type { Snapshot } from "./snapshot.js"

/** A KMS key that is dead now: without its material it does nothing, whatever is to be done of it. */
export interface Loss {
  readonly reason: "EXPIRED" | "MATERIAL_DELETED"
  /** In which its KMS key lacks material. */
  readonly regions: readonly string[]
  /** When the first of it expired, or would have; RFC 3339 UTC, null for never. */
  readonly validTo: string | null
  readonly message: string
  /** What does not work meanwhile, in words. */
  readonly holdsBack: string
  /** What brings it back; null where nothing does, since its custody imports only once. */
  readonly command: string | null
}

/** What KMS has lost of a key; null where it has all of it. */
export function lossOf(snapshot: Snapshot): Loss | null {
  const context: Context = { snapshot, options: {}, materials: materialsOf(snapshot), drift: [] }
  const lost = lostOf(context, context.materials)
  if (lost.length === 0) return null
  const { entry, now, binding } = snapshot
  const isDeleted = entry?.withheldAt != null || lost.some((material) => wasDeleted(material, now))
  const regions = [...new Set(lost.map(({ region }) => region))]
  const end = earliest(lost.map(({ validTo }) => validTo))
  const validTo = end === null ? null : rfc3339(end)
  const how = isDeleted ? "was deleted" : `expired${validTo === null ? "" : ` on ${validTo}`}`
  return {
    reason: isDeleted ? "MATERIAL_DELETED" : "EXPIRED",
    regions,
    validTo,
    message: `its KMS key is dead in ${regions.join(", ")}: its key material ${how}`,
    holdsBack: stopsOf(binding.keyUsage),
    command: canReimport(context) ? `keyferry recover ${binding.name}${isDeleted ? " --yes" : ""}` : null,
  }
}
