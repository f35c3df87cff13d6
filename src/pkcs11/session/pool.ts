import type { Session as GrapheneSession, Slot } from "graphene-pk11"
import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import { AttributeReader } from "../cryptoki/attributes.js"
import { RESULT_BYTES, type Session } from "../cryptoki/calls.js"
import { ckrOf, failureText } from "../cryptoki/errors.js"
import type { TokenProfile } from "../profiles.js"
import { close, isWriteRefusal, openSession, stateOf, stateOrClose } from "./anchor.js"
import { assertThere, USER_STATES } from "./health.js"
import { StoreGate } from "./store-gate.js"

/** A session as it is lent, with what is known of its token. */
export interface TokenSession extends Session {
  readonly profile: TokenProfile
  /** Reads key objects, and remembers which attributes the token has. */
  readonly reader: AttributeReader
}

/** Answers after which a session is not lent again: it is gone, or holds an operation that nobody will finish. */
const SPOILED: ReadonlySet<string> = new Set([
  "CKR_HOST_MEMORY",
  "CKR_GENERAL_ERROR",
  "CKR_FUNCTION_FAILED",
  "CKR_DEVICE_ERROR",
  "CKR_DEVICE_REMOVED",
  "CKR_OPERATION_ACTIVE",
  "CKR_SESSION_CLOSED",
  "CKR_SESSION_HANDLE_INVALID",
  "CKR_TOKEN_NOT_PRESENT",
  "CKR_USER_NOT_LOGGED_IN",
  "CKR_CRYPTOKI_NOT_INITIALIZED",
])

/** What a borrower may say of the session. */
export interface Loan {
  /** Keeps the session, and so the objects made in it, until what is returned is called or the pool is disposed. */
  pin(): () => void
  /**
   * For one who found nothing: whether that is to be believed.
   *
   * @throws ERR_TOKEN_UNAVAILABLE where the token or the login is gone
   */
  confirm(): void
  /** Has the session closed on return, for one who went on after failures in it. */
  spoil(): void
  /** Runs what reads the token's objects apart from those who create some; see {@link StoreGate}. */
  search<T>(use: () => T | Promise<T>): Promise<T>
  /** Runs what creates or changes token objects apart from those who read them. */
  create<T>(use: () => T | Promise<T>): Promise<T>
}

type Use<T> = (session: TokenSession, loan: Loan) => T | Promise<T>

interface Open {
  readonly session: TokenSession
  readonly graphene: GrapheneSession
  /** How many session objects it holds that are to outlive the loan; closing it would destroy them. */
  pins: number
}

interface PoolOptions {
  readonly profile: TokenProfile
  /** Sessions besides the anchor, the profile's number unless given; below one the anchor itself is lent. */
  readonly limit?: number
  /** What the anchor shows; see {@link openAnchor}. */
  readonly readOnly?: boolean
  readonly writeProtection?: string | null
}

/**
 * Lends one session at a time. A PKCS #11 session holds at most one running operation, so a session is never shared by
 * concurrent callers; they wait in order. One session, the anchor, is never lent while there can be others: the token
 * logs out when the application's last session closes.
 */
export class SessionPool implements Disposable {
  readonly #slot: Slot
  readonly #anchor: GrapheneSession
  readonly #profile: TokenProfile
  readonly #reader = new AttributeReader()
  readonly #gate: StoreGate
  readonly #idle: Open[] = []
  readonly #waiting: ((open: Open | null) => void)[] = []
  readonly #loggedIn: boolean
  readonly #readOnly: boolean
  /** In words: what the anchor shows to stand against every write; null for nothing. */
  readonly protection: string | null
  /** What the last write was refused with; null after one that went through. */
  #refusedWrite: string | null = null
  #limit: number
  #lent = 0
  #lastReturned: (() => void) | undefined

  constructor(slot: Slot, anchor: GrapheneSession, options: PoolOptions) {
    const { profile, limit = profile.sessions, readOnly = false, writeProtection = null } = options
    this.#slot = slot
    this.#anchor = anchor
    this.#profile = profile
    this.#gate = new StoreGate(profile.serialStore)
    this.#loggedIn = USER_STATES.includes(stateOf(anchor))
    this.#readOnly = readOnly
    this.protection = writeProtection
    this.#limit = Math.max(limit, 1)
    if (limit < 1) this.#idle.push(this.#opened(anchor))
  }

  /** {@link protection}, or what the last write was refused with. */
  get writeProtection(): string | null {
    return this.protection ?? this.#refusedWrite
  }

