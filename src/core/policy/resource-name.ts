import { createHash } from "node:crypto"

/** Names in templates and at AWS, which allow less than keyferry's own. */

type Words = readonly string[]

/** Letters and digits, as CloudFormation wants names. */
export const logicalName = (...words: Words): string =>
  words.map((word) => word.replaceAll(/[^A-Za-z0-9]/g, "").replace(/^./, (letter) => letter.toUpperCase())).join("")

/** Letters, digits and underscores, the first no digit, as Terraform wants names. */
export const terraformName = (...words: Words): string =>
  words
    .join("_")
    .replaceAll(/[^A-Za-z0-9_]/g, "_")
    .replace(/^\d/, "_$&")

/** Words with hyphens between; of the second so much as fits, and then a digest in its place. */
export function shortened(words: readonly [string, string, string], longest: number): string {
  const [first, middle, last] = words
  const whole = words.join("-")
  if (whole.length <= longest) return whole
  const suffix = digestOf(words)
  const room = longest - [first, "", suffix, last].join("-").length
  return [first, middle.slice(0, room), suffix, last].join("-")
}

/** Resources by their names. Where words that differ would give one name, a digest of them is added: none is lost. */
export function namedApart(
  nameOf: (...words: Words) => string,
  rows: readonly (readonly [words: Words, resource: object])[],
): Readonly<Record<string, object>> {
  const counts = new Map<string, number>()
  for (const [words] of rows) counts.set(nameOf(...words), (counts.get(nameOf(...words)) ?? 0) + 1)
  return Object.fromEntries(
    rows.map(([words, resource]) => {
      const isShared = (counts.get(nameOf(...words)) ?? 0) > 1
      return [isShared ? nameOf(...words, digestOf(words)) : nameOf(...words), resource]
    }),
  )
}

const digestOf = (words: Words): string => createHash("sha256").update(JSON.stringify(words)).digest("hex").slice(0, 8)
