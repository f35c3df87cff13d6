import { DEFAULT_WRAPPING_KEY_SPEC } from "../manifest/key-settings.js"
import type { Custody } from "../key/custody.js"
import { rfc3339 } from "../base/expiry.js"
import {
  beginEntry,
  type ImportRecord,
  type ImportWishes,
  type InventoryEntry,
  type SourceKeyRecord,
} from "./inventory.js"
import { type KeySpec, type KeyUsage, KEY_SPECS } from "../key/key-spec.js"
import type { KeyDescription } from "../key/key-description.js"
import { phaseOf } from "../key/key-state.js"
import type { KeyRotation } from "../key/rotation.js"
import { labelOf, type SourceKey } from "../key/source-key.js"
import type { TokenInfo } from "../token/token-info.js"
import { kmsAllows, WRAPPING_ALGORITHM_NAMES, type WrappingAlgorithm } from "../key/wrapping-algorithm.js"

/** A KMS key of one Region as it was found. */
export interface FoundKey {
  readonly region: string
  readonly description: KeyDescription
  /** Empty for keys whose material has no ID. */
  readonly rotations: readonly KeyRotation[]
}

/** A source key that the token or the vault has. */
export interface FoundSource extends Pick<
  SourceKey,
  "id" | "label" | "custody" | "attributes" | "kcv" | "publicKeyFingerprint"
> {
  /** The one that has it, or whose custody key sealed it. */
  readonly token: TokenInfo
}

/** Everything that survives the loss of the state about one KMS key. */
export interface Remains {
  readonly owner: string
  readonly name: string
  readonly target: string
  readonly primary: FoundKey & { readonly description: { readonly keySpec: KeySpec; readonly keyUsage: KeyUsage } }
  readonly replicas: readonly FoundKey[]
  readonly aliases: readonly string[]
  /** `keyferry:request` and `keyferry:source` of its tags. */
  readonly requestId: string | null
  readonly sourceId: string | null
  /** How the configuration wants the key imported; null where it does not name the key. */
  readonly terms: ImportWishes | null
  readonly sources: readonly FoundSource[]
  /** Source keys, by CKA_ID, of the material that an entry there saw KMS take from them; by KMS' ID of the material. */
  readonly sourceOfMaterial: ReadonlyMap<string, string>
  /** RFC 3339 UTC. */
  readonly now: string
  /** Whether a token has a custody key of the owner: then what is nowhere was sealed, as far as anybody can tell. */
  readonly seals: boolean
}

export interface Rebuilt {
  readonly entry: InventoryEntry
  /** In words: what the entry lacks, or only assumes. */
  readonly lost: readonly string[]
  /** When KMS loses material that nothing can give back, RFC 3339; null where there is none such. */
  readonly diesAt: string | null
}

const UNKNOWN_ID = "00".repeat(16)
const UNKNOWN_DIGEST = `sha256:${"0".repeat(64)}`
/** What the record of every key loses: nothing but keyferry knew it. */
const ALWAYS_LOST = ["how, when and by which request it was imported", "its proofs"]

