import { KeyferryError } from "../../core/base/error.js"
import { type StrayObject, identityOf, type SourceKey } from "../../core/key/source-key.js"
import { vaultDamage } from "../../core/records/sealed-material.js"
import type { Deps } from "../deps.js"

export interface Named {
  readonly owner: string
  readonly name: string
  /** The newest where it is left out. */
  readonly generation?: number | undefined
  /** CKA_ID, hex, where several keys claim the name. */
  readonly id?: string | undefined
}

type Found<T extends { readonly id: string; readonly label: string }> = T & { readonly generation: number }

/** What carries a name in the token and in the vault, oldest generation first: source keys, and odd objects. */
async function carriers(deps: Pick<Deps, "token">, { owner, name, generation, id }: Named) {
  const { keys, strays } = await deps.token.search()
  const named = <T extends { readonly id: string; readonly label: string }>(all: readonly T[]): readonly Found<T>[] =>
    all
      .flatMap((carrier) => {
        const identity = identityOf(carrier.label)
        const fits =
          identity?.owner === owner &&
          identity.name === name &&
          (generation === undefined || identity.generation === generation) &&
          (id === undefined || carrier.id === id)
        return fits ? [{ ...carrier, generation: identity.generation }] : []
      })
      .sort((a, b) => a.generation - b.generation)
  return { keys: named(keys), strays: named(strays) }
}

/**
 * The source key of a name: its newest generation, or the one asked for. Where a name was replaced, so that a label
 * stands for several keys, it is the one that the inventory has in use.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS, ERR_VAULT_DAMAGED
 */
export async function namedSource(deps: Pick<Deps, "token" | "inventory" | "vault">, named: Named): Promise<SourceKey> {
  const { keys } = await carriers(deps, named)
  if (keys.length === 0) await refuseDamaged(deps, named)
  return await chosen(deps, named, keys)
}

/** As {@link namedSource}, but what only carries the label passes as well: something that is to be destroyed. */
export async function namedObject(
  deps: Pick<Deps, "token" | "inventory" | "vault">,
  named: Named,
): Promise<SourceKey | StrayObject> {
  const { keys, strays } = await carriers(deps, named)
  return await chosen<SourceKey | StrayObject>(deps, named, [...keys, ...strays])
}

async function chosen<T extends SourceKey | StrayObject>(
  deps: Pick<Deps, "inventory">,
  { owner, name, generation }: Named,
  all: readonly Found<T>[],
): Promise<T> {
  const generationWords = generation === undefined ? "" : `, generation ${generation}`
  const newest = Math.max(...all.map((carrier) => carrier.generation))
  const newestCarriers = all.filter((carrier) => carrier.generation === newest)
  const [carrier] = newestCarriers
  if (carrier === undefined) {
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `the token has no source key named ${name}${generationWords}`, {
      key: name,
    })
  }
  if (newestCarriers.every(({ id }) => id === carrier.id)) return carrier
  const inUse = new Set(
    (await deps.inventory.list(name)).filter((entry) => entry.owner === owner).map(({ source }) => source.id),
  )
  const used = newestCarriers.filter(({ id }) => inUse.has(id))
  const [only] = used
  if (only !== undefined && used.length === 1) return only
  throw new KeyferryError("ERR_KEY_AMBIGUOUS", `several keys of the token have the label ${carrier.label}`, {
    key: name,
    hint: `name one with --id: ${[...new Set(newestCarriers.map(({ id }) => id))].join(", ")}`,
  })
}

async function refuseDamaged(deps: Pick<Deps, "vault">, { owner, name }: Named): Promise<void> {
  const [damaged] = (await deps.vault.list({ owner, name })).damaged
  if (damaged !== undefined) throw vaultDamage(damaged)
}
