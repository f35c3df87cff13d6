import { type CheckedLine, failed } from "../app/doctor/check.js"
import type { PostgresSettings } from "../core/manifest/state-settings.js"
import { systemClock } from "./clock.js"
import { verifiedLogEnd } from "../store/postgres/custody-log-table.js"
import type { Database } from "../store/postgres/database.js"
import { databaseFindings } from "../store/postgres/database-faults.js"
import { backupOf } from "../store/postgres/last-export.js"
import { backupLine, logLine } from "./doctor-state.js"

/** What `doctor` says of the database of the state, of the custody log in it, and of its last export. */
export async function databaseLines(database: Database, postgres: PostgresSettings): Promise<readonly CheckedLine[]> {
  return [
    ...(await stateLines(database, postgres)),
    await logLine(() => verifiedLogEnd(database)),
    backupLine(await backupOf(database)),
  ]
}

async function stateLines(database: Database, postgres: PostgresSettings): Promise<readonly CheckedLine[]> {
  try {
    const findings = await databaseFindings(database, postgres, systemClock)
    return findings.map((finding) => ({ id: "state", exit: finding.status === "fail" ? "CONFIG" : "OK", ...finding }))
  } catch (error) {
    return [failed("state", error)]
  }
}
