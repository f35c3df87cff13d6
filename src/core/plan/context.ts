import { CUSTODIES } from "../key/custody.js"
import { parseDuration, rfc3339 } from "../base/expiry.js"
import { generationsOf } from "../records/inventory.js"
import { isSymmetric, type Material } from "./material.js"
import type { Facts, ReasonCode } from "./reason.js"
import type { Drift, KeyView, PlannedImport, PlanOptions, SeenKey, Snapshot, SourceView } from "./snapshot.js"

/** What the checks look at: the snapshot, and what follows from it for all of them. */
export interface Context {
  readonly snapshot: Snapshot
  readonly options: PlanOptions
  readonly materials: readonly Material[]
  /** What of the KMS key is not as wanted. */
  readonly drift: readonly Drift[]
}

/** What a check found. */
export interface Verdict {
  readonly reason: ReasonCode
  readonly facts?: Facts
  readonly imports?: readonly PlannedImport[]
}

/** One reason to decide; undefined where it does not apply. Those before it in the chain did not apply. */
export type Check = (context: Context) => Verdict | undefined

/** The KMS key in the target's own Region; the checks that use it stand behind those that find it missing. */
export function seenKey({ snapshot: { key } }: Context): SeenKey | undefined {
  return key.seen === "key" ? key : undefined
}

export function viewsOf({ snapshot: { key, replicas } }: Context): readonly KeyView[] {
  return [key, ...replicas]
}

/** The ARN of the KMS key, or its name where there is none yet. */
export function keyWord({ snapshot: { entry, binding } }: Context): string {
  return entry?.keyArn ?? binding.name
}

/** Regions of the replicas that the KMS key is to have: of one that somebody else made, those that it was given. */
export function replicasWanted({ binding, key }: Snapshot): readonly string[] {
  if (binding.keyArn === null) return binding.replicas
  if (key.seen !== "key") return []
  return (key.description.multiRegionConfiguration?.replicas ?? []).map(({ region }) => region)
}

export function sourceOf({ snapshot: { sources } }: Context, generation: number): SourceView | undefined {
  return sources.find((source) => source.generation === generation)
}

/** Whether the material can be imported a second time. */
export function canReimport({ snapshot: { binding, entry } }: Context): boolean {
  return CUSTODIES[entry?.custody ?? binding.custody].reimport
}

/** Whether an import would last no longer than the one before: the key was given a moment, not a duration. */
export function hasFixedEnd({ snapshot: { binding }, options }: Context): boolean {
  const { expiresIn } = binding
  return options.expiresIn == null && expiresIn !== "never" && parseDuration(expiresIn) === undefined
}

/** The newest generation where it has not taken its place in KMS yet: `rotate` goes on with it, nothing else does. */
export function stagedGeneration({ snapshot: { entry }, materials }: Context): number | undefined {
  if (entry === null) return undefined
  const { generation } = entry.source
  if (generation === 0) return undefined
  const material = materials.find(
    (candidate) => candidate.region === entry.region && candidate.generation === generation,
  )
  const waits = entry.rotating || material === undefined || material.state === "staged" || material.state === "never"
  return waits ? generation : undefined
}

/** The pinned import of material that KMS knows already. */
export function importOfMaterial({ snapshot: { binding } }: Context, material: Material): PlannedImport {
  const { region, keyArn, generation } = material
  const keyMaterialId = isSymmetric(binding.keySpec) ? material.keyMaterialId : null
  return {
    region,
    keyArn,
    generation,
    keyMaterialId,
    importType: keyMaterialId === null ? null : "EXISTING_KEY_MATERIAL",
  }
}

export function earliest(times: readonly (Date | null)[]): Date | null {
  const milliseconds = times.flatMap((time) => (time === null ? [] : [time.getTime()]))
  return milliseconds.length === 0 ? null : new Date(milliseconds.reduce((soonest, next) => Math.min(soonest, next)))
}

export function idOf({ snapshot: { entry } }: Context, generation: number): string {
  const record = entry === null ? undefined : generationsOf(entry).find((source) => source.generation === generation)
  return record?.id ?? "unknown"
}

export const day = (time: Date): string => rfc3339(time)
