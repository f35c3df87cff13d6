import { errorOf, KeyferryError } from "../../core/base/error.js"
import { failedOutcome, type KeyRow, rowOutcome } from "../../core/plan/row.js"
import {
  type FormerEntry,
  generationsOf,
  type ImportWishes,
  type InventoryEntry,
  withNested,
} from "../../core/records/inventory.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { isKeySpec, KEY_SPECS, type KeyUsage, whyNotCarried } from "../../core/key/key-spec.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Kms } from "../../core/ports/kms.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import { type FoundKey, type FoundSource, rebuiltEntry, type Rebuilt } from "../../core/records/rebuild.js"
import { phaseOf } from "../../core/key/key-state.js"
import { identityOf } from "../../core/key/source-key.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { Deps } from "../deps.js"
import { refuseOtherAccount } from "../kms-key/account.js"
import { taggedKeys } from "../kms-key/tagged-keys.js"
import { TAGS } from "../kms-key/tags.js"
import { record, type RecordDeps } from "../record.js"

export type RebuildDeps = Pick<Deps, "kms" | "kmsIn" | "inventory" | "vault" | "clock"> &
  RecordDeps & {
    /** All that are given; what is sealed belongs to one of them as well. */
    readonly tokens: readonly CustodialToken[]
  }

export interface RebuildRequest {
  readonly owner: string
  readonly target: string
  /** Writes over entries that are there. */
  readonly overwrite: boolean
  /** KMS keys, by ARN, that are another target's of the same run; those of this one are added. */
  readonly claimed?: Set<string>
  /** Whether a name is this target's; every one where it is left out. */
  readonly isOwnName?: (name: string) => boolean
  /** How the configuration wants a name's key imported; null where it does not name it. */
  readonly termsOf?: (name: string) => ImportWishes | null
  /** KMS keys that the configuration names and others made, by ARN: they need not have tags of keyferry. */
  readonly keysOfOthers?: ReadonlyMap<string, { readonly name: string; readonly tagKey: boolean }>
}

export interface RebuildRow extends KeyRow {
  readonly target: string
  /** What could not be rebuilt, or is only assumed. */
  readonly lost: readonly string[]
  /** When KMS loses material that nothing can give back; null where there is none such. */
  readonly diesAt: string | null
}

export interface Rebuilding {
  readonly keys: readonly RebuildRow[]
  /** Source keys that no KMS key of this Region says to be made from. */
  readonly unclaimed: readonly { readonly id: string; readonly label: string }[]
  /** What could not be looked at, in words. */
  readonly unseen: readonly string[]
}

interface TaggedKey {
  readonly key: KeyDescription
  readonly tags: Readonly<Record<string, string>>
}

/** What survived. */
interface Remains {
  /** KMS keys that say by their tags that they are the owner's. */
  readonly keys: readonly TaggedKey[]
  /** Source keys of the token and of the vault; each once. */
  readonly sources: readonly FoundSource[]
  /** KMS keys that the configuration names and others made, which wait for their first material. */
  readonly waiting: readonly TaggedKey[]
  readonly unseen: readonly string[]
}

/**
 * The inventory of a target anew, from what survives its loss: the tags and metadata of KMS keys, the objects of the
 * token, and the vault. An entry that is there stays, unless it is to be overwritten. Nothing is changed in KMS or in
 * the token.
 */
