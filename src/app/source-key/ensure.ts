import { KeyferryError } from "../../core/base/error.js"
import { phaseOf } from "../../core/key/key-state.js"
import { localUsages, type SourceKey } from "../../core/key/source-key.js"
import type { MadeEntry } from "../../core/records/inventory.js"
import type { Deps } from "../deps.js"
import { findSourceKey, type FoundSource } from "./find.js"

type SourceDeps = Pick<Deps, "token" | "kms" | "inventory" | "progress">

interface SourceOptions {
  /** Whether source keys of other KMS keys may have its label. */
  readonly sharesLabel: boolean
  /** What was seen of it before anything was made; it is looked for where that is left out. */
  readonly found?: FoundSource
  /** Whether KMS holds its material already; asked where it is left out and the source key is not there. */
  readonly held?: boolean
  /** What to do where KMS holds its material and it is gone. */
  readonly lostHint?: string
  /** Whether a `locked` key that is generated may be used in the token too. */
  readonly localUse?: boolean | undefined
  readonly wrapWithTrusted?: boolean | undefined
}

/**
 * The source key of an entry's newest generation: found by the CKA_ID that the entry has chosen, or generated under it.
 * What it is stands in the inventory before it is used (invariant I5).
 *
 * @throws ERR_KEY_NOT_FOUND where KMS holds its material and it is gone; what {@link findSourceKey} and the token throw
 */
export async function ensureSource(
  deps: SourceDeps,
  entry: MadeEntry,
  options: SourceOptions,
): Promise<{ readonly source: SourceKey; readonly entry: MadeEntry }> {
  const { id, label, generation } = entry.source
  const { key, halfMade } = options.found ?? (await lookFor(deps, entry, options))
  if (key === undefined) await refuseLost(deps, entry, options)
  if (halfMade) await clearHalfMade(deps, entry)
  const source = key ?? (await generate(deps, entry, options))
  const how = key === undefined ? "generated in" : "found in"
  deps.progress.step(`source key ${label} (${source.id}) ${how} the token, custody ${entry.custody}`)
  const { attributes, kcv, publicKeyFingerprint } = source
  const record = { id, label, generation, attributes, kcv, publicKeyFingerprint }
  const sourced = { ...entry, token: deps.token.info, source: record }
  if (key === undefined || entry.source.attributes === null) await deps.inventory.put(sourced)
  return { source, entry: sourced }
}

function lookFor(
  { token }: SourceDeps,
  entry: MadeEntry,
  { localUse, sharesLabel }: SourceOptions,
): Promise<FoundSource> {
  const { keySpec, keyUsage, custody, source } = entry
  return findSourceKey(token, {
    id: source.id,
    label: source.label,
    keySpec,
    custody,
    localUse: localUse === true ? localUsages(keySpec, keyUsage) : [],
    sharesLabel,
  })
}

function generate({ token }: SourceDeps, entry: MadeEntry, options: SourceOptions): Promise<SourceKey> {
  const { keySpec, keyUsage, custody, source } = entry
  return token.generateSourceKey({
    id: source.id,
    label: source.label,
    keySpec,
    keyUsage,
    custody,
    wrapWithTrusted: options.wrapWithTrusted ?? false,
    shareLabel: options.sharesLabel,
    localUse: options.localUse ?? false,
  })
}

/** KMS holds, or may hold, material whose source key is no longer there: new material would not be the same. */
async function refuseLost({ kms }: SourceDeps, entry: MadeEntry, { held, lostHint }: SourceOptions): Promise<void> {
  if (!(held ?? (await mayBeHeld(kms, entry)))) return
  const { id, label } = entry.source
  throw new KeyferryError(
    "ERR_KEY_NOT_FOUND",
    `${entry.keyArn} has the material of ${label} (${id}), and the token does not: it can never be proven or imported again`,
    { key: entry.keyArn, ...(lostHint === undefined ? {} : { hint: lostHint }) },
  )
}

/** An import whose outcome is not known may have filled the KMS key. */
async function mayBeHeld(kms: SourceDeps["kms"], { keyArn, importing, imports }: MadeEntry): Promise<boolean> {
  if (imports.length > 0) return true
  return importing !== null && phaseOf(await kms.describeKey(keyArn)) !== "empty"
}

async function clearHalfMade({ token, progress }: SourceDeps, { source: { id, label } }: MadeEntry): Promise<void> {
  progress.warn(`an earlier run died while the token generated ${label}; what that left is destroyed`)
  await token.destroySourceKey({ id, label })
}