/** The inventory's entry of a KMS key from what is left of it; what is not known is said. */
export function rebuiltEntry(remains: Remains): Rebuilt {
  const { owner, name, primary, replicas, aliases, requestId, sourceId, terms } = remains
  const { description, region } = primary
  const lost = [...ALWAYS_LOST, ...(terms === null ? ["the terms of its next import"] : [])]
  const materials = materialsInOrder(primary.rotations)
  const generations = Math.max(1, materials.length)
  const rotating = isPending(materials.at(-1))
  // the tag names the newest that is in use: one that waits for its rotation is not in it yet
  const tagged = generations - (rotating ? 2 : 1)
  let token: TokenInfo | null = null
  const imported = materials.map(({ keyMaterialId }) => remains.sourceOfMaterial.get(keyMaterialId))
  const records = Array.from({ length: generations }, (_, generation) => {
    const candidates = candidatesFor(remains, generation, imported)
    const [foundSource, second] = candidates
    const id = imported[generation] ?? (generation === tagged ? sourceId : null)
    if (foundSource === undefined || second !== undefined) {
      lost.push(missing(candidates, generation, id))
      return recordOf(undefined, { owner, name, generation }, id)
    }
    token = foundSource.token
    return recordOf(foundSource, { owner, name, generation }, id)
  })
  const source = records.at(-1) ?? recordOf(undefined, { owner, name, generation: 0 }, sourceId)
  const gone = records.filter(({ attributes }) => attributes === null)
  const custody = custodyOf(remains, source)
  if (custody.assumed) lost.push(`its custody, taken to be ${custody.custody}`)
  const [alias = null, ...otherAliases] = aliases
  if (otherAliases.length > 0) lost.push(`which of ${aliases.join(", ")} is its alias, taken to be ${alias ?? ""}`)
  const withheldAt = lacksMaterial(primary) ? remains.now : null
  if (withheldAt !== null)
    lost.push(
      `whether its missing material expired or was deleted on purpose: \`keyferry recover ${name} --yes\` imports it again`,
    )
  const identity = {
    owner,
    name,
    target: remains.target,
    region,
    keySpec: description.keySpec,
    keyUsage: description.keyUsage,
    custody: custody.custody,
    alias,
    multiRegion: description.multiRegion,
  }
  const begunEntry = beginEntry(identity, source, requestId ?? "unknown", description.creationDate ?? new Date(0))
  const entry: InventoryEntry = {
    ...begunEntry,
    aliasGiven: alias !== null,
    keyArn: description.keyArn,
    token,
    terms,
    source,
    earlier: records.slice(0, -1),
    rotating,
    withheldAt,
    imports: [
      ...importsOf(primary, description.keySpec, true),
      ...replicas.flatMap((key) => importsOf(key, description.keySpec, false)),
    ],
    replicas: replicas.map((key) => ({
      region: key.region,
      keyArn: key.description.keyArn,
      aliasGiven: false,
    })),
  }
  return { entry, lost, diesAt: gone.length === 0 ? null : deathOf([primary, ...replicas]) }
}

/** Whether KMS has forgotten material of it; a KMS key that never had any is not one of these. */
function lacksMaterial({ description, rotations }: FoundKey): boolean {
  if (rotations.length > 0) return rotations.some(({ importState }) => importState !== "IMPORTED")
  return KEY_SPECS[description.keySpec as KeySpec].proof !== "key-material-id" && phaseOf(description) === "empty"
}

/** Material in the order of its generations: the first has no date of rotation, what waits for its rotation is last. */
export function materialsInOrder(rotations: readonly KeyRotation[]): readonly KeyRotation[] {
  const rank = ({ rotationDate, keyMaterialState }: KeyRotation): number =>
    keyMaterialState?.startsWith("PENDING") === true ? Number.MAX_VALUE : (rotationDate?.getTime() ?? 0)
  return [...rotations].sort((a, b) => rank(a) - rank(b))
}

const isPending = (rotation: KeyRotation | undefined): boolean =>
  rotation?.keyMaterialState?.startsWith("PENDING") === true

/**
 * The source keys that may be a generation's: the one that was seen to be, else those with its label that were not seen to
 * be another's, of which the tag may name one. Several only an import could tell apart.
 *
 * @param imported the IDs of those that were seen to be a generation's, in the order of the generations
 */
function candidatesFor(
  { owner, name, sources, sourceId }: Remains,
  generation: number,
  imported: readonly (string | undefined)[],
): readonly FoundSource[] {
  const id = imported[generation]
  if (id !== undefined) return sources.filter((source) => source.id === id)
  const label = labelOf({ owner, name, generation })
  const labelled = sources.filter((source) => source.label === label && !imported.includes(source.id))
  const tagged = labelled.filter((source) => source.id === sourceId)
  return tagged.length === 1 ? tagged : labelled
}

