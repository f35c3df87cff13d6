import { readFileSync } from "node:fs"
import { hostname } from "node:os"

/** Which process, among all that ever ran: a process ID alone comes round again. */
export interface ProcessIdentity {
  readonly host: string
  /** Random for each boot of the host; null where the system does not tell. */
  readonly bootId: string | null
  readonly pid: number
  /** In clock ticks since boot, as /proc/PID/stat writes it; null where the system does not tell. */
  readonly startTime: string | null
}

/** This process. */
export function thisProcess(): ProcessIdentity {
  return { host: hostname(), bootId: bootId(), pid: process.pid, startTime: statOf(process.pid)?.startTime ?? null }
}

/** Whether that process may still run: it is gone only if this host can tell. A process of another host never is. */
export function mayRun({ host, bootId: boot, pid, startTime }: ProcessIdentity): boolean {
  if (host !== hostname()) return true
  const now = bootId()
  if (boot !== null && now !== null && boot !== now) return false
  if (startTime === null) return isRunning(pid)
  const stat = statOf(pid)
  // a zombie does nothing any more, though its parent has not looked after it yet
  return stat?.startTime === startTime && stat.state !== "Z" && stat.state !== "X"
}

function bootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  } catch {
    return null
  }
}

/** State and start time, fields 3 and 22 of proc_pid_stat(5); field 2, the name, may hold spaces and parentheses. */
function statOf(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    const [state, startTime] = [fields[0], fields[19]]
    return state === undefined || startTime === undefined ? undefined : { state, startTime }
  } catch {
    return undefined
  }
}

/** Whether a process with this ID runs on this host now. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs, and is another user's
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
