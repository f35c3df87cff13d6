import { errorOf, KeyferryError } from "../../core/base/error.js"
import { type FormerEntry, type InventoryEntry, withNested } from "../../core/records/inventory.js"
import { isKeySpec, KEY_SPECS, type KeyUsage } from "../../core/key/key-spec.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Kms } from "../../core/ports/kms.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import { type FoundKey, type FoundSource, rebuiltEntry, type Rebuilt } from "../../core/records/rebuild.js"
import { identityOf } from "../../core/key/source-key.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { Deps } from "../deps.js"
import { taggedKeys } from "../kms-key/tagged-keys.js"
import { TAGS } from "../kms-key/tags.js"
import { record, type RecordDeps } from "../record.js"

type RebuildDeps = Pick<Deps, "kms" | "kmsIn" | "inventory" | "vault" | "clock"> &
  RecordDeps & {
    readonly token: CustodialToken | null
  }

export interface RebuildRequest {
  readonly owner: string
  readonly target: string
  /** Writes over entries that are there. */
  readonly overwrite: boolean
}

export interface RebuildRow {
  readonly name: string
  readonly target: string
  readonly keyArn: string | null
  readonly outcome: "done" | "nothing" | "blocked"
  readonly reason: string
  readonly message: string
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

interface Tagged {
  readonly key: KeyDescription
  readonly tags: Readonly<Record<string, string>>
}

/**
 * The inventory of a target anew, from what survives its loss: the tags and metadata of KMS keys, the objects of the
 * token, and the vault. An entry that is there stays, unless it is to be overwritten. Nothing is changed in KMS or in
 * the token.
 */
export async function rebuild(deps: RebuildDeps, request: RebuildRequest): Promise<Rebuilding> {
  const unseen: string[] = []
  const found: Tagged[] = []
  for await (const one of taggedKeys(deps.kms, () => true)) {
    if ("tags" in one) {
      if (one.tags[TAGS.owner] === request.owner && one.tags[TAGS.name] !== undefined) found.push(one)
    } else unseen.push(`${one.key?.keyArn ?? "a KMS key"}: ${one.denied.message}`)
  }
  const sources = await sourcesOf(deps, request.owner, unseen)
  const rows: RebuildRow[] = []
  for (const name of [...new Set(found.map(({ tags }) => tags[TAGS.name] ?? ""))].sort()) {
    const keys = found.filter(({ tags }) => tags[TAGS.name] === name)
    rows.push(...(await rebuildName(deps, { ...request, name }, keys, sources, unseen)))
  }
  const claimed = new Set(
    (await deps.inventory.list()).flatMap((entry) =>
      withNested(entry).flatMap(({ source, earlier }) => [source.id, ...earlier.map(({ id }) => id)]),
    ),
  )
  const unclaimed = sources.filter(({ id }) => !claimed.has(id)).map(({ id, label }) => ({ id, label }))
  return { keys: rows, unclaimed, unseen }
}

/** Source keys of the token and of the vault; each once. */
async function sourcesOf(deps: RebuildDeps, owner: string, unseen: string[]): Promise<readonly FoundSource[]> {
  const keys = deps.token === null ? [] : (await deps.token.search()).keys
  if (deps.token === null) unseen.push("the token: none is given")
  const { sealed, damaged } = await deps.vault.list()
  for (const { path, reason } of damaged) unseen.push(`${path}: ${reason}`)
  const inVault = sealed
    .filter(({ id }) => !keys.some((key) => key.id === id))
    .map(({ id, label, provenance: { attributes, kcv, publicKey } }): FoundSource => {
      const publicKeyFingerprint = publicKey === null ? null : sha256(publicKey)
      return { id, label, custody: "sealed", attributes, kcv, publicKeyFingerprint }
    })
  return [...keys, ...inVault].filter(({ label }) => identityOf(label)?.owner === owner)
}

type NameRequest = RebuildRequest & { readonly name: string }

/** The KMS keys of one name: the one in force, and those whose place it took. */
async function rebuildName(
  deps: RebuildDeps,
  request: NameRequest,
  keys: readonly Tagged[],
  sources: readonly FoundSource[],
  unseen: string[],
): Promise<readonly RebuildRow[]> {
  const { name, target } = request
  const row = (
    key: Tagged | undefined,
    more: Partial<RebuildRow> & Pick<RebuildRow, "outcome" | "reason" | "message">,
  ) => ({
    ...{ name, target, keyArn: key?.key.keyArn ?? null, lost: [], diesAt: null },
    ...more,
  })
  const own = keys.filter(({ key }) => key.multiRegionConfiguration?.type !== "REPLICA")
  const rows: RebuildRow[] = keys
    .filter((one) => !own.includes(one))
    .map((one) => {
      const primary = one.key.multiRegionConfiguration?.primary.arn ?? ""
      const message = `a replica of ${primary}: rebuild the target of that Region, which has both`
      return row(one, { outcome: "nothing", reason: "REPLICA", message })
    })
  const [current, ...others] = own.filter(({ tags }) => tags[TAGS.replacedBy] === undefined)
  if (current === undefined) return rows
  if (others.length > 0) {
    const message = `several KMS keys have the name ${name}, and none says that another took its place`
    return [
      ...rows,
      ...[current, ...others].map((one) => row(one, { outcome: "blocked", reason: "AMBIGUOUS", message })),
    ]
  }
  if (!request.overwrite && (await deps.inventory.get(name, target)) !== undefined) {
    return [...rows, row(current, { outcome: "nothing", reason: "EXISTS", message: "an entry is there, and stays" })]
  }
  try {
    const rebuilt = await rebuiltOf(deps, request, current, { keys: own, sources, unseen })
    const former: FormerEntry[] = []
    const lost = [...rebuilt.lost]
    for (const one of own.filter((other) => other !== current)) {
      const old = await rebuiltOf(deps, request, one, { keys: own, sources, unseen })
      const replacedAt = rebuilt.entry.intendedAt
      const retiredAt = one.key.deletionDate === null ? null : replacedAt
      former.push({ ...old.entry, alias: null, aliasGiven: false, replacedAt, retiredAt })
      lost.push(...old.lost.map((what) => `of the replaced key ${one.key.keyArn}: ${what}`))
    }
    await write(deps, { ...rebuilt.entry, former }, lost)
    const dies = rebuilt.diesAt === null ? "" : `; it dies at ${rebuilt.diesAt} unless its source key is found again`
    const message = `rebuilt with ${rebuilt.entry.earlier.length + 1} generation(s)${dies}`
    rows.push(row(current, { outcome: "done", reason: "REBUILT", message, lost, diesAt: rebuilt.diesAt }))
  } catch (error) {
    const known = errorOf(error, name)
    if (!(known instanceof KeyferryError) || known.exit === "IOERR") throw known
    rows.push(row(current, { outcome: "blocked", reason: known.code, message: known.message }))
  }
  return rows
}

async function write(deps: RebuildDeps, entry: InventoryEntry, lost: readonly string[]): Promise<void> {
  await deps.inventory.put(entry)
  await record(deps, "state.rebuilt", { key: entry, facts: { lost } })
}

async function rebuiltOf(
  deps: RebuildDeps,
  { owner, name, target }: NameRequest,
  { key, tags }: Tagged,
  about: { readonly keys: readonly Tagged[]; readonly sources: readonly FoundSource[]; readonly unseen: string[] },
): Promise<Rebuilt> {
  const { keySpec, keyUsage } = key
  if (!isKeySpec(keySpec)) throw new KeyferryError("ERR_KMS_KEY_MISMATCH", `keyferry knows no key spec ${keySpec}`)
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
  for await (const { alias } of deps.kms.listAliases(key.keyArn)) aliases.push(alias)
  // another key of the name says by its tag whose newest it is
  const others = about.keys.flatMap((other) => (other.key === key ? [] : (other.tags[TAGS.source] ?? [])))
  const rebuilt = rebuiltEntry({
    ...{ owner, name, target, replicas, aliases: aliases.sort() },
    primary: { ...(await foundIn(deps.kms, key)), description: { ...key, keySpec, keyUsage: keyUsage as KeyUsage } },
    requestId: tags[TAGS.request] ?? null,
    sourceId: tags[TAGS.source] ?? null,
    sources: about.sources.filter(({ id }) => !others.includes(id)),
    token: deps.token?.info ?? null,
    seals: ((await deps.token?.findCustodyKeys(owner)) ?? []).length > 0,
  })
  return { ...rebuilt, lost: [...rebuilt.lost, ...unread] }
}

async function foundIn(kms: Kms, description: KeyDescription): Promise<FoundKey> {
  const { keySpec, keyArn } = description
  const listed = isKeySpec(keySpec) && KEY_SPECS[keySpec].proof === "key-material-id"
  return { region: kms.region, description, rotations: listed ? await kms.listKeyRotations(keyArn) : [] }
}
