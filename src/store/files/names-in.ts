import { readdirSync } from "node:fs"
import { isMissing } from "./file-error.js"
import { assertFolder, unreadable } from "./state-file.js"

/**
 * Names in a folder of the state directory, sorted, without hidden and temporary ones; none where it is not there.
 *
 * @throws ERR_STATE_UNSAFE, ERR_INPUT_UNREADABLE
 */
export function namesIn(folder: string): readonly string[] {
  try {
    assertFolder(folder)
    return readdirSync(folder)
      .filter((name) => !name.startsWith("."))
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw unreadable(folder, error)
  }
}
