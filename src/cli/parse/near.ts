/** How far a misspelt word may be from the one that was meant: of a short word less than of a long one. */
function mostEdits(word: string): number {
  if (word.length < 3) return 0
  if (word.length < 6) return 1
  return word.length < 12 ? 2 : 3
}

/** The candidates that are nearest to a word; several where they are equally near, none where nothing is near. */
export function nearest(word: string, candidates: readonly string[]): readonly string[] {
  const mostDistant = mostEdits(word)
  const distances = [...new Set(candidates)].map((candidate) => ({ candidate, edits: editsBetween(word, candidate) }))
  const least = Math.min(...distances.map(({ edits }) => edits))
  return least > mostDistant ? [] : distances.filter(({ edits }) => edits === least).map(({ candidate }) => candidate)
}

/**
 * Letters put in, left out, changed, or swapped with their neighbour: optimal string alignment, case and separators of
 * words aside.
 */
function editsBetween(written: string, candidate: string): number {
  const [a, b] = [kebab(written), kebab(candidate)]
  let [before, previous]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[column - 2] ?? 0) + 1 : Infinity,
      )
    }
    ;[before, previous] = [previous, current]
  }
  return previous[b.length] ?? 0
}

/** `pinSource` and `key_list` as they are spelt here. */
const kebab = (word: string): string =>
  word
    .replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`)
    .replace(/[_ ]/g, "-")
    .toLowerCase()

/** `; did you mean --name?`, or nothing. */
export function didYouMean(words: readonly string[]): string {
  if (words.length === 0) return ""
  const last = words.at(-1) ?? ""
  return `; did you mean ${words.length === 1 ? last : `${words.slice(0, -1).join(", ")} or ${last}`}?`
}
