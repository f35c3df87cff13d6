import { KeyferryError } from "../core/base/error.js"
import type { SharedLock } from "../app/fleet/lanes.js"
import type { PostgresSettings } from "../core/manifest/state-settings.js"
import type { AgentRecords } from "../core/ports/agent-records.js"
import type { TroubledJobs } from "../core/records/dead-letter.js"
import type { StateLock } from "../store/files/lock.js"
import type { RunClock } from "./clock.js"
import type { Places } from "./places.js"
import type { Settings } from "./settings.js"
import type { LockedRun } from "./state-lock.js"
import type { StatePlace } from "./state-place.js"
import type { StateRecords } from "./state-records.js"

/** What of its run the state needs. */
interface RunOfState {
  readonly clock: RunClock
  readonly places: Places
  settings(): Promise<Settings>
  /** The name that the inventory gives the target of the flags. */
  target(): Promise<string>
  /** Closes the resource with the run. */
  own<Resource extends AsyncDisposable | Disposable>(resource: Resource): Resource
}

/** How long a command waits for who holds a key, in ms, where `--lock-timeout` does not say it: a job is soon done. */
const HOLD_PATIENCE = 30_000

/**
 * The state of a run: the place that keeps it, its records, and what others are kept from meanwhile. Nothing is opened
 * before it is asked for. The place is closed last of all, by who ends the run: that a result was told is written there.
 */
export class StoredState implements AsyncDisposable {
  readonly #request: LockedRun
  readonly #run: RunOfState
  #place: Promise<StatePlace> | undefined
  #lock: Promise<StateLock> | undefined
  #records: Promise<StateRecords> | undefined

  constructor(request: LockedRun, run: RunOfState) {
    this.#request = request
    this.#run = run
  }

  /** Where the state is kept; a state directory is made where it is missing. @throws ERR_STATE_*, ERR_DATABASE_* */
  place(): Promise<StatePlace> {
    return (this.#place ??= this.#openPlace())
  }

  /** What the place holds, no lock taken. */
  records(): Promise<StateRecords> {
    return (this.#records ??= this.#openRecords())
  }

  /** The database that the state is in; null where it is in a state directory. */
  async postgres(): Promise<PostgresSettings | null> {
    const { flags, env } = this.#request
    const { postgresOf } = await import("./open-place.js")
    return flags.stateDir === undefined ? postgresOf(await this.#run.settings(), env) : null
  }

  /** What the agent remembers. */
  async agentRecords(): Promise<AgentRecords> {
    const { storedAgentRecords } = await import("../store/records/agent-records.js")
    const { texts } = await this.place()
    return storedAgentRecords(texts, (text) => this.#request.progress.warn(text))
  }

  /** Keeps another agent out, where one alone may work on the state, until the run ends. @throws ERR_STATE_LOCKED, ERR_STATE_WRITE */
  async lockAgent(): Promise<void> {
    const { owner } = await this.#run.settings()
    const place = await this.place()
    this.#run.own(await place.lockAgent(owner))
  }

  /** Jobs that the agents of the database do not try for now, or do not take; none where the state is in a directory. */
  async troubledJobs(): Promise<TroubledJobs> {
    const postgres = await this.postgres()
    if (postgres === null) return { dead: [], untaken: [] }
    const { troubledJobsOf } = await import("./jobs.js")
    return await troubledJobsOf(postgres)
  }

  /**
   * Keeps others from changing the state until the run ends: all of it or, where several processes share it, those keys
   * alone.
   *
   * @throws ERR_STATE_LOCKED, ERR_KEY_HELD, ERR_STATE_*
   */
  async lock(names: readonly string[] | undefined): Promise<void> {
    await (this.#lock ??= this.#lockForRun(names === undefined ? "exclusive" : "shared"))
    if (names !== undefined) await this.#holdNames(names)
  }

  /** Lets others have the state: what comes after only looks. */
  async unlock(): Promise<void> {
    const lock = await this.#lock?.catch(() => null)
    // one that was not to be had is not waited for again
    if (lock === null) return
    this.#lock = undefined
    await lock?.[Symbol.asyncDispose]()
  }

  /**
   * Works on the state with its lock held no longer than that.
   *
   * @param patience how long to wait for another process that has it, in ms, where `--lock-timeout` does not say it
   * @throws ERR_STATE_LOCKED, ERR_STATE_*
   */
  async whileLocked<T>(work: (place: StatePlace) => Promise<T>, patience?: number): Promise<T> {
    const lock = await this.#takeLock("exclusive", patience)
    try {
      return await work(await this.place())
    } finally {
      await lock[Symbol.asyncDispose]()
    }
  }

  /** Does work on the state with its lock; nothing where another run has that, or the state cannot be written. */
  async whenAlone(work: () => Promise<void>): Promise<void> {
    try {
      await (this.#lock ??= this.#lockForRun("shared"))
      await work()
    } catch (error) {
      if (!(error instanceof KeyferryError && error.code.startsWith("ERR_STATE_"))) throw error
    }
  }

  /** The lock of the run, which goes to others in between two keys. */
  get sharedLock(): SharedLock {
    const { progress, log } = this.#request
    return {
      isAwaited: async () => (await this.#lock)?.isAwaited() ?? false,
      passOn: async () => {
        const start = performance.now()
        progress.step("another process waits for the state directory, and has it first")
        log.event("lock.passed-on", {})
        await (await this.#lock)?.passOn()
        log.event("lock.taken-again", { durationMs: Math.round(performance.now() - start) })
        const { vault } = await this.records()
        vault.reread()
      },
    }
  }

  /** Work on a key that is another's by now changes nothing. @throws ERR_BINDING_LOST */
  async assertHeld(): Promise<void> {
    await (await this.#place)?.assertHeld()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const place = await this.#place?.catch(() => undefined)
    await place?.[Symbol.asyncDispose]()
  }

  async #openPlace(): Promise<StatePlace> {
    const { openPlace } = await import("./open-place.js")
    const { clock } = this.#run
    return await openPlace(this.#request.flags, this.#request, { settings: () => this.#run.settings(), clock })
  }

  async #openRecords(): Promise<StateRecords> {
    const { stateRecords } = await import("./state-records.js")
    const { texts, custodyLog, heldWork } = await this.place()
    return stateRecords(texts, this.#run.places.inLines(custodyLog), heldWork)
  }

  async #lockForRun(mode: "shared" | "exclusive"): Promise<StateLock> {
    return this.#run.own(await this.#takeLock(mode))
  }

  /** The state of an earlier keyferry is brought to this version first. */
  async #takeLock(mode: "shared" | "exclusive", patience?: number): Promise<StateLock> {
    const place = await this.place()
    const lock = await place.lock(patience === undefined ? this.#request : { ...this.#request, patience }, mode)
    try {
      // what cannot be written down is found before anything is made (invariant I4)
      const records = await this.records()
      const words = await place.prepare(records)
      await records.custodyLog.check()
      if (words !== null) this.#request.progress.warn(words)
      return lock
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Where the state is shared: against agents and other commands, until the run ends. */
  async #holdNames(names: readonly string[]): Promise<void> {
    const place = await this.place()
    if (place.heldWork === null || names.length === 0) return
    const { bindingsOfNames } = await import("./names-to-hold.js")
    const { lockRequest } = await import("./state-lock.js")
    const { manifest } = await this.#run.settings()
    const { inventory } = await this.records()
    const bindings = await bindingsOfNames(names, { manifest, inventory, target: () => this.#run.target() })
    const { timeout } = lockRequest(this.#request)
    this.#run.own(await place.holdForRun(bindings, timeout ?? HOLD_PATIENCE))
  }
}
