import type { StateCopy } from "../../core/ports/state-copy.js"
import type { SealedMaterial } from "../../core/records/sealed-material.js"
import type { Deps } from "../deps.js"

/**
 * Sealed material that this state lacks, or has damaged, or has under an older custody key. What either copy has destroyed
 * on purpose does not come back.
 */
export async function mergeVault(
  deps: Pick<Deps, "vault">,
  copy: Pick<StateCopy, "vault">,
  destroyed: ReadonlySet<string>,
): Promise<{ readonly sealed: number; readonly problems: readonly string[] }> {
  const { sealed: own } = await deps.vault.list()
  const ours = new Map(own.map((material) => [material.id, material]))
  const { sealed, damaged } = await copy.vault.list()
  const problems = damaged.map(({ path, reason }) => `${path}: ${reason}`)
  let taken = 0
  for (const material of sealed) {
    const before = ours.get(material.id)
    if (before === undefined && destroyed.has(material.id)) {
      problems.push(`${material.label} (${material.id}) was destroyed on purpose: it is not brought back`)
      continue
    }
    if (before !== undefined && !isNewer(material, before)) continue
    await deps.vault.put(material)
    taken += 1
  }
  return { sealed: taken, problems }
}

/** Whether it was resealed after the other: custody keys are numbered, and the newest is the one in force. */
function isNewer(material: SealedMaterial, before: SealedMaterial): boolean {
  return numberOf(material) > numberOf(before)
}

const numberOf = ({ custodyKey: { label } }: SealedMaterial): number => Number(/\/(\d+)$/.exec(label)?.[1] ?? 0)
