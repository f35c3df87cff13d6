import {
  type FormerEntry,
  generationsOf,
  type ImportRecord,
  type InventoryEntry,
  type ReplicaRecord,
  type SourceKeyRecord,
} from "./inventory.js"

/** Key material of one KMS key as KMS lists it, oldest first; what waits for its rotation last. */
export type MaterialOrder = readonly { readonly keyMaterialId: string; readonly pending: boolean }[]

/** By ARN of the KMS key; none where KMS was not asked. */
export type MaterialOrders = ReadonlyMap<string, MaterialOrder>

/** Why two entries cannot both be true, in words. */
export class Contradiction extends Error {
  override readonly name = "Contradiction"
}

/**
 * One entry that has everything of two copies: KMS keys, generations, imports, what was deleted on purpose.
 *
 * @param orders needed for the KMS keys that {@link divergingKeys} names
 * @throws Contradiction where they cannot both be true
 */
export function mergedEntry(ours: InventoryEntry, theirs: InventoryEntry, orders: MaterialOrders): InventoryEntry {
  for (const field of ["owner", "region", "keySpec", "keyUsage"] as const) {
    if (ours[field] !== theirs[field]) throw new Contradiction(`${field} ${ours[field]} here, ${theirs[field]} there`)
  }
  if (isSameKey(ours, theirs)) return withInner(mergedKey(ours, theirs, orders), ours, theirs, orders)
  if (ours.former.some((former) => isSameKey(former, theirs))) return succeeded(ours, theirs, orders)
  if (theirs.former.some((former) => isSameKey(former, ours))) return succeeded(theirs, ours, orders)
  throw new Contradiction(`it stands for ${wordOf(ours)} here and for ${wordOf(theirs)} there`)
}

/** The KMS keys of which each copy has a generation that the other has not: only KMS knows their order. */
export function divergingKeys(ours: InventoryEntry, theirs: InventoryEntry): readonly string[] {
  const theirKeys = [theirs, ...theirs.former]
  return [ours, ...ours.former].flatMap((key) => {
    const other = theirKeys.find((candidate) => isSameKey(candidate, key))
    const keyArn = key.keyArn ?? other?.keyArn ?? null
    return other !== undefined && keyArn !== null && longer(key, other) === null ? [keyArn] : []
  })
}

const wordOf = ({ keyArn, requestId }: InventoryEntry): string =>
  keyArn ?? `a key that was begun (request ${requestId})`

function isSameKey(a: InventoryEntry, b: InventoryEntry): boolean {
  return a.keyArn !== null && b.keyArn !== null ? a.keyArn === b.keyArn : a.requestId === b.requestId
}

/** The copy in which the KMS key was replaced goes before the one in which it is still in force. */
function succeeded(later: InventoryEntry, earlier: InventoryEntry, orders: MaterialOrders): InventoryEntry {
  const { replacement } = earlier
  if (replacement !== null && !isSameKey(replacement, later)) {
    throw new Contradiction(`${wordOf(earlier)} was replaced by ${wordOf(later)}, and by ${wordOf(replacement)}`)
  }
  const current = replacement === null ? later : mergedKey(later, replacement, orders)
  const inForce: InventoryEntry = { ...current, former: later.former, replacement: later.replacement }
  const before: FormerEntry = { ...plainOf(earlier), alias: null, aliasGiven: false, replacedAt: "", retiredAt: null }
  return { ...inForce, former: mergedFormer(later.former, [...earlier.former, before], orders) }
}

function withInner(
  merged: InventoryEntry,
  ours: InventoryEntry,
  theirs: InventoryEntry,
  orders: MaterialOrders,
): InventoryEntry {
  const [ourReplacement, theirReplacement] = [ours.replacement, theirs.replacement]
  if (ourReplacement !== null && theirReplacement !== null && !isSameKey(ourReplacement, theirReplacement)) {
    throw new Contradiction(`its replacement is ${wordOf(ourReplacement)} here and ${wordOf(theirReplacement)} there`)
  }
  const replacement =
    ourReplacement !== null && theirReplacement !== null
      ? mergedKey(ourReplacement, theirReplacement, orders)
      : (ourReplacement ?? theirReplacement)
  return { ...merged, replacement, former: mergedFormer(ours.former, theirs.former, orders) }
}

