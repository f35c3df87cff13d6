import { readFileSync } from "node:fs"
import { KeyferryError } from "../../core/base/error.js"
import { causesOf, isMissing } from "./file-error.js"

/**
 * Reads a JSON file of the state directory; undefined if it is not there.
 *
 * @throws ERR_STATE_INVALID if it is not JSON, ERR_INPUT_UNREADABLE
 */
export function readJson(path: string): unknown {
  let text: string
  try {
    // a hop to a thread and back for each step costs several times what reading so small a file does
    text = readFileSync(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${path}`, { cause: error, causes: causesOf(error) })
  }
  try {
    return JSON.parse(text)
  } catch {
    // the parser's own words quote the text
    throw new KeyferryError("ERR_STATE_INVALID", `${path} is not JSON`)
  }
}

/** The text of a JSON file for people and machines: indented, with a last newline. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
