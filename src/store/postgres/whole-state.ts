import type { HeldBinding } from "../../core/ports/held-work.js"
import type { StateLock } from "../files/lock.js"
import { holdForRun } from "./current-hold.js"
import { lockWholeState, type WholeStateRequest } from "./database-lock.js"
import type { Database } from "./database.js"
import { EVERYTHING } from "./fence.js"
import type { Holds } from "./holds.js"

const WHOLE_STATE: HeldBinding = { name: EVERYTHING, target: EVERYTHING }
/** In ms: a session that held it and is gone is ended by then. */
const PATIENCE = 30_000

/**
 * Takes the lock of the whole state. Who has it alone holds a binding with it, whose fence is raised by whoever takes the
 * lock next, so that one that was stopped or cut off for too long writes nothing when it wakes.
 *
 * @throws ERR_STATE_LOCKED, ERR_DATABASE_*
 */
export async function lockState(database: Database, holds: Holds, request: WholeStateRequest): Promise<StateLock> {
  const lock = await lockWholeState(database, request)
  try {
    if (request.mode === "shared") {
      await database.query("UPDATE keyferry.binding SET fence = fence + 1 WHERE name = $1 AND target = $1", [
        EVERYTHING,
      ])
      return lock
    }
    let hold = await holdForRun(holds, [WHOLE_STATE], PATIENCE)
    return {
      isAwaited: () => lock.isAwaited(),
      async passOn() {
        await hold[Symbol.asyncDispose]()
        await lock.passOn()
        hold = await holdForRun(holds, [WHOLE_STATE], PATIENCE)
      },
      async [Symbol.asyncDispose]() {
        await hold[Symbol.asyncDispose]()
        await lock[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await lock[Symbol.asyncDispose]()
    throw error
  }
}
