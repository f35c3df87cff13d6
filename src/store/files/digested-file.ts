import { sha256 } from "../../core/key/wrapping-key.js"

/** JSON files that carry their own digest: `{"version":1,…,"digest":"sha256:…"}`, over the JSON of all but the digest. */

const VERSION = 1

/** The text of such a file; bytes become base64. */
export function digestedText(value: object): string {
  const rest = JSON.parse(JSON.stringify({ version: VERSION, ...value }, base64)) as object
  return `${JSON.stringify({ ...rest, digest: digestOf(rest) }, null, 2)}\n`
}

/** What was written, or in words what is wrong with the text. */
export function readDigested(text: string): { readonly value: object } | { readonly fault: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { fault: "it is not JSON" }
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return { fault: "it is no JSON object" }
  if (!text.endsWith("}\n")) return { fault: "its end is missing" }
  const { digest, ...rest } = parsed as Readonly<Record<string, unknown>>
  if (digest !== digestOf(rest)) return { fault: "its digest does not fit its contents" }
  const { version, ...value } = rest
  if (version !== VERSION) return { fault: `it is of version ${String(version)}, which this program does not know` }
  return { value }
}

function digestOf(rest: object): string {
  return sha256(Buffer.from(JSON.stringify(rest), "utf8"))
}

/** A replacer for JSON.stringify; a Buffer has become something else by the time it is given as the value. */
function base64(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const bytes = this[key]
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString("base64") : value
}
