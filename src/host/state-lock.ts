import { isatty } from "node:tty"
import { parseDuration } from "../core/base/expiry.js"
import { KeyferryError } from "../core/base/error.js"
import type { Log } from "../core/ports/log.js"
import type { Progress } from "../core/ports/progress.js"
import { lockState, type StateLock } from "../store/files/lock.js"
import type { Env, Flags } from "./settings.js"

export interface LockedRun {
  readonly flags: Flags
  readonly env: Env
  readonly command: string
  readonly progress: Progress
  readonly log: Log
  /** In ms, where `--lock-timeout` does not say it; null for what the holder makes of it. */
  readonly patience?: number
}

/** Takes the lock of the state directory, and waits for it as long as `--lock-timeout` says. @throws ERR_USAGE, ERR_STATE_* */
export function lockStateFor(stateDir: string, run: LockedRun): Promise<StateLock> {
  return lockState(stateDir, { ...lockRequest(run), scheduled: run.command === "agent" || isScheduled(run.env) })
}

/** How a run asks for a lock of the state. @throws ERR_USAGE */
export function lockRequest({ flags, command, progress, log, patience }: LockedRun) {
  return {
    command,
    timeout: milliseconds(flags.lockTimeout) ?? patience ?? null,
    onWait(holder: string) {
      progress.step(`waiting for the state, which is in use by ${holder}`)
      log.event("lock.awaited", { holder })
    },
  }
}

/** Null where nothing is asked for. */
function milliseconds(lockTimeout: string | undefined): number | null {
  if (lockTimeout === undefined) return null
  const seconds = lockTimeout === "0" ? 0 : parseDuration(lockTimeout)
  if (seconds !== undefined) return seconds * 1000
  throw new KeyferryError("ERR_USAGE", `--lock-timeout '${lockTimeout}' is no duration`, {
    hint: "give it like 30s, 5m or 1h; 0 for not waiting at all",
  })
}

/**
 * Whether nobody looks on: systemd started it (INVOCATION_ID, which terminals of a desktop inherit as well) and no
 * terminal is there. cron and Kubernetes set nothing that a person's session has not: there `--lock-timeout` says it.
 */
function isScheduled(env: Env): boolean {
  return (env["INVOCATION_ID"] ?? "") !== "" && ![0, 1, 2].some((stream) => isatty(stream))
}
