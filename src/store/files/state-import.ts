import { chmodSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { CLOSED_LOG, isCustodyLog } from "../archive/log-parts.js"
import { NOT_EXPORTED } from "../archive/parts.js"
import { piecesOf, type VerifiedArchive } from "../archive/read.js"
import { jsonText } from "../records/json-format.js"
import { replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { IMPORTING } from "./importing.js"
import { makeFolder } from "./make-folder.js"
import { namesIn } from "./names-in.js"
import { readText } from "./state-file.js"

/**
 * Writes what a verified archive holds into an empty state directory, whose lock the caller holds. Killed at any moment,
 * it leaves a state directory that only the same import works on, and finishes.
 *
 * @throws ERR_STATE_NOT_EMPTY, ERR_STATE_WRITE
 */
export async function writeArchive(stateDir: string, archive: VerifiedArchive): Promise<void> {
  refuseState(stateDir, archive.contents.digest)
  await replaceFile(join(stateDir, IMPORTING), jsonText({ digest: archive.contents.digest }))
  let log: { path: string; content: string[] } | undefined
  for (const { path, content } of piecesOf(archive)) {
    if (log !== undefined && log.path !== path) {
      await writeLog(stateDir, log)
      log = undefined
    }
    if (isCustodyLog(path)) log = { path, content: [...(log?.content ?? []), content] }
    else await write(stateDir, path, content)
  }
  if (log !== undefined) await writeLog(stateDir, log)
}

/** After all that belongs to the import was written. @throws ERR_STATE_WRITE */
export async function endImport(stateDir: string): Promise<void> {
  try {
    rmSync(join(stateDir, IMPORTING), { force: true })
    await syncFolder(stateDir)
  } catch (error) {
    throw stateWriteError(join(stateDir, IMPORTING), error)
  }
}

/** A state directory is empty that has nothing of its own, or only what the same import has written. */
function refuseState(stateDir: string, digest: string): void {
  const importing = readText(join(stateDir, IMPORTING))
  if (importing?.includes(`"${digest}"`) === true) return
  const leftover = namesIn(stateDir).find((name) => !NOT_EXPORTED.has(name))
  if (leftover === undefined && importing === undefined) return
  const obstacle = leftover ?? "another import, which was stopped half-way"
  throw new KeyferryError("ERR_STATE_NOT_EMPTY", `the state directory ${stateDir} is not empty: it has ${obstacle}`)
}

async function write(stateDir: string, path: string, content: string): Promise<void> {
  const file = join(stateDir, ...path.split("/"))
  await makeFolder(dirname(file))
  await replaceFile(file, content)
}

async function writeLog(
  stateDir: string,
  { path, content }: { path: string; content: readonly string[] },
): Promise<void> {
  await replaceFile(join(stateDir, path), content)
  if (CLOSED_LOG.test(path)) chmodSync(join(stateDir, path), 0o400)
}
