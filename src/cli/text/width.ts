import stringWidth from "string-width"

/** What a terminal shows in one column each. */
const ASCII = /^[\u0020-\u007e…]*$/
const CUT = "…"

/** Columns that a terminal shows a text in. */
export function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text)
}

/** Fewer columns than this show the code at a text's end alone, which says more than the text's first words. */
const FEW = 24

/** As much of a text as fits, with `…` in the place of the rest; a code in brackets at its end stays. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  const [end = "", code = ""] = / \[(\w+)\]$/.exec(text) ?? []
  if (code === "") return `${begin(text, columns - 1)}${CUT}`
  const room = columns - end.length - 1
  if (columns < FEW || room < FEW / 3) return widthOf(code) <= columns ? code : `${begin(code, columns - 1)}${CUT}`
  return `${begin(text, room)}${CUT}${end}`
}

/** A name cut in its middle: names of keys differ at their ends. */
export function cutName(name: string, columns: number): string {
  if (widthOf(name) <= columns) return name
  if (!ASCII.test(name) || columns < 8) return cut(name, columns)
  const end = Math.floor((columns - 1) / 2)
  return `${name.slice(0, columns - 1 - end)}${CUT}${name.slice(-end)}`
}

function begin(text: string, columns: number): string {
  if (ASCII.test(text)) return text.slice(0, Math.max(0, columns)).trimEnd()
  let [begun, used] = ["", 0]
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    used += stringWidth(segment)
    if (used > columns) break
    begun += segment
  }
  return begun.trimEnd()
}

/** A line broken at its blanks to fit, all but the first part behind an indent; a longer word stays whole. */
export function wrapped(line: string, columns: number | undefined, indent = 2): string {
  if (columns === undefined || widthOf(line) <= columns) return line
  const [margin = ""] = /^ */.exec(line) ?? []
  const lines: string[] = []
  let current = margin
  for (const word of line.trim().split(/(?<=[^ ]) /)) {
    const isFirst = current.trim() === ""
    const below = " ".repeat(indent) + word.trimStart()
    const isTooLong = widthOf(current) + 1 + widthOf(word) > columns
    // what is too long for any line stays where it is
    if (!isFirst && isTooLong && (widthOf(below) <= columns || widthOf(current) > indent)) {
      lines.push(current)
      current = below
    } else current += (isFirst ? "" : " ") + word
  }
  return [...lines, current].join("\n")
}
