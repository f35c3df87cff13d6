import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

/** Which process, among all that ever ran: a process ID alone comes round again, and is another's in a container. */
export interface ProcessIdentity {
  readonly host: string
  /** Random for each boot of the host; null where the system does not tell. */
  readonly bootId: string | null
  /** As /proc/self/ns/pid names it: process IDs of another mean nothing here. Null where the system does not tell. */
  readonly pidNamespace: string | null
  readonly pid: number
  /** In clock ticks since boot, as /proc/PID/stat writes it; null where the system does not tell. */
  readonly startTime: string | null
}

/** This process. */
export function thisProcess(): ProcessIdentity {
  const { pid } = process
  return { host: hostname(), bootId: bootId(), pidNamespace: pidNamespace(), pid, startTime: startTimeOf(pid) }
}

/** Whether that process is known to be gone; false where this process cannot tell. */
export function isGone({ bootId: boot, pidNamespace: namespace, pid, startTime }: ProcessIdentity): boolean {
  if (boot === null || startTime === null) return false
  if (boot !== bootId()) return true
  if (namespace === null || namespace !== pidNamespace()) return false
  return startTimeOf(pid) !== startTime
}

function bootId(): string | null {
  return orNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim())
}

function pidNamespace(): string | null {
  return orNull(() => readlinkSync("/proc/self/ns/pid"))
}

/** Field 22 of proc_pid_stat(5); field 2, the name, may hold spaces and parentheses. */
function startTimeOf(pid: number): string | null {
  return orNull(() => {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null
  })
}

function orNull<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}
