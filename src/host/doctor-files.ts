import { accessSync, constants } from "node:fs"
import { type CheckedLine, fail, failed, ok, warn } from "../app/doctor/check.js"
import { shellPath } from "../core/base/shell-word.js"
import { backupLine, logLine } from "./doctor-state.js"

/** What `doctor` says of a state directory, of the custody log in it, and of its last export. */
export async function directoryLines(stateDir: string): Promise<readonly CheckedLine[]> {
  const { verifiedEnd } = await import("../store/files/custody-log-reader.js")
  const { backupOf } = await import("../store/files/last-export.js")
  return [
    ...(await stateLines(stateDir)),
    await logLine(() => Promise.resolve(verifiedEnd(stateDir))),
    backupLine(await backupOf(stateDir)),
  ]
}

/** More faults than these are counted. */
const SHOWN_FAULTS = 10

async function stateLines(stateDir: string): Promise<readonly CheckedLine[]> {
  const { stateFaults } = await import("../store/files/state-faults.js")
  const { doubtfulParents } = await import("../store/files/state-file.js")
  const { networkFileSystem } = await import("../store/files/network-file-system.js")
  const faults = stateFaults(stateDir)
  const type = networkFileSystem(stateDir)
  const line = faults.length === 0 ? stateLine(stateDir) : failed("state", faults[0])
  return [
    line,
    ...faults.slice(1, SHOWN_FAULTS).map((fault) => failed("state", fault)),
    ...(faults.length > SHOWN_FAULTS ? [moreFaults(faults.length - SHOWN_FAULTS, stateDir)] : []),
    ...doubtfulParents(stateDir).map((message) =>
      warn(
        "state",
        `${message}: they could put another state directory in its place`,
        "let nobody but root and keyferry's user write there",
      ),
    ),
    ...(line.status === "ok" ? await lockLines(stateDir) : []),
    ...(type === null
      ? []
      : [
          warn(
            "state",
            `${stateDir} is on ${type}: its lock is as good as what serves it`,
            "put the state directory on a file system of this host",
          ),
        ]),
  ]
}

/** Nothing where a lock holds there; without one, no command that changes anything works. */
async function lockLines(stateDir: string): Promise<readonly CheckedLine[]> {
  const { tryLocking } = await import("../store/files/lock.js")
  try {
    await tryLocking(stateDir)
    return []
  } catch (error) {
    return [failed("state", error)]
  }
}

function moreFaults(count: number, stateDir: string): CheckedLine {
  return fail(
    "state",
    `${count} more files of the state directory are refused`,
    `look at ls -lR ${shellPath(stateDir)}`,
    "NOPERM",
  )
}

function stateLine(stateDir: string): CheckedLine {
  try {
    accessSync(stateDir, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok("state", `state directory ${stateDir} is writable, by keyferry's user alone`)
  } catch {
    const hint = "check --state-dir (KEYFERRY_STATE_DIR) and its permissions"
    return fail("state", `state directory ${stateDir} is not writable`, hint, "IOERR")
  }
}
