import { closeSync, constants, readSync, writeSync } from "node:fs"
import { stateWriteError } from "./atomic-file.js"
import { isGone, type ProcessIdentity, thisProcess } from "./process-identity.js"
import { openStateFile } from "./state-file.js"

/** What the lock's file says of who has it: for people. The lock itself is the kernel's, and asks nothing of this. */
export interface Ticket extends ProcessIdentity {
  readonly command: string
  /** RFC 3339 UTC, by the holder's clock. */
  readonly since: string
  readonly scheduled: boolean
}

/** A ticket as it was found, and why it cannot be trusted; null where nothing speaks against it. */
export interface Holder {
  readonly ticket: Ticket | null
  readonly doubt: string | null
}

/** In bytes: always written whole and in place, which needs no room on a disk that has become full. */
const SIZE = 1024

/** @throws ERR_STATE_WRITE */
export function writeTicket(file: number, path: string, run: Pick<Ticket, "command" | "since" | "scheduled">): void {
  const { command, since, scheduled } = run
  const ticket: Ticket = { ...thisProcess(), command, since, scheduled }
  try {
    write(file, JSON.stringify(ticket))
  } catch (error) {
    throw stateWriteError(path, error)
  }
}

/** Best effort: a ticket that stays names a process that is soon gone. */
export function clearTicket(file: number): void {
  try {
    write(file, "{}")
  } catch {
    // the lock is given back all the same
  }
}

function write(file: number, text: string): void {
  writeSync(file, `${text.padEnd(SIZE - 1)}\n`, 0)
}

export function readTicket(path: string): Holder {
  let text: string
  try {
    text = readStart(path)
  } catch {
    return { ticket: null, doubt: "its ticket cannot be read" }
  }
  const ticket = parsed(text)
  if (ticket === null) return { ticket, doubt: "its ticket says nothing that keyferry writes" }
  return { ticket, doubt: isGone(ticket) ? "its ticket cannot be trusted, since that process is gone" : null }
}

function readStart(path: string): string {
  const file = openStateFile(path, constants.O_RDONLY)
  try {
    const bytes = Buffer.alloc(SIZE)
    return bytes.subarray(0, readSync(file, bytes, 0, SIZE, 0)).toString("utf8")
  } finally {
    closeSync(file)
  }
}

/** Only what keyferry itself writes is repeated to people. */
const TEXT_FIELDS = {
  host: /^[\w.-]{1,255}$/,
  command: /^[a-z][a-z-]*( [a-z-]+)?$/,
  since: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
} as const

function parsed(text: string): Ticket | null {
  try {
    const ticket = JSON.parse(text) as Ticket
    const isText = Object.entries(TEXT_FIELDS).every(([field, form]) => {
      const content: unknown = ticket[field as keyof typeof TEXT_FIELDS]
      return typeof content === "string" && form.test(content)
    })
    return isText && Number.isSafeInteger(ticket.pid) && ticket.pid > 0 ? ticket : null
  } catch {
    return null
  }
}

/** `keyferry rewrap`, process 12 on host, since …; or that it is not known. */
export function describeHolder({ ticket, doubt }: Holder): string {
  if (ticket === null) return `a process that is not known: ${doubt ?? ""}`
  const { command, pid, host, since } = ticket
  return `\`keyferry ${command}\`, process ${pid} on ${host}, since ${since}${doubt === null ? "" : ` (${doubt})`}`
}
