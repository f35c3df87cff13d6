import { resolve } from "node:path"
import { KeyferryError } from "../core/base/error.js"
import type { ClosedLog } from "../store/files/custody-log-rotation.js"
import type { ArchiveContents } from "../store/archive/format.js"
import type { World } from "./open.js"
import type { StatePlace } from "./state-place.js"

/** Export and import of the state directory, which are about its files and about nothing that use cases know. */

/** An archive that was written, or read. */
export interface Archived extends ArchiveContents {
  readonly file: string
}

export interface Exported extends Archived {
  /** Paths below the state directory that are not keyferry's: in no archive. */
  readonly left: readonly string[]
}

/** In ms: an export lets another command end, and comes in between two keys of a long run. */
const PATIENCE = 600_000

/**
 * Writes an archive of the state directory to a file that is not there yet. The lock is held while the state is read, and
 * no longer.
 *
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_WRITE, ERR_STATE_*
 */
export async function exportState(world: World, file: string): Promise<Exported> {
  const { refuseExisting, writeOutput } = await import("../store/files/output-file.js")
  const { archiveOf } = await import("../store/archive/write.js")
  const { takeSnapshot } = await import("../store/files/state-export.js")
  const { assertImported } = await import("../store/files/importing.js")
  const { noteExport } = await import("../store/archive/last-export.js")
  const { fileTexts } = await import("../store/files/file-texts.js")
  await refuseExisting(file)
  const stateDir = directoryOf(await world.place())
  refuseInside(stateDir, file)
  await using snapshot = await world.whileLocked(async () => {
    assertImported(stateDir)
    return await takeSnapshot(stateDir, world.clock.now())
  }, PATIENCE)
  const archive = archiveOf(snapshot)
  await writeOutput(file, archive.lines)
  const contents = archive.contents()
  await noteExport(fileTexts(stateDir), { ...contents, log: snapshot.head.log })
  return { file, ...contents, left: snapshot.left }
}

/**
 * Writes what an archive holds into an empty state directory; the archive is verified to its end before.
 *
 * @throws ERR_STATE_ARCHIVE_INVALID, ERR_STATE_NOT_EMPTY, ERR_STATE_*
 */
export async function importState(world: World, file: string): Promise<Archived> {
  const { verifyArchive } = await import("../store/archive/read.js")
  const { writeArchive, endImport } = await import("../store/files/state-import.js")
  const { noteExport } = await import("../store/archive/last-export.js")
  const { fileTexts } = await import("../store/files/file-texts.js")
  using archive = await verifyArchive(file)
  const { contents, head } = archive
  await world.whileLocked(async (place) => {
    const stateDir = directoryOf(place)
    await writeArchive(stateDir, archive)
    await noteExport(fileTexts(stateDir), { ...contents, log: head.log })
    const { custodyLogFile } = await import("../store/files/custody-log.js")
    const facts = { exportedAt: contents.exportedAt, digest: contents.digest }
    await custodyLogFile(stateDir, world.clock).append({ event: "state.imported", facts })
    await endImport(stateDir)
  })
  return { file, ...contents }
}

/** Closes the part of the custody log that is of earlier years; null where there is none. @throws ERR_STATE_* */
export async function closeEarlierYears(world: World): Promise<ClosedLog | null> {
  const { rotateLog } = await import("../store/files/custody-log-rotation.js")
  return await world.whileLocked((place) => rotateLog(directoryOf(place), world.clock))
}

function directoryOf({ directory }: StatePlace): string {
  if (directory !== null) return directory
  throw new KeyferryError("ERR_USAGE", "the state is in a database: that is for a state directory", {
    hint: "name a directory by --state-dir",
  })
}

/** An archive of the state in the state itself is no backup. */
function refuseInside(stateDir: string, file: string): void {
  if (!resolve(file).startsWith(`${resolve(stateDir)}/`)) return
  throw new KeyferryError("ERR_USAGE", `${file} is in the state directory`, {
    hint: "name a file elsewhere, best on another disk: what loses the state directory would lose it as well",
  })
}
