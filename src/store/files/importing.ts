import { existsSync } from "node:fs"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"

/** While it is there the state directory is not whole, and no command but the same import works on it. */
export const IMPORTING = "importing.json"

/** @throws ERR_STATE_INVALID where an import was stopped half-way */
export function assertImported(stateDir: string): void {
  if (!existsSync(join(stateDir, IMPORTING))) return
  throw new KeyferryError("ERR_STATE_INVALID", `an import into the state directory ${stateDir} was stopped half-way`, {
    hint: "run `keyferry state import FILE` again with the same archive: it finishes that",
  })
}
