import type { Binding } from "../manifest/binding.js"
import { DEFAULT_SETTINGS } from "../manifest/key-settings.js"
import type { InventoryEntry } from "./inventory.js"

/** The binding of a key that was made by flags, from what the inventory remembers of them. */
export function bindingOf(entry: InventoryEntry, managed = true): Binding {
  const { owner, name, target, keySpec, keyUsage, alias, custody, multiRegion, terms } = entry
  return {
    ...DEFAULT_SETTINGS,
    owner,
    name,
    target,
    token: null,
    managed,
    keySpec,
    keyUsage,
    alias,
    custody,
    multiRegion,
    tagKey: entry.untagged !== true,
    replicas: entry.replicas.map(({ region }) => region),
    wrapWithTrusted: entry.source.attributes?.wrapWithTrusted ?? false,
    ...terms,
  }
}
