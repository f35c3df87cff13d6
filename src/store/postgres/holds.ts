import { KeyferryError } from "../../core/base/error.js"
import type { HeldBinding } from "../../core/ports/held-work.js"
import type { Database } from "./database.js"
import { bindingLost, type Fence } from "./fence.js"
import { type LockSession, openLockSession } from "./lock-session.js"

/** The bindings that this process works on, held against all others. Disposing gives all of them back. */
export interface Holds extends AsyncDisposable {
  /**
   * Takes all of the bindings or none, without waiting, each with the next number of its fence.
   *
   * @throws ERR_KEY_HELD naming a key that is held, by whom and since when; ERR_DATABASE_*
   */
  hold(bindings: readonly HeldBinding[]): Promise<Hold>
}

/** In ms: an answer that was waited for longer says nothing of now. A session that is silent ends no sooner than that. */
const FRESH = 5_000

/** Bindings that are held; disposing gives them back. */
export interface Hold extends AsyncDisposable {
  readonly fences: readonly Fence[]
  /**
   * Asks the database whether all of them are still held by this session and under these fences.
   *
   * @throws ERR_BINDING_LOST where one is not, or the database does not answer
   */
  assertHeld(): Promise<void>
}

/**
 * Holds of a process share one connection, in which each is a session-level advisory lock: it is free when the process
 * dies, is stopped for 20 s or cannot reach the server for so long. Session locks do not keep a process from what it
 * holds itself: that is kept here.
 *
 * @param holder whom others are told of: host and process
 */
export function bindingHolds(database: Database, { holder }: { readonly holder: string }): Holds {
  return new SharedSession(database, holder)
}

class SharedSession implements Holds {
  readonly #database: Database
  readonly #holder: string
  /** By its text: what is held, or being taken, by this process. */
  readonly #taken = new Set<string>()
  #session: Promise<LockSession> | undefined

  constructor(database: Database, holder: string) {
    this.#database = database
    this.#holder = holder
  }