/** Oldest first; what was retired in either copy stays so. */
function mergedFormer(
  ours: readonly FormerEntry[],
  theirs: readonly FormerEntry[],
  orders: MaterialOrders,
): readonly FormerEntry[] {
  const merged = [...ours]
  for (const former of theirs) {
    const index = merged.findIndex((candidate) => isSameKey(candidate, former))
    const own = merged[index]
    if (own === undefined) merged.push(former)
    else {
      const retiredAt = earliestOf(own.retiredAt, former.retiredAt)
      const kept = { replacedAt: own.replacedAt, retiredAt, alias: null, aliasGiven: false }
      merged[index] = { ...mergedKey(own, former, orders), ...kept }
    }
  }
  return merged.sort((a, b) => a.intendedAt.localeCompare(b.intendedAt))
}

/** One KMS key in both copies, without what its entry holds of others. */
function mergedKey(ours: InventoryEntry, theirs: InventoryEntry, orders: MaterialOrders): InventoryEntry {
  const latest = lastActivity(theirs) > lastActivity(ours) ? theirs : ours
  const keyArn = ours.keyArn ?? theirs.keyArn
  const { generations, rotating } = mergedGenerations(ours, theirs, orders.get(keyArn ?? "") ?? null)
  const source = generations.at(-1) ?? latest.source
  const imports = mergedImports([ours, theirs], generations)
  return {
    ...plainOf(latest),
    requestId: ours.requestId === "unknown" ? theirs.requestId : ours.requestId,
    keyArn,
    creating: keyArn === null && (ours.creating || theirs.creating),
    custody: mergedCustody(ours, theirs),
    aliasGiven: ours.alias === theirs.alias ? ours.aliasGiven || theirs.aliasGiven : latest.aliasGiven,
    multiRegion: ours.multiRegion || theirs.multiRegion,
    token: latest.token ?? ours.token ?? theirs.token,
    terms: latest.terms ?? ours.terms ?? theirs.terms,
    source,
    earlier: generations.slice(0, -1),
    rotating,
    imports,
    importing: mergedImporting([latest, latest === ours ? theirs : ours], generations, imports),
    replicas: mergedReplicas(ours.replicas, theirs.replicas),
    withheldAt: mergedWithheld(ours.withheldAt, theirs.withheldAt, imports),
    replacement: null,
    former: [],
  }
}

function mergedCustody(ours: InventoryEntry, theirs: InventoryEntry): InventoryEntry["custody"] {
  if (ours.custody === theirs.custody) return ours.custody
  // `key reseal --to sealed` in one of them
  if (ours.custody === "sealed" || theirs.custody === "sealed") return "sealed"
  throw new Contradiction(`custody ${ours.custody} here, ${theirs.custody} there`)
}

/** The one whose generations go on from the other's; null where each has one that the other has not. */
function longer(ours: InventoryEntry, theirs: InventoryEntry): InventoryEntry | null {
  const [own, other] = [generationsOf(ours), generationsOf(theirs)]
  const [less, more] = own.length < other.length ? [own, other] : [other, own]
  if (!less.every(({ id }, index) => more[index]?.id === id)) return null
  return more === own ? ours : theirs
}

function mergedGenerations(
  ours: InventoryEntry,
  theirs: InventoryEntry,
  order: MaterialOrder | null,
): { readonly generations: readonly SourceKeyRecord[]; readonly rotating: boolean } {
  const further = longer(ours, theirs)
  const all = new Map<string, { readonly record: SourceKeyRecord; readonly keyMaterialId: string | null }>()
  for (const entry of [ours, theirs]) {
    for (const record of generationsOf(entry)) {
      const keyMaterialId = materialIdOf(entry, record.generation) ?? all.get(record.id)?.keyMaterialId ?? null
      const fuller = record.attributes === null ? (all.get(record.id)?.record ?? record) : record
      all.set(record.id, { record: fuller, keyMaterialId })
    }
  }
  if (further !== null) {
    const isSameLength = ours.earlier.length === theirs.earlier.length
    const generations = generationsOf(further).map((record) => ({
      ...(all.get(record.id)?.record ?? record),
      generation: record.generation,
    }))
    return { generations, rotating: isSameLength ? ours.rotating && theirs.rotating : further.rotating }
  }
  if (order === null) throw new Contradiction("it was rotated in both copies, and KMS was not asked for the order")
  const candidates = [...all.values()]
  const listed = order.map(({ keyMaterialId }) => {
    const generation = candidates.find((candidate) => candidate.keyMaterialId === keyMaterialId)
    if (generation === undefined)
      throw new Contradiction(`KMS has key material ${keyMaterialId}, which neither copy knows`)
    return generation.record
  })
  const pending = order.at(-1)?.pending ?? false
  // one that was begun and never came to KMS goes on, unless another waits there already
  const begun = candidates.filter(({ record }) => !listed.includes(record)).map(({ record }) => record)
  const next = pending ? [] : begun.slice(0, 1)
  const generations = [...listed, ...next].map((record, generation) => ({ ...record, generation }))
  return { generations, rotating: pending || next.length > 0 }
}

