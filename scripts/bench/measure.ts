/** One measured figure; with a target it is held against it. */
export interface Measure {
  readonly part: "a" | "b" | "c" | "d" | "e" | "f" | "g"
  readonly what: string
  readonly value: number
  readonly unit: "" | "/s" | "ms" | "MB" | "times"
  readonly target?: { readonly bound: "at least" | "at most"; readonly value: number }
}

export function met({ value, target }: Measure): boolean {
  if (target === undefined) return true
  return target.bound === "at least" ? value >= target.value : value <= target.value
}

/** Cells of a table row: part, what, value, target, verdict. */
export function row(measure: Measure): readonly (string | null)[] {
  const { part, what, target, unit } = measure
  const wanted = target === undefined ? null : `${target.bound} ${figure(target.value, unit)}`
  return [part, what, figure(measure.value, unit), wanted, target === undefined ? null : met(measure) ? "ok" : "missed"]
}

function figure(value: number, unit: Measure["unit"]): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)}${unit === "" || unit === "/s" ? unit : ` ${unit}`}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}