export async function rebuild(deps: RebuildDeps, request: RebuildRequest): Promise<Rebuilding> {
  const { claimed = new Set<string>(), isOwnName = () => true } = request
  const { keys: tagged, sources, waiting, unseen } = await readRemains(deps, request)
  // an account without a key of this owner may be the wrong one
  await refuseOtherAccount(deps, { ...request, name: null }, () => deps.kms.callersAccount())
  const keys = tagged.filter((key) => isOwnName(nameOf(key)) && !claimed.has(key.key.keyArn))
  for (const { key } of keys) claimed.add(key.keyArn)
  const rows: RebuildRow[] = []
  for (const name of [...new Set(keys.map(nameOf))].sort()) {
    const sameName = keys.filter((tagged) => nameOf(tagged) === name)
    rows.push(...(await rebuildName(deps, { ...request, name }, { keys: sameName, sources })))
  }
  rows.push(...waiting.filter((key) => isOwnName(nameOf(key))).map((key) => waitingRow(key, request.target)))
  const claimedIds = new Set(
    (await deps.inventory.list()).flatMap((entry) =>
      withNested(entry).flatMap(({ source, earlier }) => [source.id, ...earlier.map(({ id }) => id)]),
    ),
  )
  const unclaimed = sources.filter(({ id }) => !claimedIds.has(id)).map(({ id, label }) => ({ id, label }))
  return { keys: rows, unclaimed, unseen }
}

const nameOf = ({ tags }: TaggedKey): string => tags[TAGS.name] ?? ""

function waitingRow(tagged: TaggedKey, target: string): RebuildRow {
  const { keyArn } = tagged.key
  const message = `${keyArn}, its keyArn, waits for its first key material: keyferry apply fills it`
  const facts = { name: nameOf(tagged), target, keyArn, replaced: false, lost: [], diesAt: null }
  return { ...facts, ...rowOutcome("nothing", "EMPTY", message) }
}

async function readRemains(deps: RebuildDeps, { owner, keysOfOthers }: RebuildRequest): Promise<Remains> {
  const unseen: string[] = []
  const keys: TaggedKey[] = []
  const untagged: TaggedKey[] = []
  for await (const listed of taggedKeys(deps.kms, () => true)) {
    if ("denied" in listed) unseen.push(`${listed.key?.keyArn ?? "a KMS key"}: ${listed.denied.message}`)
    else if (listed.tags[TAGS.owner] === owner && listed.tags[TAGS.name] !== undefined) keys.push(listed)
    else if (listed.tags[TAGS.owner] === undefined) {
      const name = keysOfOthers?.get(listed.key.keyArn)?.name
      if (name !== undefined)
        untagged.push({ ...listed, tags: { ...listed.tags, [TAGS.owner]: owner, [TAGS.name]: name } })
    }
  }
  const objects: FoundSource[] = []
  for (const token of deps.tokens) {
    const { keys: tokenKeys } = await token.hsm.search()
    objects.push(...tokenKeys.map((key) => ({ ...key, token: token.info })))
  }
  if (deps.tokens.length === 0) unseen.push("the token: none is given")
  const { sealed, damaged } = await deps.vault.list()
  for (const { path, reason } of damaged) unseen.push(`${path}: ${reason}`)
  const inVault = sealed
    .filter(({ id }) => !objects.some((key) => key.id === id))
    .map(({ id, label, token, provenance: { attributes, kcv, publicKey } }): FoundSource => {
      const publicKeyFingerprint = publicKey === null ? null : sha256(publicKey)
      return { id, label, token, custody: "sealed", attributes, kcv, publicKeyFingerprint }
    })
  const sources = [...objects, ...inVault].filter(({ label }) => identityOf(label)?.owner === owner)
  const waiting: TaggedKey[] = []
  for (const tagged of untagged) {
    const isFilled = await hadMaterial(deps, tagged, sources)
    ;(isFilled ? keys : waiting).push(tagged)
  }
  return { keys, sources, waiting, unseen }
}

/**
 * Whether a KMS key without tags has, or had, key material of its name. KMS says so of symmetric keys; what it has lost
 * of others only the source key of the name tells, which may also be there before its first import.
 */
async function hadMaterial(
  { kms }: Pick<RebuildDeps, "kms">,
  tagged: TaggedKey,
  sources: readonly FoundSource[],
): Promise<boolean> {
  const { key } = tagged
  if (phaseOf(key) !== "empty") return true
  if (isSymmetric(key)) return (await kms.listKeyRotations(key.keyArn)).length > 0
  return sources.some(({ label }) => identityOf(label)?.name === nameOf(tagged))
}

