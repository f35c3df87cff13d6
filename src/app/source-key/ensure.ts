import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { Deps } from "../deps.js"

type SourceDeps = Pick<Deps, "token" | "inventory" | "progress">

interface SourceWishes {
  /** Whether KMS holds its material already, so that another key would not do. */
  readonly needed: boolean
  /** Whether a `locked` key that is generated may be used in the token too. */
  readonly localUse?: boolean | undefined
}

/**
 * The source key of an entry's newest generation: found by the CKA_ID that the entry has chosen, or generated under it.
 * What it is stands in the inventory before it is used (invariant I5).
 *
 * @throws ERR_KEY_NOT_FOUND where it is needed and gone; ERR_KEY_MISMATCH; what the token throws
 */
export async function ensureSource<E extends InventoryEntry>(
  deps: SourceDeps,
  entry: E,
  { needed, localUse = false }: SourceWishes,
): Promise<{ readonly source: SourceKey; readonly entry: E }> {
  const { id, label, generation } = entry.source
  const { keys, strays } = await deps.token.search({ id })
  const [found] = keys
  if (found === undefined && needed) {
    throw new KeyferryError(
      "ERR_KEY_NOT_FOUND",
      `KMS holds the material of ${label} (${id}), and the token does not: it can never be imported again`,
      { key: entry.name },
    )
  }
  if (found !== undefined && found.keySpec !== entry.keySpec) {
    throw new KeyferryError("ERR_KEY_AMBIGUOUS", `the token's key ${id} is of ${found.keySpec}, not ${entry.keySpec}`, {
      key: entry.name,
    })
  }
  if (found === undefined && strays.length > 0) {
    deps.progress.warn(`an earlier run died while the token generated ${label}; what that left is destroyed`)
    await deps.token.destroySourceKey({ id, label })
  }
  const source =
    found ??
    (await deps.token.generateSourceKey({
      ...{ id, label, keySpec: entry.keySpec, keyUsage: entry.keyUsage, custody: entry.custody },
      ...{ wrapWithTrusted: false, shareLabel: true, localUse },
    }))
  if (found === undefined) deps.progress.step(`source key ${label} (${id}), generation ${generation}`)
  if (found !== undefined && entry.source.attributes !== null) return { source, entry }
  const { attributes, kcv, publicKeyFingerprint } = source
  const sourced = {
    ...entry,
    token: deps.token.info,
    source: { id, label, generation, attributes, kcv, publicKeyFingerprint },
  }
  await deps.inventory.put(sourced)
  return { source, entry: sourced }
}
