import { resolve } from "node:path"
import { KeyferryError } from "../core/base/error.js"
import type { CustodyEvent } from "../core/records/custody-event.js"
import type { ArchiveContents } from "../store/archive/format.js"
import type { ClosedLog } from "../store/files/custody-log-rotation.js"
import type { World } from "./open.js"

/** Export and import of the state, which are about how it is kept and about nothing that use cases know. */

/** An archive that was written, or read. */
export interface Archived extends ArchiveContents {
  readonly file: string
}

export interface Exported extends Archived {
  /** Paths in the state that are not keyferry's: in no archive. */
  readonly left: readonly string[]
}

/** In ms: an export lets another command end, and comes in between two keys of a long run. */
const PATIENCE = 600_000

/**
 * Writes an archive of the state to a file that is not there yet. The lock of a state directory is held while it is read,
 * and no longer; a database shows one moment by itself.
 *
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_WRITE, ERR_STATE_*, ERR_DATABASE_*
 */
export async function exportState(world: World, file: string): Promise<Exported> {
  const { refuseExisting, writeOutput } = await import("../store/files/output-file.js")
  const { archiveOf } = await import("../store/archive/write.js")
  const { noteExport } = await import("../store/archive/last-export.js")
  await refuseExisting(file)
  const place = await world.stored.place()
  if (place.directory !== null) refuseInside(place.directory, file)
  const take = () => place.takeSnapshot(world.clock.now())
  await using snapshot = await (place.directory === null ? take() : world.stored.whileLocked(take, PATIENCE))
  const archive = archiveOf(snapshot)
  await writeOutput(file, archive.lines)
  const contents = archive.contents()
  await noteExport(place.texts, { ...contents, log: snapshot.head.log })
  return { file, ...contents, left: snapshot.left }
}

/**
 * Writes what an archive holds into an empty state directory or database; the archive is verified to its end before.
 *
 * @throws ERR_STATE_ARCHIVE_INVALID, ERR_STATE_NOT_EMPTY, ERR_STATE_*, ERR_DATABASE_*
 */
export async function importState(world: World, file: string): Promise<Archived> {
  const { verifyArchive } = await import("../store/archive/read.js")
  using archive = await verifyArchive(file)
  const { exportedAt, digest } = archive.contents
  const imported: CustodyEvent = { event: "state.imported", facts: { exportedAt, digest } }
  await world.stored.whileLocked((place) => place.importArchive(archive, imported))
  return { file, ...archive.contents }
}

/** Closes the part of the custody log that is of earlier years; null where there is none. @throws ERR_USAGE, ERR_STATE_* */
export async function closeEarlierYears(world: World): Promise<ClosedLog | null> {
  return await world.stored.whileLocked((place) => place.closeEarlierYears())
}

/** An archive of the state in the state itself is no backup. */
function refuseInside(stateDir: string, file: string): void {
  if (!resolve(file).startsWith(`${resolve(stateDir)}/`)) return
  throw new KeyferryError("ERR_USAGE", `${file} is in the state directory`, {
    hint: "name a file elsewhere, best on another disk: what loses the state directory would lose it as well",
  })
}
