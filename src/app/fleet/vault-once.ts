import type { Vault } from "../../core/ports/vault.js"
import { type DamagedMaterial, type SealedMaterial, vaultDamage } from "../../core/records/sealed-material.js"

/**
 * A vault whose files are read once, all together when the first is asked for: for who looks at every key and then at
 * the vault as a whole, and changes nothing.
 */
export function vaultReadOnce(vault: Vault): Vault {
  let listing: ReturnType<Vault["list"]> | undefined
  let index: Promise<Index> | undefined
  const list = (): ReturnType<Vault["list"]> => (listing ??= vault.list())
  return {
    ...vault,
    list: (holder) => (holder === undefined ? list() : vault.list(holder)),
    async *all() {
      const { sealed, damaged } = await list()
      for (const material of sealed) yield { sealed: material }
      for (const material of damaged) yield { damaged: material }
    },
    async get(id) {
      const { whole, damaged } = await (index ??= list().then(indexOf))
      const material = whole.get(id)
      const damage = damaged.get(id)
      if (material === undefined && damage !== undefined) throw vaultDamage(damage)
      return material
    },
  }
}

interface Index {
  readonly whole: ReadonlyMap<string, SealedMaterial>
  readonly damaged: ReadonlyMap<string | null, DamagedMaterial>
}

const indexOf = ({ sealed, damaged }: Awaited<ReturnType<Vault["list"]>>): Index => ({
  whole: new Map(sealed.map((material) => [material.id, material])),
  damaged: new Map(damaged.map((material) => [material.id, material])),
})
