import type { StatusRow } from "../app/fleet/status.js"

/** Material of one key: one generation in one Region. Times are ms since 1970. */
export interface Material {
  readonly region: string
  readonly generation: number
  readonly importedAt: number | null
  /** Null for never. */
  readonly end: number | null
  /** KMS had it, and has it no longer. */
  readonly isLost: boolean
  /** KMS could not be asked: it is as it was recorded last. */
  readonly isRecorded: boolean
}

/** What was ever imported, as KMS has it, or as it was recorded where KMS could not be asked. */
export function materialsOf({ generations, recorded }: Pick<StatusRow, "generations" | "recorded">): Material[] {
  const current = generations.flatMap(({ region, generation, importedAt, validTo, state }) =>
    state === "never"
      ? []
      : [{ region, generation, ...times(importedAt, validTo), isLost: state === "lost", isRecorded: false }],
  )
  const last = recorded.map(({ region, generation, importedAt, validTo }) => {
    return { region, generation, ...times(importedAt, validTo), isLost: false, isRecorded: true }
  })
  return [...current, ...last]
}

const times = (importedAt: string | null, validTo: string | null): Pick<Material, "importedAt" | "end"> => ({
  importedAt: importedAt === null ? null : Date.parse(importedAt),
  end: validTo === null ? null : Date.parse(validTo),
})

/** When the first material of a key ends. */
export type FirstEnd =
  | { readonly kind: "ends"; readonly at: number; readonly material: Material }
  /** What was deleted before its end: it is not known when. */
  | { readonly kind: "lost"; readonly at: number; readonly material: Material & { readonly end: number } }
  | { readonly kind: "never"; readonly isRecorded: boolean }
  | { readonly kind: "unknown" | "no material" }

/** @param now ms since 1970; what is lost before its end has ended by then */
export function firstEnd(key: Pick<StatusRow, "generations" | "recorded" | "keyStates">, now: number): FirstEnd {
  const materials = materialsOf(key)
  const ends = materials.flatMap((material): readonly Extract<FirstEnd, { at: number }>[] => {
    const { end, isLost } = material
    if (end === null) return []
    if (isLost && end > now) return [{ kind: "lost", at: now, material: { ...material, end } }]
    return [{ kind: "ends", at: end, material }]
  })
  const [earliest] = ends.sort((a, b) => a.at - b.at)
  if (earliest !== undefined) return earliest
  if (materials.length > 0) return { kind: "never", isRecorded: materials.every(({ isRecorded }) => isRecorded) }
  return { kind: key.keyStates.some(({ keyState }) => keyState === null) ? "unknown" : "no material" }
}
