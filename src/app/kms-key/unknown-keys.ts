import { KeyferryError } from "../../core/base/error.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { Inventory } from "../../core/ports/inventory.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Progress } from "../../core/ports/progress.js"
import { keysOf, withNested } from "../../core/records/inventory.js"
import { taggedKeys } from "./tagged-keys.js"
import { TAGS } from "./tags.js"

interface SearchDeps {
  readonly kms: Kms
  readonly inventory: Pick<Inventory, "list">
  readonly progress: Progress
}

/** KMS keys of an owner, by the name in their tags. */
type KeysByName = ReadonlyMap<string, readonly KeyDescription[]>

/** One for each KMS that a run has opened, so that a run asks each target once; it is forgotten with that. */
const searches = new WeakMap<Kms, Map<string, Promise<KeysByName>>>()

/**
 * The KMS keys that say by their tags that they are the owner's, and that no entry of this state directory names: what a
 * lost or an older state has forgotten (invariant I12). Those about to be deleted are left out. It costs one ListKeys for
 * a hundred keys, and DescribeKey and ListResourceTags for each key that is not known here.
 *
 * @throws ERR_KMS_ACCESS_DENIED where the keys may not even be listed; what else KMS throws
 */
export async function unknownKeys(deps: SearchDeps, owner: string): Promise<KeysByName> {
  const byOwner = searches.get(deps.kms) ?? new Map<string, Promise<KeysByName>>()
  searches.set(deps.kms, byOwner)
  const search = byOwner.get(owner) ?? searchKeys(deps, owner)
  byOwner.set(owner, search)
  return await search
}

/** A KMS key of the name that this state directory does not know, beside those given; undefined where there is none. */
export async function unknownKey(
  deps: SearchDeps,
  { owner, name }: { readonly owner: string; readonly name: string },
  excluded: readonly (string | null)[] = [],
): Promise<KeyDescription | undefined> {
  return (await unknownKeys(deps, owner)).get(name)?.find(({ keyArn }) => !excluded.includes(keyArn))
}

/**
 * Refuses to make what KMS has already by the same owner and name.
 *
 * @throws ERR_STATE_INCOMPLETE, and what the search throws
 */
export async function refuseUnknownKey(
  deps: SearchDeps,
  identity: { readonly owner: string; readonly name: string },
  excluded: readonly (string | null)[] = [],
): Promise<void> {
  const key = await unknownKey(deps, identity, excluded)
  if (key === undefined) return
  throw new KeyferryError(
    "ERR_STATE_INCOMPLETE",
    `KMS has ${key.keyArn} (${key.keyState}) with the tags of ${identity.name}, owner ${identity.owner}, and this state directory does not know it`,
    { key: identity.name },
  )
}

async function searchKeys({ kms, inventory, progress }: SearchDeps, owner: string): Promise<KeysByName> {
  const entries = (await inventory.list()).flatMap(withNested)
  const recordedArns = new Set(entries.flatMap((entry) => keysOf(entry).map(({ keyArn }) => keyArn)))
  const byName = new Map<string, KeyDescription[]>()
  let hidden = 0
  for await (const tagged of taggedKeys(kms, (key) => phaseOf(key) !== "dying", recordedArns)) {
    if ("denied" in tagged) {
      hidden += 1
      continue
    }
    const name = tagged.tags[TAGS.name]
    if (tagged.tags[TAGS.owner] !== owner || name === undefined) continue
    const sameName = byName.get(name)
    if (sameName === undefined) byName.set(name, [tagged.key])
    else sameName.push(tagged.key)
  }
  if (hidden > 0) {
    progress.warn(
      `${hidden} KMS ${hidden === 1 ? "key" : "keys"} in ${kms.region} may not be looked at: whether one is of owner ${owner} is not known`,
    )
  }
  return byName
}
