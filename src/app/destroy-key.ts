import { KeyferryError } from "../core/error.js"
import { parseKeyArn } from "../core/key-arn.js"
import type { KeyDescription, Kms } from "../core/ports.js"
import { labelOf, type SourceKey } from "../core/source-key.js"
import type { Deps } from "./deps.js"

export interface DestroyResult {
  readonly name: string
  readonly id: string
  readonly label: string
  readonly destroyed: boolean
}

/** Opens KMS in the Region of a key; null where it cannot be asked. */
export type OpenRegion = (region: string) => Promise<Pick<Kms, "describeKey"> | null>

/**
 * Destroys a source key for good, unless a KMS key depends on it: then the material could not be imported again, and
 * that KMS key would die when its material expires.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS, ERR_KEY_IN_USE
 */
export async function destroyKey(
  deps: Pick<Deps, "token" | "inventory" | "progress">,
  request: { readonly owner: string; readonly name: string; readonly id: string | undefined },
  openRegion: OpenRegion,
): Promise<DestroyResult> {
  const { owner, name } = request
  const source = await findOne(deps, labelOf({ owner, name, generation: 0 }), request)
  const entries = (await deps.inventory.list(name)).filter(
    (entry) => entry.owner === owner && entry.source.id === source.id,
  )
  for (const entry of entries) {
    if (entry.keyArn === null) continue
    const key = await ask(entry.keyArn, openRegion)
    if (
      key === "gone" ||
      (key !== "unknown" && key.keyState === "PendingImport" && entry.imports.length === 0 && entry.importing === null)
    )
      continue
    const validTo = entry.imports.at(-1)?.validTo ?? entry.importing?.validTo ?? null
    const state = key === "unknown" ? "KMS could not be asked for its state" : `now ${key.keyState}`
    const dies =
      validTo === null
        ? "its material could never be imported again after a loss"
        : `it dies when its material expires at ${validTo}`
    throw new KeyferryError(
      "ERR_KEY_IN_USE",
      `the KMS key ${entry.keyArn} (${state}) depends on the source key ${name}: without it ${dies}`,
      {
        key: name,
      },
    )
  }
  await deps.token.destroySourceKey(source)
  deps.progress.step(`source key ${source.label} (${source.id}) destroyed`)
  // entries without a KMS key, or of a KMS key that is gone, have nothing left to say
  for (const entry of entries) await deps.inventory.remove(entry.name, entry.target)
  return { name, id: source.id, label: source.label, destroyed: true }
}

async function findOne(
  deps: Pick<Deps, "token">,
  label: string,
  { name, id }: { readonly name: string; readonly id: string | undefined },
): Promise<Pick<SourceKey, "id" | "label">> {
  const strays = (await deps.token.strayObjects()).filter((stray) => stray.label === label)
  const found = [...(await deps.token.findSourceKeys({ label })), ...strays].filter(
    (key) => id === undefined || key.id === id,
  )
  const [first] = found
  if (first === undefined)
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `the token has no source key named ${name}`, { key: name })
  if (found.some((other) => other.id !== first.id)) {
    throw new KeyferryError("ERR_KEY_AMBIGUOUS", `several keys of the token have the label ${label}`, {
      key: name,
      hint: `name one with --id: ${found.map((one) => one.id).join(", ")}`,
    })
  }
  return first
}

async function ask(keyArn: string, openRegion: OpenRegion): Promise<KeyDescription | "gone" | "unknown"> {
  try {
    const kms = await openRegion(parseKeyArn(keyArn)?.region ?? "")
    return kms === null ? "unknown" : await kms.describeKey(keyArn)
  } catch (error) {
    return error instanceof KeyferryError && error.code === "ERR_KMS_KEY_NOT_FOUND" ? "gone" : "unknown"
  }
}
