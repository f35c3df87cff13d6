import { readJson } from "../../core/base/json.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { TextFormat, Parsed } from "./json-folder.js"

/** How the texts of the state hold their content: JSON for people and machines, checked on reading. */

/** Checks what was parsed; loads its schema when it is first asked. */
export type Check<T> = (value: unknown) => Promise<Parsed<T>>

/** Indented JSON with a last newline. */
export function plainJson<T>(check: Check<T>): TextFormat<T> {
  return {
    text: (content) => jsonText(content),
    async parse(text) {
      const json = parseJson(text)
      return "fault" in json ? json : await check(json.content)
    },
  }
}

const DIGESTED_VERSION = 1

/** JSON with a digest of its own: `{"version":1,…,"digest":"sha256:…"}`, over the JSON of all but the digest; bytes in base64. */
export function digestedJson<T extends object>(check: Check<T>): TextFormat<T> {
  return {
    text(content) {
      const fields = JSON.parse(JSON.stringify({ version: DIGESTED_VERSION, ...content }, base64)) as object
      return jsonText({ ...fields, digest: digestOf(fields) })
    },
    async parse(text) {
      const json = parseJson(text)
      if ("fault" in json) return json
      if (typeof json.content !== "object" || json.content === null || Array.isArray(json.content)) {
        return { fault: "it is no JSON object" }
      }
      if (!text.endsWith("}\n")) return { fault: "its end is missing" }
      const { digest, ...rest } = json.content as Readonly<Record<string, unknown>>
      if (digest !== digestOf(rest)) return { fault: "its digest does not fit its contents" }
      const { version, ...content } = rest
      if (version !== DIGESTED_VERSION) {
        return { fault: `it is of version ${String(version)}, which this program does not know` }
      }
      return await check(content)
    },
  }
}

/** The text of a JSON file: indented, with a last newline. */
export function jsonText(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`
}

function parseJson(text: string): Parsed<unknown> {
  const json = readJson(text)
  return "fault" in json ? { fault: `it ${json.fault}` } : json
}

function digestOf(fields: object): string {
  return sha256(Buffer.from(JSON.stringify(fields), "utf8"))
}

/** A replacer for JSON.stringify; a Buffer has become something else by the time it is given as the value. */
function base64(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const bytes = this[key]
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString("base64") : value
}
