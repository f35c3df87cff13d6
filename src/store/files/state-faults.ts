import { closeSync, constants, lstatSync } from "node:fs"
import { join } from "node:path"
import type { KeyferryError } from "../../core/base/error.js"
import { namesIn } from "./names-in.js"
import { openStateFile, unreadable } from "./state-file.js"

/** Every file and folder in a folder of the state directory that keyferry refuses: links, pipes, what others can write. */
export function stateFaults(folder: string): readonly KeyferryError[] {
  try {
    return namesIn(folder).flatMap((name) => faultsAt(join(folder, name)))
  } catch (error) {
    return [unreadable(folder, error)]
  }
}

function faultsAt(path: string): readonly KeyferryError[] {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return stateFaults(path)
  try {
    closeSync(openStateFile(path, constants.O_RDONLY))
    return []
  } catch (error) {
    return [unreadable(path, error)]
  }
}
