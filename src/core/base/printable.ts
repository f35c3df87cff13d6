/**
 * What is shown to people: one filter for everything that comes from files, answers and tokens. Controls of C0 and C1,
 * line separators, format characters (what turns the direction of writing, what is not seen) and halves of surrogate
 * pairs can make a terminal do things, or a line lie (Unicode 16.0 section 23; UTS 39).
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** One line for a terminal or a log, whatever the text was made of: control characters as `\x1b`, `\n`, `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped)
}

/** Whether {@link printable} leaves a text as it is. */
export function isPrintable(text: string): boolean {
  return printable(text) === text
}

/** The same for text of several lines, such as a stack. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n")
}

/** JSON of the same value in which no such character stands as it is, but for the line ends between its parts. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (character) => (character === "\n" ? character : inJson(character)))
}

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code > 0xffff) return `\\u{${hex(code, 5)}}`
  return SHORT[character] ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`)
}

/** JSON names what is beyond 16 bits by its two halves (RFC 8259 section 7). */
function inJson(character: string): string {
  return Array.from({ length: character.length }, (_, index) => `\\u${hex(character.charCodeAt(index), 4)}`).join("")
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0")
}