  /** Runs `use` with a session of its own. */
  async withSession<T>(use: Use<T>): Promise<T> {
    const open = await this.#take()
    let spoiled = false
    try {
      return await use(open.session, {
        pin: () => pinned(open),
        confirm: () => assertThere(open.session, this.#slot, this.#loggedIn),
        spoil: () => (spoiled = true),
        search: (work) => this.#gate.search(work),
        create: (work) => this.#write(work),
      })
    } catch (error) {
      spoiled ||= SPOILED.has(ckrOf(error) ?? "")
      if (isDoubtful(error)) assertThere(open.session, this.#slot, this.#loggedIn)
      throw error
    } finally {
      this.#giveBack(open, spoiled)
    }
  }

  /** Runs what reads the token's objects; see {@link Loan.search}. */
  search<T>(use: Use<T>): Promise<T> {
    return this.withSession((session, loan) => loan.search(() => use(session, loan)))
  }

  /** Runs what creates or changes token objects; see {@link Loan.create}. */
  create<T>(use: Use<T>): Promise<T> {
    return this.withSession((session, loan) => loan.create(() => use(session, loan)))
  }

  async #write<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      const written = await this.#gate.create(work)
      this.#refusedWrite = null
      return written
    } catch (error) {
      if (isWriteRefusal(error)) this.#refusedWrite = failureText(error)
      throw error
    }
  }

  /** Waits until every session is back, then closes them all, the anchor last. */
  async drain(): Promise<void> {
    while (this.#lent > 0) await new Promise<void>((resolve) => (this.#lastReturned = resolve))
    this[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    for (const { graphene } of this.#idle.splice(0)) if (graphene !== this.#anchor) close(graphene)
    close(this.#anchor)
  }

  async #take(): Promise<Open> {
    const idle = this.#idle.pop()
    if (idle) {
      this.#lent++
      return idle
    }
    if (this.#lent < this.#limit) {
      try {
        const open = this.#another()
        if (open) {
          this.#lent++
          return open
        }
      } catch (error) {
        if (ckrOf(error) !== "CKR_SESSION_COUNT") {
          // the room is still there, and nobody else would tell the one who waits for it
          this.#waiting.shift()?.(null)
          throw error
        }
      }
      // the token has fewer than it says; go on with those that it gave
      this.#limit = Math.max(this.#lent, 1)
      if (this.#lent === 0) {
        this.#lent++
        return this.#opened(this.#anchor)
      }
    }
    const open = await new Promise<Open | null>((resolve) => this.#waiting.push(resolve))
    return open ?? this.#take()
  }

  /** Null where the login holds for the anchor alone, against the standard: then that is the one session to be lent. */
  #another(): Open | null {
    const session = openSession(this.#slot, { readOnly: this.#readOnly })
    if (!this.#loggedIn || USER_STATES.includes(stateOrClose(session))) return this.#opened(session)
    try {
      // where the anchor is logged out as well, what is wrong shows in the call that the session is for
      if (!USER_STATES.includes(stateOf(this.#anchor))) return this.#opened(session)
    } catch (error) {
      close(session)
      throw error
    }
    close(session)
    return null
  }

  #giveBack(open: Open, spoiled: boolean): void {
    const next = this.#waiting.shift()
    if (spoiled && open.graphene !== this.#anchor && !(open.pins > 0 && alive(open))) {
      close(open.graphene)
      this.#lent--
      next?.(null)
    } else if (next) {
      next(open)
    } else {
      this.#lent--
      this.#idle.push(open)
    }
    if (this.#lent === 0) this.#lastReturned?.()
  }

  #opened(graphene: GrapheneSession): Open {
    const session = {
      lib: this.#slot.lib,
      handle: graphene.handle,
      result: Buffer.alloc(RESULT_BYTES),
      profile: this.#profile,
      reader: this.#reader,
    }
    return { session, graphene, pins: 0 }
  }
}

/** What a token that is gone may cause: what it says then is no fact about keys. */
const DOUBTFUL: ReadonlySet<ErrorCode> = new Set([
  "ERR_CUSTODY_KEY_MISSING",
  "ERR_KEY_ATTRIBUTES",
  "ERR_KEY_NOT_FOUND",
  "ERR_SEALED_UNREADABLE",
  "ERR_TOKEN_OTHER",
])

function isDoubtful(error: unknown): boolean {
  return error instanceof KeyferryError && DOUBTFUL.has(error.code)
}

function pinned(open: Open): () => void {
  open.pins++
  let held = true
  return () => {
    if (held) open.pins--
    held = false
  }
}

function alive({ session }: Open): boolean {
  try {
    session.lib.C_GetSessionInfo(session.handle)
    return true
  } catch {
    return false
  }
}
