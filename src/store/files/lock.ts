import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { KeyferryError } from "../../core/base/error.js"
import { lockFile, unlockFile } from "../../libc/libc.js"
import { stateWriteError } from "./atomic-file.js"
import { causesOf } from "./file-error.js"
import { clearTicket, describeHolder, type Holder, readTicket, type Ticket, writeTicket } from "./lock-ticket.js"
import { makeFolder } from "./make-folder.js"
import { refuseLocalLocks } from "./network-file-system.js"
import { assertFolder, openStateFile } from "./state-file.js"

/** Who wants the lock, and how long it would wait for it. */
export interface LockRequest {
  /** Shown to who finds the lock held. */
  readonly command: string
  /** Whether nobody looks on: others wait for such a run, and it for them. */
  readonly scheduled: boolean
  /** In ms; null for what the holder makes of it: half a minute for a scheduled run, else nothing. */
  readonly timeout: number | null
  /** Told once, before it waits. */
  readonly onWait?: (holder: string) => void
}

/** The lock of a state directory; disposing gives it back. */
export interface StateLock extends AsyncDisposable {
  /** Whether another process waits for it. */
  isAwaited(): Promise<boolean>
  /** Lets one that waits have it, and takes it again once that is done. @throws ERR_STATE_LOCKED */
  passOn(): Promise<void>
}

/** How long a run waits for a scheduled one, and a scheduled one for any, in ms, where nothing else is asked for. */
const FOR_SCHEDULED = 30_000
const OF_SCHEDULED = 600_000

/** In ms: how often it is asked again, and how long who passes the lock on stands back, which is several times that. */
const POLL = 50
const STAND_BACK = 250
/** In ms, since a waiter may be stopped, or be slow: it is not passed on all the time. */
const BETWEEN_PASSES = 2000

/**
 * Takes the lock of a state directory.
 *
 * It is the kernel's lock (flock, see docs/adr/0006-the-kernel-holds-the-lock.md) of the file `lock/holder.json`: it holds
 * between processes, containers and host names of one kernel, and is free as soon as its process is gone, however that
 * ended. The file is never removed, since a lock on a file that is gone keeps nobody out; should a person remove it, the
 * lock of the state directory itself, which is taken with it where the file system has locks of folders, still holds.
 * What stands in the file only says who has it: nothing is decided by that.
 *
 * Who waits holds a shared lock on `lock/waiting` meanwhile, by which the holder knows.
 *
 * @throws ERR_STATE_LOCKED naming its holder, ERR_STATE_LOCK_UNUSABLE, ERR_STATE_UNSAFE, ERR_STATE_WRITE
 */
export async function lockState(stateDir: string, request: LockRequest): Promise<StateLock> {
  const folder = join(stateDir, "lock")
  await makeFolder(folder)
  assertFolder(folder)
  refuseLocalLocks(stateDir)
  const held = new HeldLock(stateDir, folder, request)
  try {
    await held.take(request.timeout)
    return held
  } catch (error) {
    held.close()
    throw error
  }
}

class HeldLock implements StateLock {
  readonly #stateDir: string
  readonly #path: string
  readonly #request: LockRequest
  #file: number
  readonly #waiting: number
  readonly #directory: number
  #isHeld = false
  #isClosed = false
  #passedOnAt = -Infinity

  constructor(stateDir: string, folder: string, request: LockRequest) {
    this.#stateDir = stateDir
    this.#path = join(folder, "holder.json")
    this.#request = request
    this.#file = openLock(this.#path)
    this.#waiting = openLock(join(folder, "waiting"))
    this.#directory = openSync(stateDir, constants.O_RDONLY | constants.O_DIRECTORY)
  }