function missing(candidates: readonly FoundSource[], generation: number, id: string | null): string {
  return candidates.length > 1
    ? `which of ${candidates.map((source) => source.id).join(", ")} is generation ${generation}`
    : `the source key of generation ${generation} (${id ?? "no ID known"}): it is neither in the token nor in the vault`
}

function recordOf(
  source: FoundSource | undefined,
  identity: { readonly owner: string; readonly name: string; readonly generation: number },
  id: string | null,
): SourceKeyRecord {
  const { generation } = identity
  if (source === undefined) {
    return {
      id: id ?? UNKNOWN_ID,
      label: labelOf(identity),
      generation,
      attributes: null,
      kcv: null,
      publicKeyFingerprint: null,
    }
  }
  const { label, attributes, kcv, publicKeyFingerprint } = source
  return { id: source.id, label, generation, attributes, kcv, publicKeyFingerprint }
}

/** As the source key shows it; of one that is gone nothing says it. */
function custodyOf(
  remains: Remains,
  { id }: SourceKeyRecord,
): { readonly custody: Custody; readonly assumed: boolean } {
  const source = remains.sources.find((candidate) => candidate.id === id)
  if (source !== undefined) return { custody: source.custody, assumed: false }
  const never = remains.primary.description.expirationModel === "KEY_MATERIAL_DOES_NOT_EXPIRE"
  if (remains.seals) return { custody: "sealed", assumed: true }
  return { custody: never ? "session" : "token", assumed: true }
}

/** A record for each material that KMS has, as far as KMS tells: it took it, and until when. */
function importsOf(key: FoundKey, keySpec: KeySpec, isPrimary: boolean): readonly ImportRecord[] {
  const { region, description } = key
  const createdAt = description.creationDate ?? new Date(0)
  const record = (generation: number, id: string | null, validTo: Date | null, importedAt: Date): ImportRecord => ({
    region,
    generation,
    keyMaterialId: id,
    wrappingAlgorithm: anyAlgorithm(keySpec),
    wrappingKeySpec: DEFAULT_WRAPPING_KEY_SPEC,
    wrapPath: null,
    mechanisms: [],
    wrappingKeyFingerprint: UNKNOWN_DIGEST,
    encryptedKeyMaterialDigest: UNKNOWN_DIGEST,
    expirationModel: validTo === null ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES",
    validTo: validTo === null ? null : rfc3339(validTo),
    importedAt: rfc3339(importedAt),
    requestId: null,
    proof: { kind: "none", result: "accepted" },
  })
  if (KEY_SPECS[keySpec].proof === "key-material-id") {
    return materialsInOrder(key.rotations).map(({ keyMaterialId, validTo, rotationDate }, generation) =>
      record(generation, keyMaterialId, validTo, rotationDate ?? createdAt),
    )
  }
  const imported = record(0, null, description.validTo, createdAt)
  if (phaseOf(description) !== "empty") return [imported]
  // KMS does not say whether it ever had any: it may have lost it, and what is lost can be recovered; a replica is filled
  return isPrimary ? [{ ...imported, expirationModel: "KEY_MATERIAL_EXPIRES" }] : []
}

function anyAlgorithm(keySpec: KeySpec): WrappingAlgorithm {
  return (
    WRAPPING_ALGORITHM_NAMES.find((name) => kmsAllows(keySpec, name, DEFAULT_WRAPPING_KEY_SPEC)) ?? "RSAES_OAEP_SHA_256"
  )
}

/** When KMS has the first of its material no longer, or the key itself. */
function deathOf(keys: readonly FoundKey[]): string | null {
  const times = keys.flatMap(({ description: { validTo, deletionDate } }) =>
    [validTo, deletionDate].filter((date) => date !== null).map((date) => date.getTime()),
  )
  return times.length === 0 ? null : rfc3339(new Date(Math.min(...times)))
}
