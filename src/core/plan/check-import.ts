import { parseDuration } from "../base/expiry.js"
import { keyStateRow, phaseOf } from "../key/key-state.js"
import type { Material } from "./material.js"
import {
  type Check,
  type Context,
  canReimport,
  day,
  earliest,
  hasFixedEnd,
  idOf,
  importOfMaterial,
  seenKey,
  sourceOf,
  stagedGeneration,
  type Verdict,
  viewsOf,
} from "./context.js"
import type { ReasonCode } from "./reason.js"

/** Checks of what must be imported again, and of what stands against it. */

/** Parts of KMS may tell times that are so far apart: what is gone this short before its expiry has expired. */
const SKEW_MS = 60_000
/** What comes due within this part of its life is imported along with what is due now. */
const COMPANY = 0.05
/** How much later than wanted an expiry may be before it counts as another one. */
const SLACK_MS = 3_600_000

interface Wanted {
  readonly reason: ReasonCode
  readonly why: string
  readonly materials: readonly Material[]
  readonly facts?: Verdict["facts"]
}

/** What is to be imported, most urgent reason first; material that waits for its rotation is not among it. */
function importSets(context: Context): readonly Wanted[] {
  const { snapshot, options } = context
  const { binding, now } = snapshot
  const staged = stagedGeneration(context)
  const materials = context.materials.filter(({ generation }) => generation !== staged)
  const all = [...sets()].filter((set) => set.materials.length > 0)
  return all

  function* sets(): Iterable<Wanted> {
    const open = snapshot.entry?.importing ?? null
    const interrupted = materials.filter(
      ({ region, generation }) => open?.region === region && open.generation === generation,
    )
    yield {
      reason: "INTERRUPTED",
      why: "not finished",
      materials: interrupted,
      facts: { generation: open?.generation ?? 0 },
    }
    if (!hasFixedEnd(context) || options.recover != null) {
      const lost = lostOf(context, materials)
      const expired = lost.filter((material) => !wasDeleted(material, now))
      const since = earliest(expired.map(({ validTo }) => validTo))
      const on = since === null ? "" : ` on ${day(since)}`
      yield { reason: "EXPIRED", why: "expired", materials: expired, facts: { on } }
      yield { reason: "DELETED", why: "deleted", materials: lost.filter((material) => wasDeleted(material, now)) }
    }
    if (options.recover != null) return
    if (!hasFixedEnd(context)) {
      const due = materials.filter(({ renewAt }) => renewAt !== null && renewAt <= now)
      const firstEnd = earliest(due.map(({ validTo }) => validTo))
      yield {
        reason: "DUE",
        why: firstEnd === null ? "" : `expires ${day(firstEnd)}`,
        materials: withCompany(due, materials, now),
        facts: { date: firstEnd === null ? "" : day(firstEnd) },
      }
      yield* drifted(materials)
    }
    if (options.force != null) {
      const present = materials.filter(({ state }) => state === "imported" || state === "lost")
      yield { reason: "ASKED", why: "asked for", materials: present }
    }
    const fresh = materials.filter(({ state, region }) => state === "never" && region !== snapshot.region)
    yield {
      reason: "REPLICA_NOT_IMPORTED",
      why: "not imported yet",
      materials: fresh,
      facts: { region: fresh[0]?.region ?? "" },
    }
  }

  function* drifted(candidates: readonly Material[]): Iterable<Wanted> {
    if (!canReimport(context) || snapshot.role !== "current") return
    const drifting = candidates.filter(
      (material) => material.state === "imported" && expiryDiffers(material.validTo, binding.expiresIn, now),
    )
    const [nearest] = drifting
    const expiry = nearest?.validTo == null ? "never" : `on ${day(nearest.validTo)}`
    const words = binding.expiresIn === "never" ? "never" : `after ${binding.expiresIn}`
    yield {
      reason: "EXPIRY_DRIFT",
      why: `expires ${expiry}`,
      materials: drifting,
      facts: { found: expiry, wanted: words },
    }
  }
}

/** Expired or deleted, in a key that waits for material for no reason that KMS tells apart: everything. */
export function lostOf(context: Context, materials: readonly Material[]): readonly Material[] {
  return viewsOf(context).flatMap((view) => {
    if (view.seen !== "key") return []
    const inRegion = materials.filter(({ region }) => region === view.region)
    const lost = inRegion.filter(({ state }) => state === "lost")
    const unexplained = phaseOf(view.description) === "empty" && inRegion.every(({ state }) => state === "imported")
    return unexplained ? inRegion : lost
  })
}

