import { hostname } from "node:os"
import { KeyferryError } from "../core/base/error.js"
import type { PostgresSettings } from "../core/manifest/state-settings.js"
import type { Clock } from "../core/ports/clock.js"
import { assertCurrentHeld, currentFences, heldWork, holdForRun } from "../store/postgres/current-hold.js"
import { custodyLogTable } from "../store/postgres/custody-log-table.js"
import { openDatabase } from "../store/postgres/database.js"
import { bindingHolds } from "../store/postgres/holds.js"
import { keyHistories } from "../store/postgres/key-history-rows.js"
import { backupOf } from "../store/postgres/last-export.js"
import { assertSchema, migrate } from "../store/postgres/migrations.js"
import { rowTexts } from "../store/postgres/row-texts.js"
import { lockState } from "../store/postgres/whole-state.js"
import { sharedQuotas } from "../store/postgres/shared-quota.js"
import { takeSnapshot } from "../store/postgres/state-export.js"
import { lockRequest } from "./state-lock.js"
import type { StatePlace } from "./state-place.js"

interface Surroundings {
  /** Words of the command, for who finds the state in use. */
  readonly command: string
  readonly clock: Pick<Clock, "now">
}

/**
 * The database of `state.postgres`, whose tables are those of this keyferry.
 *
 * @throws ERR_DATABASE_*, ERR_STATE_VERSION
 */
export async function databasePlace(postgres: PostgresSettings, { command, clock }: Surroundings): Promise<StatePlace> {
  const database = openDatabase(postgres, `keyferry ${command}`)
  try {
    await assertSchema(database)
  } catch (error) {
    await database[Symbol.asyncDispose]()
    throw error
  }
  const holds = bindingHolds(database, { holder: `${command}, process ${process.pid} on ${hostname()}` })
  return {
    directory: null,
    texts: rowTexts(database, currentFences),
    custodyLog: custodyLogTable(database, clock, currentFences),
    heldWork: heldWork(holds),
    holdForRun: (bindings, patience) => holdForRun(holds, bindings, patience),
    quotas: sharedQuotas(database),
    assertHeld: assertCurrentHeld,
    lock: (run, mode) => lockState(database, holds, { ...lockRequest(run), mode }),
    prepare: () => Promise.resolve(null),
    // an import is one transaction
    assertWhole: () => Promise.resolve(),
    backup: () => backupOf(database),
    takeSnapshot: (exportedAt) => takeSnapshot(database, exportedAt),

    async importArchive(archive, imported) {
      const { importArchive } = await import("../store/postgres/state-import.js")
      await importArchive(database, archive, imported, clock)
    },

    closeEarlierYears: () =>
      Promise.reject(
        new KeyferryError("ERR_USAGE", "the state is in a database: its custody log is a table, and needs no closing", {
          hint: "only the log of a state directory is moved to files by year: name one by --state-dir",
        }),
      ),

    histories: (names, limit) => keyHistories(database, names, limit),
    // agents share the work
    async lockAgent(owner) {
      const { refuseOtherOwner } = await import("../store/postgres/agents-owner.js")
      await refuseOtherOwner(database, owner)
      return { [Symbol.dispose]: () => undefined }
    },

    copyOf: () =>
      Promise.reject(
        new KeyferryError(
          "ERR_USAGE",
          "the state is in a database: copies of a directory are joined into a directory",
          {
            hint: "merge the copies in a directory by --state-dir, export that, and import it into an empty database",
          },
        ),
      ),

    async doctorLines() {
      const { databaseLines } = await import("./doctor-database.js")
      return await databaseLines(database, postgres)
    },

    async [Symbol.asyncDispose]() {
      await holds[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** Brings the tables of `state.postgres`, and those of the agents' jobs, to this version. @throws ERR_DATABASE_*, ERR_STATE_VERSION */
export async function migrateDatabase(postgres: PostgresSettings): Promise<{
  readonly place: string
  readonly from: number
  readonly to: number
}> {
  const { migrateJobs } = await import("../jobs/connection.js")
  await using database = openDatabase(postgres, "keyferry state migrate")
  const versions = await migrate(database)
  await migrateJobs(database)
  return { place: database.place, ...versions }
}
