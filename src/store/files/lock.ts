import { link, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { removeLeftovers, replaceFile, stateWriteError, writeTemporary } from "./atomic-file.js"
import type { FileError } from "./file-error.js"
import { readText } from "./json-folder.js"
import { jsonText } from "./json-format.js"
import { mayRun, type ProcessIdentity, thisProcess } from "./process-identity.js"
import { makeFolder } from "./make-folder.js"

/** Who holds the lock, as its file tells. */
interface Holder extends ProcessIdentity {
  readonly command: string
  readonly since: string
  readonly released: boolean
}

const TICKET = /^([1-9]\d{0,14})\.json$/

/**
 * Takes the lock of a state directory; disposing gives it back.
 *
 * The lock is a row of numbered tickets in `lock/`, of which the highest counts. A ticket is taken by linking a file
 * to the next number, which only one process can do; it is free for the next once its holder says so or is gone. The
 * highest ticket is never removed, so whoever comes late to a number finds a higher one and stands back. (Removing a
 * stale lock file and making another leaves a moment in which two takers each remove what the other has just made.)
 *
 * @param command shown to who finds the lock held
 * @throws ERR_STATE_LOCKED naming its holder, ERR_STATE_WRITE
 */
export async function lockState(stateDir: string, command: string): Promise<AsyncDisposable> {
  const folder = join(stateDir, "lock")
  await makeFolder(folder)
  const holder: Holder = { ...thisProcess(), command, since: new Date().toISOString(), released: false }
  for (;;) {
    const highest = await highestTicket(folder)
    refuseHeld(folder, highest, stateDir)
    const ticket = highest + 1
    if (!(await take(folder, ticket, holder))) continue
    if ((await highestTicket(folder)) > ticket) {
      await rm(ticketPath(folder, ticket), { force: true })
      continue
    }
    await removeBelow(folder, ticket)
    await removeLeftovers(folder)
    return { [Symbol.asyncDispose]: () => release(folder, ticket, holder) }
  }
}

function ticketPath(folder: string, number: number): string {
  return join(folder, `${number}.json`)
}

async function tickets(folder: string): Promise<readonly number[]> {
  return (await readdir(folder)).flatMap((name) => {
    const [, number] = TICKET.exec(name) ?? []
    return number === undefined ? [] : Number(number)
  })
}

async function highestTicket(folder: string): Promise<number> {
  return Math.max(0, ...(await tickets(folder)))
}

/** A ticket that vanished meanwhile has been followed by a higher one: the taking that comes next will find that out. */
function refuseHeld(folder: string, ticket: number, stateDir: string): void {
  if (ticket === 0) return
  const path = ticketPath(folder, ticket)
  const holder = readHolder(path)
  if (holder === undefined || holder.released || !mayRun(holder)) return
  const { pid, host, command, since } = holder
  throw new KeyferryError(
    "ERR_STATE_LOCKED",
    `the state directory ${stateDir} is in use by \`keyferry ${command}\`, process ${pid} on ${host}, since ${since}`,
    host === thisProcess().host
      ? {}
      : { hint: `wait for that process to end; if its host is gone for good, remove ${path}` },
  )
}

function readHolder(path: string): Holder | undefined {
  const value = readLockFile(path) as Partial<Holder> | null | undefined
  if (value === undefined) return undefined
  if (typeof value?.host === "string" && typeof value.pid === "number" && typeof value.released === "boolean") {
    return { bootId: null, startTime: null, command: "?", since: "?", ...value } as Holder
  }
  throw new KeyferryError("ERR_STATE_INVALID", `${path} is not a lock`)
}

function readLockFile(path: string): unknown {
  const text = readText(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new KeyferryError("ERR_STATE_INVALID", `${path} is not JSON`)
  }
}

/** Whether the ticket was taken; false if another process has it. It appears with its whole content. */
async function take(folder: string, ticket: number, holder: Holder): Promise<boolean> {
  const path = ticketPath(folder, ticket)
  try {
    const temporary = await writeTemporary(path, jsonText(holder))
    try {
      await link(temporary, path)
    } finally {
      await rm(temporary, { force: true })
    }
    return true
  } catch (error) {
    if ((error as FileError).code === "EEXIST") return false
    throw stateWriteError(path, error)
  }
}

async function removeBelow(folder: string, ownTicket: number): Promise<void> {
  for (const ticket of await tickets(folder)) {
    if (ticket < ownTicket) await rm(ticketPath(folder, ticket), { force: true })
  }
}

/** A ticket that cannot be marked is as good as one of a process that is gone, which this one soon is. */
async function release(folder: string, ticket: number, holder: Holder): Promise<void> {
  const path = ticketPath(folder, ticket)
  await replaceFile(path, jsonText({ ...holder, released: true })).catch(() => undefined)
}