/**
 * Gone from KMS before its time, where an expiry would have waited for it: as it is seen now, or as an earlier run wrote
 * down. What was deleted stays so when the expiry that it had has passed as well.
 */
export function wasDeleted({ validTo, deletedAt }: Material, now: Date): boolean {
  return deletedAt !== null || validTo === null || validTo.getTime() > now.getTime() + SKEW_MS
}

/** Generations that were imported together come due seconds apart: they go together again. */
function withCompany(due: readonly Material[], materials: readonly Material[], now: Date): readonly Material[] {
  if (due.length === 0) return due
  return materials.filter(({ renewAt, validTo, importedAt }) => {
    if (renewAt === null || validTo === null) return false
    return renewAt.getTime() <= now.getTime() + COMPANY * (validTo.getTime() - importedAt.getTime())
  })
}

/** Whether an expiry is another than an import now would give: never against some day, or later than wanted. */
export function expiryDiffers(validTo: Date | null, expiresIn: string, now: Date): boolean {
  if (expiresIn === "never") return validTo !== null
  const seconds = parseDuration(expiresIn)
  if (seconds === undefined) return false
  return isLater(validTo, new Date(now.getTime() + seconds * 1000))
}

function isLater(validTo: Date | null, end: Date): boolean {
  return validTo === null || validTo.getTime() > end.getTime() + SLACK_MS
}

/** Whether a person has said so: of the whole run, or by naming the key. */
function mayShorten({ options: { shorten, force } }: Context): boolean {
  return shorten === true || force === "named"
}

/** Whether an import now would end material earlier than KMS ends it at present. */
function wouldShorten(context: Context, { region, state, validTo }: Material): boolean {
  const { binding, now } = context.snapshot
  const { options } = context
  const view = viewsOf(context).find((keyView) => keyView.region === region)
  const isEmpty = view?.seen === "key" && phaseOf(view.description) === "empty"
  const expiresIn = options.expiresIn ?? binding.expiresIn
  if (state !== "imported" || expiresIn === "never" || isEmpty) return false
  const seconds = parseDuration(expiresIn)
  return isLater(validTo, seconds === undefined ? new Date(expiresIn) : new Date(now.getTime() + seconds * 1000))
}

/** Whether an import can be made: its source key is there, and its KMS key would not be enabled by it unasked. */
function doable(context: Context, { region, generation }: Material): boolean {
  const view = viewsOf(context).find((keyView) => keyView.region === region)
  const takesImport = view?.seen === "key" ? keyStateRow(view.description.keyState).takesImport : "never"
  if (takesImport === "never") return false
  if (takesImport === "enabling" && context.options.includeDisabled !== true) return false
  return isThere(context, generation)
}

function isThere(context: Context, generation: number): boolean {
  const state = sourceOf(context, generation)?.state
  return state !== "missing" && state !== "damaged"
}

export const rewrap: Check = (context) => {
  const sets = importSets(context)
  const [mostUrgent] = sets
  if (mostUrgent === undefined || !canReimport(context)) return undefined
  const materials = context.materials.filter(
    (material) => sets.some((set) => set.materials.includes(material)) && doable(context, material),
  )
  if (materials.length === 0) return undefined
  const kept = mayShorten(context) ? materials : materials.filter((material) => !wouldShorten(context, material))
  if (kept.length === 0) return shortening(context, materials)
  const reason = sets.find((set) => set.materials.some((material) => kept.includes(material))) ?? mostUrgent
  const imports = kept.map((material) => importOfMaterial(context, material))
  return { reason: reason.reason, imports, ...(reason.facts === undefined ? {} : { facts: reason.facts }) }
}

/** No run ends material earlier than it would end by itself, unless a person says so (invariant I11). */
function shortening({ snapshot: { binding }, options }: Context, materials: readonly Material[]): Verdict {
  const ends = materials.map(({ validTo }) => validTo)
  const end = ends.includes(null) ? null : earliest(ends)
  const currentEnd = end === null ? "never" : `on ${day(end)}`
  const expiresIn = options.expiresIn ?? binding.expiresIn
  const newEnd = parseDuration(expiresIn) === undefined ? `on ${expiresIn}` : `after ${expiresIn}`
  return { reason: "EXPIRY_SHORTER", facts: { found: currentEnd, wanted: newEnd } }
}

