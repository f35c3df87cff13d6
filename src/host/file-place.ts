import type { Clock } from "../core/ports/clock.js"
import { custodyLogFile } from "../store/files/custody-log.js"
import { fileTexts } from "../store/files/file-texts.js"
import { assertImported } from "../store/files/importing.js"
import { openStateDir } from "../store/files/state-dir.js"
import { lockStateFor } from "./state-lock.js"
import type { StatePlace } from "./state-place.js"

/**
 * The state directory at a path, which is made where it is missing.
 *
 * @throws ERR_STATE_WRITE, ERR_STATE_UNSAFE, ERR_STATE_VERSION
 */
export async function filePlace(path: string, clock: Pick<Clock, "now">): Promise<StatePlace> {
  const directory = await openStateDir(path)
  const place: StatePlace = {
    directory,
    texts: fileTexts(directory),
    custodyLog: custodyLogFile(directory, clock),
    // the lock of the directory keeps everybody else out
    heldWork: null,
    holdForRun: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
    quotas: null,
    assertHeld: () => Promise.resolve(),
    lock: (run) => lockStateFor(directory, run),

    async prepare({ inventory }) {
      const { migrateState } = await import("../store/files/state-dir.js")
      const { refuseUnwritable } = await import("../store/files/writable.js")
      refuseUnwritable(directory)
      const copy = await migrateState(directory, inventory)
      return copy === null ? null : `the state of keyferry 0.1.0 was brought to this version; a copy is in ${copy}`
    },

    assertWhole: () => Promise.resolve().then(() => assertImported(directory)),

    async backup() {
      const { backupOf } = await import("../store/files/last-export.js")
      return await backupOf(directory)
    },

    async takeSnapshot(exportedAt) {
      const { takeSnapshot } = await import("../store/files/state-export.js")
      await place.assertWhole()
      return await takeSnapshot(directory, exportedAt)
    },

    async importArchive(archive, imported) {
      const { writeArchive, endImport } = await import("../store/files/state-import.js")
      const { noteExport } = await import("../store/archive/last-export.js")
      await writeArchive(directory, archive)
      await noteExport(place.texts, { ...archive.contents, log: archive.head.log })
      await place.custodyLog.append(imported)
      await endImport(directory)
    },

    async closeEarlierYears() {
      const { rotateLog } = await import("../store/files/custody-log-rotation.js")
      return await rotateLog(directory, clock)
    },

    async histories(names, limit) {
      const { keyHistories } = await import("../store/files/key-history.js")
      return await keyHistories(directory, names, limit)
    },

    async lockAgent() {
      const { lockAgent } = await import("../store/files/agent-lock.js")
      return await lockAgent(directory)
    },

    async copyOf(copy) {
      const { stateCopy } = await import("../store/files/state-copy.js")
      return stateCopy(directory, copy)
    },

    async doctorLines() {
      const { directoryLines } = await import("./doctor-files.js")
      return await directoryLines(directory)
    },

    async [Symbol.asyncDispose]() {
      // each file is closed by who opened it
    },
  }
  return place
}