const isSymmetric = ({ keySpec }: Pick<KeyDescription, "keySpec">): boolean =>
  isKeySpec(keySpec) && KEY_SPECS[keySpec].proof === "key-material-id"

type NameRequest = RebuildRequest & { readonly name: string }

/** The KMS keys of one name: the one in force, and those whose place it took. */
async function rebuildName(
  deps: RebuildDeps,
  request: NameRequest,
  { keys, sources }: Pick<Remains, "keys" | "sources">,
): Promise<readonly RebuildRow[]> {
  const { name, target } = request
  const facts = ({ key }: TaggedKey) => ({
    name,
    target,
    keyArn: key.keyArn,
    replaced: false,
    lost: [],
    diesAt: null,
  })
  const primaries = keys.filter(({ key }) => key.multiRegionConfiguration?.type !== "REPLICA")
  const rows: RebuildRow[] = keys
    .filter((tagged) => !primaries.includes(tagged))
    .map((replica) => {
      const primary = replica.key.multiRegionConfiguration?.primary.arn ?? ""
      const message = `a replica of ${primary}: rebuild the target of that Region, which has both`
      return { ...facts(replica), ...rowOutcome("nothing", "REPLICA", message) }
    })
  const [current, ...rivals] = primaries.filter(({ tags }) => tags[TAGS.replacedBy] === undefined)
  if (current === undefined) return rows
  if (rivals.length > 0) {
    const message = `several KMS keys have the name ${name}, and none says that another took its place`
    const outcome = rowOutcome("blocked", "AMBIGUOUS", message)
    return [...rows, ...[current, ...rivals].map((tagged) => ({ ...facts(tagged), ...outcome }))]
  }
  try {
    if (!request.overwrite && (await deps.inventory.get(name, target)) !== undefined) {
      return [...rows, { ...facts(current), ...rowOutcome("nothing", "EXISTS", "an entry is there, and stays") }]
    }
    const { entry, lost, diesAt } = await rebuildEntry(deps, request, current, { keys: primaries, sources })
    await deps.inventory.put(entry)
    await record(deps, "state.rebuilt", { key: entry, facts: { lost } })
    const death = diesAt === null ? "" : `; it dies at ${diesAt} unless its source key is found again`
    const message = `rebuilt with ${entry.earlier.length + 1} generation(s)${death}`
    rows.push({ ...facts(current), ...rowOutcome("done", "REBUILT", message), lost, diesAt })
  } catch (error) {
    const failure = errorOf(error, name)
    // what cannot be written of one key cannot be written of the next
    if (failure instanceof KeyferryError && failure.exit === "IOERR") throw failure
    const outcome = failedOutcome(failure, "blocked")
    const isUnreadable = outcome.reason === "ERR_STATE_INVALID" || outcome.reason === "ERR_INPUT_UNREADABLE"
    const hint = isUnreadable ? "--overwrite writes it anew, from what KMS, token and vault have" : outcome.hint
    rows.push({ ...facts(current), ...outcome, hint })
  }
  return rows
}

/** The entry of the key in force, with those of the keys that it replaced inside. */
async function rebuildEntry(
  deps: RebuildDeps,
  request: NameRequest,
  current: TaggedKey,
  remains: Pick<Remains, "keys" | "sources">,
): Promise<Rebuilt> {
  const rebuilt = await rebuiltOf(deps, request, current, remains)
  const former: FormerEntry[] = []
  const lost = [...rebuilt.lost]
  for (const tagged of remains.keys) {
    if (tagged === current) continue
    const old = await rebuiltOf(deps, request, tagged, remains)
    const replacedAt = rebuilt.entry.intendedAt
    const retiredAt = tagged.key.deletionDate === null ? null : replacedAt
    former.push({ ...old.entry, alias: null, aliasGiven: false, replacedAt, retiredAt })
    lost.push(...old.lost.map((loss) => `of the replaced key ${tagged.key.keyArn}: ${loss}`))
  }
  return { ...rebuilt, entry: { ...rebuilt.entry, former }, lost }
}