function materialIdOf({ imports }: InventoryEntry, generation: number): string | null {
  return (
    imports.findLast((record) => record.generation === generation && record.keyMaterialId !== null)?.keyMaterialId ??
    null
  )
}

/** The newest of each generation and Region, by the generations' new numbers. */
function mergedImports(
  entries: readonly InventoryEntry[],
  generations: readonly SourceKeyRecord[],
): readonly ImportRecord[] {
  const newest = new Map<string, ImportRecord>()
  for (const entry of entries) {
    for (const record of entry.imports) {
      const generation = renumbered(entry, record.generation, generations)
      if (generation === null) continue
      const place = `${generation} ${record.region}`
      const before = newest.get(place)
      if (before === undefined || before.importedAt < record.importedAt) newest.set(place, { ...record, generation })
    }
  }
  return [...newest.values()].sort((a, b) => a.importedAt.localeCompare(b.importedAt))
}

/** An import that was open in one copy is over where the other has its record. */
function mergedImporting(
  entries: readonly InventoryEntry[],
  generations: readonly SourceKeyRecord[],
  imports: readonly ImportRecord[],
): InventoryEntry["importing"] {
  for (const entry of entries) {
    const { importing } = entry
    if (importing === null) continue
    const generation = renumbered(entry, importing.generation, generations)
    const digest = importing.encryptedKeyMaterialDigest
    const isOver = imports.some((record) => record.encryptedKeyMaterialDigest === digest)
    if (generation !== null && !isOver) return { ...importing, generation }
  }
  return null
}

function renumbered(entry: InventoryEntry, generation: number, generations: readonly SourceKeyRecord[]): number | null {
  const id = generationsOf(entry).find((record) => record.generation === generation)?.id
  return generations.find((record) => record.id === id)?.generation ?? null
}

function mergedReplicas(ours: readonly ReplicaRecord[], theirs: readonly ReplicaRecord[]): readonly ReplicaRecord[] {
  const merged = [...ours]
  for (const replica of theirs) {
    const index = merged.findIndex(({ region }) => region === replica.region)
    const own = merged[index]
    if (own === undefined) merged.push(replica)
    else if (own.keyArn !== null && replica.keyArn !== null && own.keyArn !== replica.keyArn) {
      throw new Contradiction(`its replica in ${own.region} is ${own.keyArn} here and ${replica.keyArn} there`)
    } else {
      const keyArn = own.keyArn ?? replica.keyArn
      merged[index] = { region: own.region, keyArn, aliasGiven: own.aliasGiven || replica.aliasGiven }
    }
  }
  return merged
}

/** What was deleted on purpose stays so, unless it was imported again after that. */
function mergedWithheld(ours: string | null, theirs: string | null, imports: readonly ImportRecord[]): string | null {
  const withheldAt =
    [ours, theirs]
      .filter((time) => time !== null)
      .sort()
      .at(-1) ?? null
  const isBack =
    withheldAt !== null && imports.some(({ importedAt }) => Date.parse(importedAt) > Date.parse(withheldAt))
  return isBack ? null : withheldAt
}

const earliestOf = (a: string | null, b: string | null): string | null =>
  [a, b].filter((time) => time !== null).sort()[0] ?? null

const lastActivity = ({ imports, intendedAt }: InventoryEntry): number =>
  Math.max(Date.parse(intendedAt), ...imports.map(({ importedAt }) => Date.parse(importedAt)))

const plainOf = (entry: InventoryEntry): InventoryEntry => ({ ...entry, replacement: null, former: [] })