  /** @param timeout in ms; null for what the holder makes of it */
  async take(timeout: number | null): Promise<void> {
    const start = performance.now()
    let isTold = false
    let isKnown = false
    try {
      while (!(await this.#tryToTake())) {
        const holder = await this.#holder()
        if (performance.now() - start >= (timeout ?? this.#patience(holder))) throw this.#lockedError(holder, start)
        // the holder has it itself for the moment in which it looks
        isKnown ||= await tryLock(this.#waiting, "shared", this.#path)
        if (!isTold) this.#request.onWait?.(describeHolder(holder))
        isTold = true
        await sleep(POLL)
      }
    } finally {
      if (isKnown) await unlockFile(this.#waiting)
    }
    this.#isHeld = true
    writeTicket(this.#file, this.#path, { ...this.#request, since: new Date().toISOString() })
  }

  async isAwaited(): Promise<boolean> {
    if (performance.now() - this.#passedOnAt < BETWEEN_PASSES) return false
    if (!(await tryLock(this.#waiting, "exclusive", this.#path))) return true
    await unlockFile(this.#waiting)
    return false
  }

  async passOn(): Promise<void> {
    await this.#release()
    await sleep(STAND_BACK)
    await this.take(Math.max(this.#request.timeout ?? 0, OF_SCHEDULED))
    this.#passedOnAt = performance.now()
  }

  close(): void {
    // another file may have the numbers by the second time
    if (this.#isClosed) return
    this.#isClosed = true
    for (const file of [this.#file, this.#waiting, this.#directory]) closeSync(file)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release()
    this.close()
  }

  async #release(): Promise<void> {
    if (!this.#isHeld) return
    this.#isHeld = false
    clearTicket(this.#file)
    await unlockFile(this.#file)
    await unlockFile(this.#directory)
  }

  async #tryToTake(): Promise<boolean> {
    if (!(await this.#lockDirectory())) return false
    for (;;) {
      if (!(await tryLock(this.#file, "exclusive", this.#path))) {
        await unlockFile(this.#directory)
        return false
      }
      if (isSameFile(this.#file, this.#path)) break
      // somebody removed or replaced it: what all others will open is the one that is there now
      closeSync(this.#file)
      this.#file = openLock(this.#path)
    }
    await assertLockHolds(this.#path)
    return true
  }

  /** True too where folders have no locks, as on NFS. */
  async #lockDirectory(): Promise<boolean> {
    try {
      return await lockFile(this.#directory, "exclusive")
    } catch {
      return true
    }
  }

  /** As long as its ticket says nothing, the holder may be about to write it. */
  async #holder(): Promise<Holder> {
    for (let times = 0; ; times += 1) {
      const holder = readTicket(this.#path)
      if (holder.ticket !== null || times === 3) return holder
      await sleep(POLL / 5)
    }
  }

  #patience({ ticket }: Holder): number {
    if (this.#request.scheduled) return OF_SCHEDULED
    return isUnattended(ticket) ? FOR_SCHEDULED : 0
  }

  #lockedError(holder: Holder, start: number): KeyferryError {
    const seconds = Math.round((performance.now() - start) / 1000)
    const waited = seconds < 1 ? "" : `, for which it was waited ${seconds} s`
    const words = `the state directory ${this.#stateDir} is in use by ${describeHolder(holder)}${waited}`
    return new KeyferryError("ERR_STATE_LOCKED", words)
  }
}

/** A file system that gives a lock to everybody who asks is found out: a second opening must not get it. */
async function assertLockHolds(path: string): Promise<void> {
  const second = openLock(path)
  try {
    if (!(await tryLock(second, "exclusive", path))) return
  } finally {
    closeSync(second)
  }
  throw unusable(`its file system gives the lock of ${path} twice`)
}

/**
 * Tries whether a lock holds in a state directory, by a file of its own, so that nobody is kept out meanwhile.
 *
 * @throws ERR_STATE_LOCK_UNUSABLE, ERR_STATE_WRITE
 */
export async function tryLocking(stateDir: string): Promise<void> {
  const path = join(stateDir, "lock", "trial")
  await makeFolder(join(stateDir, "lock"))
  refuseLocalLocks(stateDir)
  const file = openLock(path)
  try {
    // else somebody else tries it at this moment
    if (await tryLock(file, "exclusive", path)) await assertLockHolds(path)
  } finally {
    closeSync(file)
  }
}

function isUnattended(ticket: Ticket | null): boolean {
  return ticket?.scheduled === true || ticket?.command === "agent"
}

/** Opened to write, which NFS wants of who locks. @throws ERR_STATE_WRITE */
export function openLock(path: string): number {
  try {
    return openStateFile(path, constants.O_RDWR | constants.O_CREAT)
  } catch (error) {
    throw stateWriteError(path, error)
  }
}

/** Whether the lock of an open file was to be had. @throws ERR_STATE_LOCK_UNUSABLE */
export async function tryLock(file: number, kind: "shared" | "exclusive", path: string): Promise<boolean> {
  try {
    return await lockFile(file, kind)
  } catch (error) {
    if ((error as { syscall?: string }).syscall === "flock") throw unusable(`${path} cannot be locked`, error)
    const hint =
      "install keyferry with its optional dependencies: koffi has a binary for each platform that it supports"
    throw unusable("the system call flock cannot be made, since koffi cannot be loaded", error, hint)
  }
}

function isSameFile(file: number, path: string): boolean {
  const opened = fstatSync(file)
  const named = statSync(path, { throwIfNoEntry: false })
  return named?.ino === opened.ino && named.dev === opened.dev
}

function unusable(message: string, cause?: unknown, hint?: string): KeyferryError {
  const causes = cause === undefined ? [] : causesOf(cause)
  return new KeyferryError("ERR_STATE_LOCK_UNUSABLE", message, {
    cause,
    causes,
    ...(hint === undefined ? {} : { hint }),
  })
}