async function rebuiltOf(
  deps: RebuildDeps,
  { owner, name, target, keysOfOthers, termsOf = () => null }: NameRequest,
  { key, tags }: TaggedKey,
  { keys, sources }: Pick<Remains, "keys" | "sources">,
): Promise<Rebuilt> {
  const { keySpec, keyUsage } = key
  if (!isKeySpec(keySpec))
    throw new KeyferryError("ERR_KMS_KEY_MISMATCH", whyNotCarried(keySpec) ?? `keyferry knows no key spec ${keySpec}`)
  const replicas: FoundKey[] = []
  const unread: string[] = []
  for (const { arn, region } of key.multiRegionConfiguration?.replicas ?? []) {
    try {
      const kms = await deps.kmsIn(region)
      replicas.push(await foundIn(kms, await kms.describeKey(arn)))
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      unread.push(`the replica ${arn}: ${error.message}`)
    }
  }
  const aliases: string[] = []
  const ofOthers = keysOfOthers?.get(key.keyArn)
  // their alias is not ours to give or to move
  if (ofOthers === undefined) {
    for await (const { alias } of deps.kms.listAliases(key.keyArn)) aliases.push(alias)
  }
  // another key of the name says by its tag whose newest it is
  const newestOfOthers = keys.flatMap((tagged) => (tagged.key === key ? [] : (tagged.tags[TAGS.source] ?? [])))
  const rebuilt = rebuiltEntry({
    owner,
    name,
    target,
    replicas,
    aliases: aliases.sort(),
    primary: { ...(await foundIn(deps.kms, key)), description: { ...key, keySpec, keyUsage: keyUsage as KeyUsage } },
    requestId: tags[TAGS.request] ?? null,
    // a tag from when tags were wanted is not kept up
    sourceId: ofOthers?.tagKey === false ? null : (tags[TAGS.source] ?? null),
    terms: termsOf(name),
    sources: sources.filter(({ id }) => !newestOfOthers.includes(id)),
    sourceOfMaterial: sourceOfMaterial(await entriesThere(deps, name, target), key.keyArn),
    now: rfc3339(deps.clock.now()),
    seals: await anySeals(deps, owner),
  })
  const entry = ofOthers?.tagKey === false ? { ...rebuilt.entry, untagged: true as const } : rebuilt.entry
  return { ...rebuilt, entry, lost: [...rebuilt.lost, ...unread] }
}

/** What is there of a name; nothing where it cannot be read, for which it is rebuilt. */
async function entriesThere(
  { inventory }: Pick<RebuildDeps, "inventory">,
  name: string,
  target: string,
): Promise<readonly InventoryEntry[]> {
  try {
    const entry = await inventory.get(name, target)
    return entry === undefined ? [] : withNested(entry)
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    return []
  }
}

/** An import with a request ID was made by whoever wrote the entry; one without was itself rebuilt. */
function sourceOfMaterial(entries: readonly InventoryEntry[], keyArn: string): ReadonlyMap<string, string> {
  const pairs = entries
    .filter((entry) => entry.keyArn === keyArn)
    .flatMap((entry) =>
      entry.imports.flatMap(({ generation, keyMaterialId, requestId }): [string, string][] => {
        const source = generationsOf(entry).find((record) => record.generation === generation)
        return source === undefined || keyMaterialId === null || requestId === null ? [] : [[keyMaterialId, source.id]]
      }),
    )
  return new Map(pairs)
}

async function anySeals({ tokens }: Pick<RebuildDeps, "tokens">, owner: string): Promise<boolean> {
  for (const token of tokens) if ((await token.findCustodyKeys(owner)).length > 0) return true
  return false
}

async function foundIn(kms: Kms, description: KeyDescription): Promise<FoundKey> {
  const rotations = isSymmetric(description) ? await kms.listKeyRotations(description.keyArn) : []
  return { region: kms.region, description, rotations }
}
