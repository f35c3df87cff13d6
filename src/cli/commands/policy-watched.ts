import type { Manifest } from "../../core/manifest/manifest.js"
import { bindingsIn, type PolicyScope } from "../../core/policy/needs.js"
import { type WatchedKey, watchedKeys } from "../../core/policy/watched-key.js"
import type { World } from "../../host/open.js"

export const REGION_ALONE = { type: "string", requiresArg: true, describe: "only what is in this Region" } as const

/** The KMS keys of the manifest, as the state directory has them, and the names that have none yet. */
export async function watchedIn(
  world: World,
  manifest: Manifest,
  { region, ...scope }: PolicyScope & { readonly region: string | null },
): Promise<{ readonly keys: readonly WatchedKey[]; readonly missing: readonly string[] }> {
  const { inventory } = await world.state({ lock: false })
  const entries = await inventory.list()
  const bindings = bindingsIn(manifest, scope)
  const keys = watchedKeys(bindings, ({ name, target }) =>
    entries.find((entry) => entry.name === name && entry.target === target),
  )
  const watchedPlaces = new Set(keys.map(({ name, target }) => `${name} ${target}`))
  return {
    keys: keys.filter((key) => region === null || key.region === region),
    missing: bindings.filter(({ name, target }) => !watchedPlaces.has(`${name} ${target}`)).map(({ name }) => name),
  }
}
