import { printable } from "./printable.js"

export const NOT_JSON = "is not JSON"

/**
 * What a text says as JSON, or what is wrong with it, to follow its name. An object that has one name twice is refused:
 * readers differ in which of the two they take (RFC 8259 section 4), so that a person and a program would read two things.
 */
export function readJson(text: string): { readonly content: unknown } | { readonly fault: string } {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    // the parser's own words quote the text
    return { fault: NOT_JSON }
  }
  const member = duplicateMember(text, content)
  return member === null ? { content } : { fault: `has the member ${member} twice` }
}

/** A string, or a bracket that opens or closes; what stands between them says nothing of members. */
const TOKEN = /"(?:[^"\\]|\\.)*"(?<colon>\s*:)?|[{}[\]]/g
const LONGEST_NAME = 64

/** The first name that an object of a valid text has twice, as JSON; null where none has. */
function duplicateMember(text: string, content: unknown): string | null {
  // most files are as keyferry wrote them, and most answers as KMS does: what has lost nothing has no name twice
  if (text === JSON.stringify(content) || text === `${JSON.stringify(content, null, 2)}\n`) return null
  const objects: Set<string>[] = []
  for (const { 0: token, groups } of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") objects.push(new Set())
    else if (token === "}" || token === "]") objects.pop()
    else if (groups?.["colon"] !== undefined) {
      const name = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string
      const names = objects.at(-1)
      if (names?.has(name) === true) return printable(JSON.stringify(name.slice(0, LONGEST_NAME)))
      names?.add(name)
    }
  }
  return null
}

/** JSON without its spaces and the order of its fields; text that is no JSON stays itself. */
export function canonicalJson(text: string): string {
  try {
    return JSON.stringify(sorted(JSON.parse(text)))
  } catch {
    return text
  }
}

function sorted(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(sorted)
  if (typeof json !== "object" || json === null) return json
  const fields = Object.entries(json).sort(([left], [right]) => (left < right ? -1 : 1))
  return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]))
}
