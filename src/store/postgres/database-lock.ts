import { hostname } from "node:os"
import { setTimeout as sleep } from "node:timers/promises"
import { KeyferryError } from "../../core/base/error.js"
import type { StateLock } from "../files/lock.js"
import type { Database } from "./database.js"
import { type LockSession, openLockSession } from "./lock-session.js"

/** Who wants the whole state, and how long it would wait for it. */
export interface WholeStateRequest {
  /** `shared` for who works on keys that it holds by name; `exclusive` for who changes the whole state. */
  readonly mode: "shared" | "exclusive"
  /** Shown to who finds the state locked. */
  readonly command: string
  /** In ms; null for half a minute: who holds the state exclusively is soon done. */
  readonly timeout: number | null
  /** Told once, before it waits. */
  readonly onWait?: (holder: string) => void
}

/** In ms, where nothing else is asked for; how often it is asked again; and how long who passes it on stands back. */
const TIMEOUT = 30_000
const POLL = 250
const STAND_BACK = 1_000
/** In ms: how long who has passed it on waits for it. */
const AGAIN_TIMEOUT = 600_000
/** In ms, since a waiter may be stopped: it is not passed on all the time. */
const BETWEEN_PASSES = 2_000

/** Bytes of `application_name`. */
const MOST_NAME = 63

/** Who waits for the state exclusively holds the second one shared. */
const STATE = "hashtextextended('keyferry state', 0)"
const WAITING = "hashtextextended('keyferry state waiting', 0)"

/**
 * Takes the lock of the whole state: a session-level advisory lock on a connection of its own, which is free when the
 * process is gone, is stopped for 20 s or cannot reach the server for so long.
 *
 * @throws ERR_STATE_LOCKED naming a holder, ERR_DATABASE_*
 */
export async function lockWholeState(database: Database, request: WholeStateRequest): Promise<StateLock> {
  const name = `keyferry ${request.command}, process ${process.pid} on ${hostname()}`
  const session = await openLockSession(database, Buffer.from(name, "ascii").subarray(0, MOST_NAME).toString("ascii"))
  try {
    const lock = new WholeStateLock(session, database.place, request)
    await lock.take(request.timeout ?? TIMEOUT)
    return lock
  } catch (error) {
    session[Symbol.dispose]()
    throw error
  }
}

class WholeStateLock implements StateLock {
  readonly #session: LockSession
  readonly #place: string
  readonly #request: WholeStateRequest
  #passedOnAt = -Infinity

  constructor(session: LockSession, place: string, request: WholeStateRequest) {
    this.#session = session
    this.#place = place
    this.#request = request
  }

  async take(timeout: number): Promise<void> {
    const isShared = this.#request.mode === "shared"
    // who shares it comes after who wants it alone: those who share it may follow each other for ever
    const taking = isShared
      ? `SELECT CASE WHEN EXISTS (${holdersOf(WAITING)}) THEN false ELSE pg_try_advisory_lock_shared(${STATE}) END AS holds`
      : `SELECT pg_try_advisory_lock(${STATE}) AS holds`
    const start = performance.now()
    let isWaiting = false
    try {
      while (!(await this.#holds(taking))) {
        const holder = await this.#holder()
        const waited = performance.now() - start
        if (waited >= timeout) throw this.#lockedError(holder, waited)
        if (!isWaiting) {
          if (!isShared) await this.#session.query(`SELECT pg_advisory_lock_shared(${WAITING})`)
          this.#request.onWait?.(holder)
          isWaiting = true
        }
        await sleep(POLL)
      }
    } finally {
      if (isWaiting && !isShared && !this.#session.isLost) {
        await this.#session.query(`SELECT pg_advisory_unlock_shared(${WAITING})`)
      }
    }
  }

  async isAwaited(): Promise<boolean> {
    if (performance.now() - this.#passedOnAt < BETWEEN_PASSES) return false
    return await this.#holds(`SELECT EXISTS (${holdersOf(WAITING)} AND pid <> pg_backend_pid()) AS holds`)
  }

  async passOn(): Promise<void> {
    const suffix = this.#request.mode === "shared" ? "_shared" : ""
    await this.#session.query(`SELECT pg_advisory_unlock${suffix}(${STATE})`)
    await sleep(STAND_BACK)
    await this.take(Math.max(this.#request.timeout ?? 0, AGAIN_TIMEOUT))
    this.#passedOnAt = performance.now()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session[Symbol.dispose]()
    return Promise.resolve()
  }

  async #holds(sql: string): Promise<boolean> {
    const { rows } = await this.#session.query<{ holds: boolean }>(sql)
    return rows[0]?.holds === true
  }

  /** One of those that have it. Since when is shown to the same role, and to who may read statistics. */
  async #holder(): Promise<string> {
    const { rows } = await this.#session.query<{ name: string; since: Date | null }>(
      `SELECT application_name AS name, backend_start AS since FROM pg_stat_activity
        WHERE pid IN (${holdersOf(STATE)}) ORDER BY backend_start LIMIT 1`,
    )
    const [holder] = rows
    if (holder === undefined) return "a process that has just ended"
    return holder.since === null ? holder.name : `${holder.name}, since ${holder.since.toISOString()}`
  }

  #lockedError(holder: string, waited: number): KeyferryError {
    const seconds = Math.round(waited / 1000)
    const words = seconds < 1 ? "" : `, for which it was waited ${seconds} s`
    return new KeyferryError("ERR_STATE_LOCKED", `${this.#place} is in use by ${holder}${words}`, {
      hint: "wait for that process to end; one that is stopped or cut off loses the lock within 20 s",
    })
  }
}

/** Processes of the server that have a lock. */
function holdersOf(key: string): string {
  return `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = ((${key} >> 32) & 4294967295)::oid AND objid = (${key} & 4294967295)::oid`
}