  async hold(bindings: readonly HeldBinding[]): Promise<Hold> {
    const wanted = sorted(bindings)
    const heldHere = wanted.find((binding) => this.#taken.has(lockText(binding)))
    if (heldHere !== undefined) throw heldError(heldHere, await this.#holderOf(heldHere))
    for (const binding of wanted) this.#taken.add(lockText(binding))
    const forget = (): void => {
      for (const binding of wanted) this.#taken.delete(lockText(binding))
    }
    try {
      const session = await this.#openSession()
      await this.#lock(session, wanted)
      const fences = await this.#raiseFences(session, wanted)
      return new SessionHold(session, fences, async () => {
        await unlock(session, wanted).finally(forget)
      })
    } catch (error) {
      forget()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = await this.#session?.catch(() => undefined)
    this.#session = undefined
    session?.[Symbol.dispose]()
  }

  async #openSession(): Promise<LockSession> {
    const previous = this.#session
    const session = await previous?.catch(() => undefined)
    if (session?.isLost === false) return session
    // another task may have opened the next one meanwhile
    if (this.#session === previous) this.#session = openLockSession(this.#database)
    return (await this.#session) ?? (await this.#openSession())
  }

  /** One after the other, so that of two in opposite orders one gets all; what was got is given back where one is held. */
  async #lock(session: LockSession, wanted: readonly HeldBinding[]): Promise<void> {
    const asked = session.query<{ got: boolean }>(
      `WITH RECURSIVE taken AS (
         SELECT 1 AS place, pg_try_advisory_lock(hashtextextended(($1::text[])[1], 0)) AS got
         UNION ALL
         SELECT place + 1, pg_try_advisory_lock(hashtextextended(($1::text[])[place + 1], 0))
           FROM taken WHERE got AND place < cardinality($1::text[])
       ) SELECT got FROM taken ORDER BY place`,
      [wanted.map(lockText)],
    )
    const { rows } = await asked.catch((error: unknown) => {
      // which of them it has got is not known: they are free with the session
      session[Symbol.dispose]()
      throw error
    })
    const blocked = wanted[rows.findIndex(({ got }) => !got)]
    if (blocked === undefined) return
    await unlock(session, wanted.slice(0, rows.length - 1))
    throw heldError(blocked, await this.#holderOf(blocked))
  }

  async #holderOf({ name, target }: HeldBinding): Promise<Holder | null> {
    const { rows } = await this.#database.query<{ holder: string; since: Date }>(
      "SELECT holder, taken_at AS since FROM keyferry.binding WHERE name = $1 AND target = $2",
      [name, target],
    )
    return rows[0] ?? null
  }

  async #raiseFences(session: LockSession, wanted: readonly HeldBinding[]): Promise<readonly Fence[]> {
    try {
      const { rows } = await session.query<{ name: string; target: string; fence: string }>(
        `INSERT INTO keyferry.binding (name, target, fence, holder, taken_at)
           SELECT name, target, 1, $3, now() FROM unnest($1::text[], $2::text[]) AS wanted (name, target)
           ON CONFLICT (name, target)
             DO UPDATE SET fence = binding.fence + 1, holder = excluded.holder, taken_at = excluded.taken_at
           RETURNING name, target, fence::text AS fence`,
        [wanted.map(({ name }) => name), wanted.map(({ target }) => target), this.#holder],
      )
      return rows
    } catch (error) {
      await unlock(session, wanted).catch(() => undefined)
      throw error
    }
  }
}

class SessionHold implements Hold {
  readonly fences: readonly Fence[]
  readonly #session: LockSession
  readonly #free: () => Promise<void>
  #isOver = false

  constructor(session: LockSession, fences: readonly Fence[], free: () => Promise<void>) {
    this.fences = fences
    this.#session = session
    this.#free = free
  }

  async assertHeld(): Promise<void> {
    for (;;) {
      const asked = performance.now()
      if (this.#isOver || this.#session.isLost || !(await this.#isHeld().catch(() => false)))
        throw bindingLost(this.fences)
      // whoever was stopped with the answer on its way, or did not come to read it, asks again: it may be old
      if (performance.now() - asked < FRESH) return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    await this.#free()
  }

  /** Also where a pool between here and the server has put another session in the place of the one that has the lock. */
  async #isHeld(): Promise<boolean> {
    const { rows } = await this.#session.query<{ held: string }>(
      `SELECT count(*) AS held
         FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS mine (name, target, fence, lock_text)
         JOIN keyferry.binding USING (name, target, fence)
         CROSS JOIN LATERAL (SELECT hashtextextended(mine.lock_text, 0) AS key) AS lock
        WHERE EXISTS (
          SELECT 1 FROM pg_locks
           WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
             AND classid = ((lock.key >> 32) & 4294967295)::oid AND objid = (lock.key & 4294967295)::oid)`,
      [
        this.fences.map(({ name }) => name),
        this.fences.map(({ target }) => target),
        this.fences.map(({ fence }) => fence),
        this.fences.map(lockText),
      ],
    )
    return rows[0]?.held === String(this.fences.length)
  }
}

interface Holder {
  readonly holder: string
  readonly since: Date
}

const lockText = ({ name, target }: HeldBinding): string => `keyferry binding ${name} ${target}`

/** Each once, in the order in which everybody takes them. */
function sorted(bindings: readonly HeldBinding[]): readonly HeldBinding[] {
  const byText = new Map(bindings.map((binding) => [lockText(binding), binding]))
  return [...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, binding]) => binding)
}

/** Of a session that has ended they are free already. */
async function unlock(session: LockSession, bindings: readonly HeldBinding[]): Promise<void> {
  if (session.isLost) return
  try {
    await session.query("SELECT pg_advisory_unlock(hashtextextended(text, 0)) FROM unnest($1::text[]) AS text", [
      bindings.map(lockText),
    ])
  } catch {
    // one that cannot say that they are free any more is ended, and they are
    session[Symbol.dispose]()
  }
}

function heldError({ name, target }: HeldBinding, holder: Holder | null): KeyferryError {
  const words = holder === null ? "another process" : `${holder.holder}, since ${holder.since.toISOString()}`
  return new KeyferryError("ERR_KEY_HELD", `${name} (${target}) is being worked on by ${words}`, { key: name })
}