/** Imported once for ever, and now it would have to be imported again. */
export const cannotReimport: Check = (context) => {
  const { entry, binding } = context.snapshot
  if (canReimport(context)) return undefined
  const sets = importSets(context).filter(({ reason }) => reason !== "ASKED" || context.options.force === "named")
  if (sets.length === 0) return undefined
  const lost = sets.some(({ reason }) => reason === "EXPIRED" || reason === "DELETED")
    ? ", and KMS has lost its material"
    : ""
  return { reason: "CANNOT_REIMPORT", facts: { custody: entry?.custody ?? binding.custody, lost } }
}

/**
 * Material that is gone before its time, or by `delete-material`, was deleted on purpose: `recover` brings it back where a
 * person says so, and naming the key is not that.
 */
export const materialDeleted: Check = (context) => {
  const { force, recover } = context.options
  if (recover?.deleted === true || givesAnotherEnd(context)) return undefined
  const { now, entry } = context.snapshot
  const withheld = entry?.withheldAt != null
  // what waited for its rotation is no matter of `recover`: the rotation that is asked for by name makes it again
  const rotating = recover == null && force === "named" ? stagedGeneration(context) : undefined
  const deleted = context.materials.find(
    (material) =>
      material.state === "lost" && material.generation !== rotating && (withheld || wasDeleted(material, now)),
  )
  return deleted === undefined ? undefined : { reason: "MATERIAL_DELETED", facts: { key: deleted.keyArn } }
}

/** Who names a key whose fixed end has passed, and another end: what `recover` could not bring back (FIXED_END_PASSED). */
function givesAnotherEnd({ snapshot: { binding, now }, options: { force, expiresIn } }: Context): boolean {
  if (force !== "named" || expiresIn == null) return false
  return new Date(binding.expiresIn) <= now
}

/** What is to be brought back had an end that has passed meanwhile: KMS would not take it. */
export const fixedEndPassed: Check = (context) => {
  const { snapshot, options } = context
  if (options.recover == null || !hasFixedEnd(context) || importSets(context).length === 0) return undefined
  const end = new Date(snapshot.binding.expiresIn)
  return end > snapshot.now ? undefined : { reason: "FIXED_END_PASSED", facts: { date: day(end) } }
}

/** A source key that is gone or damaged although KMS will forget its material, whether that is due yet or not. */
export const sourceLost: Check = (context) => {
  if (!canReimport(context)) return undefined
  const { now, sources } = context.snapshot
  for (const { generation, state, note } of sources) {
    if (state !== "missing" && state !== "damaged") continue
    const ofGeneration = context.materials.filter((material) => material.generation === generation)
    const end = earliest(ofGeneration.map(({ validTo }) => validTo))
    const lost = ofGeneration.some((material) => material.state === "lost") || (end !== null && end <= now)
    if (!lost && (end === null || context.options.recover != null)) continue
    const loses = lost || end === null ? "KMS has lost its material" : `KMS loses its material on ${day(end)}`
    const reason = state === "missing" ? "SOURCE_MISSING" : "SOURCE_DAMAGED"
    return { reason, facts: { generation, id: idOf(context, generation), note: note ?? "", loses } }
  }
  return undefined
}

export const disabled: Check = (context) => {
  const off = viewsOf(context).find((view) => view.seen === "key" && phaseOf(view.description) === "disabled")
  if (off?.seen !== "key" || context.options.includeDisabled === true) return undefined
  const set = importSets(context).find(({ materials }) => materials.some(({ region }) => region === off.region))
  return set === undefined ? undefined : { reason: "DISABLED", facts: { why: set.why, key: off.keyArn } }
}

/** For who asks for what KMS has lost, nothing else counts. */
export const notLost: Check = ({ options }) => (options.recover == null ? undefined : { reason: "NOT_LOST" })

export const unmanaged: Check = ({ snapshot: { binding } }) => (binding.managed ? undefined : { reason: "UNMANAGED" })

/** Nothing to do, and why. */
export const nothing = (context: Context): Verdict => {
  const key = seenKey(context)
  const { entry, binding } = context.snapshot
  const end = earliest(context.materials.map(({ validTo }) => validTo))
  if (end === null) {
    return canReimport(context)
      ? { reason: "NEVER_EXPIRES" }
      : { reason: "ONCE_ONLY", facts: { custody: entry?.custody ?? binding.custody } }
  }
  if (hasFixedEnd(context)) return { reason: "FIXED_END", facts: { date: day(end) } }
  const renewAt = earliest(context.materials.map((material) => material.renewAt)) ?? end
  return { reason: "NOT_DUE", facts: { date: day(renewAt), key: key?.keyArn ?? "" } }
}
