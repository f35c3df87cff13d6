import type { CallDeadline } from "../pkcs11/session/call-watch.js"
import type { Deps } from "../app/deps.js"
import type { Fleet } from "../app/fleet/fleet.js"
import type { SharedLock } from "../app/fleet/lanes.js"
import type { RebuildPlaces } from "../app/fleet/rebuild-targets.js"
import type { MergeDeps } from "../app/merge/merge.js"
import { KeyferryError } from "../core/base/error.js"
import type { PostgresSettings } from "../core/manifest/state-settings.js"
import type { AgentRecords } from "../core/ports/agent-records.js"
import type { TroubledJobs } from "../core/records/dead-letter.js"
import type { StateBackup } from "../core/records/state-backup.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
import type { StateCopy } from "../core/ports/state-copy.js"
import type { Kms } from "../core/ports/kms.js"
import type { SharedQuotas } from "../core/ports/shared-quotas.js"
import type { Progress } from "../core/ports/progress.js"
import type { Log } from "../core/ports/log.js"
import { RunClock, sleep } from "./clock.js"
import { Places } from "./places.js"
import { Resources } from "./resources.js"
import {
  type Env,
  type Flags,
  type KmsSetting,
  kmsSetting,
  readSettings,
  type Settings,
  settingsForMany,
  settingsWithoutFile,
  tokenSetting,
} from "./settings.js"
import type { KeyHistoryLine } from "../store/records/history-line.js"
import type { StateLock } from "../store/files/lock.js"
import type { StatePlace } from "./state-place.js"
import type { State, StateRecords } from "./state-records.js"

/** What a run knows of the process. */
export interface Surroundings {
  readonly env: Env
  readonly progress: Progress
  readonly log: Log
  /** Words of the command, for the state directory's lock. */
  readonly command: string
  /** Renders a failure that ends the process from outside, as a call that hangs does; see {@link CallDeadline}. No deadline is kept without. */
  readonly lastWords?: CallDeadline["lastWords"]
  /** What flags, configuration and environment say, where it was read before. */
  readonly settings?: Settings
}

/** What a command changes; all of the state where `names` is left out. */
interface Changes {
  readonly names?: readonly string[]
}

interface LockWish {
  readonly mode: "shared" | "exclusive"
  /** In ms. */
  readonly patience?: number | undefined
}

/** How long a command waits for who holds a key, in ms, where `--lock-timeout` does not say it: a job is soon done. */
const HOLD_PATIENCE = 30_000

export type WithoutKms = State & Pick<Deps, "token">
export type WithoutToken = State & Pick<Deps, "kms" | "kmsIn">

/** The world of one command line. Nothing is read or opened before it is asked for. */
export function openWorld(flags: Flags, surroundings: Surroundings): World {
  return new World(flags, surroundings)
}

/**
 * Settings, state directory, tokens and KMS of a run: each is opened when it is first asked for, once, also where that
 * fails (a refused PIN is not presented again), and closed in the reverse order with the world. Tokens and targets go by
 * the manifest's names; null stands for the one that flags and environment name. What is heavy is loaded when it is
 * asked for.
 */
export class World implements AsyncDisposable {
  readonly clock = new RunClock()
  readonly places = new Places()
  readonly progress: Progress
  readonly log: Log
  readonly #flags: Flags
  readonly lastWords: Surroundings["lastWords"]
  readonly #surroundings: Surroundings
  readonly #resources = new Resources()
  readonly #tokens = new Map<string | null, Promise<CustodialToken | null>>()
  readonly #kms = new Map<string, Promise<Kms>>()
  readonly #toldEndpoints = new Set<string>()
  /** Whether many keys are looked at, and nothing is changed. */
  #onlyLooks = false
  #settings: Promise<Settings> | undefined
  #place: Promise<StatePlace> | undefined
  #lock: Promise<StateLock> | undefined
  #records: Promise<StateRecords> | undefined

  constructor(flags: Flags, surroundings: Surroundings) {
    this.#flags = flags
    this.#surroundings = surroundings
    this.progress = surroundings.progress
    this.log = this.places.inLog(surroundings.log)
    this.lastWords = surroundings.lastWords
    if (surroundings.settings !== undefined) this.#settings = Promise.resolve(surroundings.settings)
  }

  /** @throws ERR_CONFIG_INVALID */
  settings(): Promise<Settings> {
    return (this.#settings ??= readSettings(this.#flags, this.#surroundings.env))
  }

  /** Goes on with what flags and environment say, whatever is wrong with the configuration file. */
  settingsWithoutFile(): Promise<Settings> {
    return (this.#settings = Promise.resolve(settingsWithoutFile(this.#flags, this.#surroundings.env)))
  }

  /** Where the state is kept; a state directory is made where it is missing. @throws ERR_STATE_*, ERR_DATABASE_* */
  place(): Promise<StatePlace> {
    return (this.#place ??= this.#openPlace())
  }

  /** The database that the state is in; null where it is in a state directory. */
  async postgres(): Promise<PostgresSettings | null> {
    const { postgresOf } = await import("./open-place.js")
    return this.#flags.stateDir === undefined ? postgresOf(await this.settings(), this.#surroundings.env) : null
  }

  /**
   * What the state holds. With `lock` no other run changes it until this world is closed: ask for it before
   * tokens and KMS. With `names` as well, of a state that several processes share those keys alone are held.
   *
   * @throws ERR_STATE_LOCKED, ERR_KEY_HELD, ERR_STATE_*
   */
  async state({ lock, names }: Changes & { readonly lock: boolean }): Promise<State> {
    const { policy, manifest } = await this.settings()
    if (lock) await (this.#lock ??= this.#lockState(names === undefined ? "exclusive" : "shared"))
    if (lock && names !== undefined) await this.#holdNames(names)
    await (await this.place()).assertWhole()
    const { clock, progress, log } = this
    const { withTagKeys } = await import("./tag-keys.js")
    const records = await this.#stateRecords()
    return { ...records, inventory: withTagKeys(records.inventory, manifest), clock, progress, log, policy, sleep }
  }

  /** When the state was last exported. */
  async backup(): Promise<StateBackup> {
    return await (await this.place()).backup()
  }

  /**
   * Works on the state with its lock held no longer than that.
   *
   * @param patience how long to wait for another process that has it, in ms, where `--lock-timeout` does not say it
   * @throws ERR_STATE_LOCKED, ERR_STATE_*
   */
  async whileLocked<T>(work: (place: StatePlace) => Promise<T>, patience?: number): Promise<T> {
    const lock = await this.#takeLock({ mode: "exclusive", patience })
    try {
      return await work(await this.place())
    } finally {
      await lock[Symbol.asyncDispose]()
    }
  }

  /**
   * A logged-in token. With `quiet` it is for who asks to say what is wrong with its PIN.
   *
   * @throws ERR_USAGE where none is given, ERR_TOKEN_*, ERR_PIN_*
   */
  async token(name: string | null = null, options?: { readonly quiet: boolean }): Promise<CustodialToken> {
    const token = await this.tokenIfGiven(name, options)
    if (token === null) throw noToken()
    return token
  }

  /** A logged-in token; null where none is given. */
  tokenIfGiven(name: string | null = null, { quiet = false } = {}): Promise<CustodialToken | null> {
    const token = this.#tokens.get(name) ?? this.#openToken(name, quiet)
    this.#tokens.set(name, token)
    return token
  }

  /** KMS of a target, in its own Region or in another. Nothing is sent until it is used. @throws ERR_KMS_* */
  async kms(target: string | null = null, region?: string): Promise<Kms> {
    const setting = kmsSetting(await this.settings(), target)
    const place = { ...setting, region: region ?? setting.region }
    const key = JSON.stringify([target, place.region])
    const kms = this.#kms.get(key) ?? this.#openKms(place, target)
    this.#kms.set(key, kms)
    return await kms
  }

  /** The name that the inventory gives the target of the flags: the manifest's or, without one, its Region. */
  async target(): Promise<string> {
    return kmsSetting(await this.settings()).name ?? (await this.kms()).region
  }

  /**
   * Everything for one key, the state locked. Of `names` nothing but those keys is changed: where the state is shared
   * they alone are held.
   *
   * @throws ERR_USAGE where no token is given, ERR_KEY_HELD, and as its parts do
   */
  async deps(changes: Changes = {}): Promise<Deps> {
    await this.#refuseWithoutToken()
    const deps = await this.withoutToken(changes)
    return { ...deps, token: await this.token() }
  }

  /** Everything but KMS. With `lock: false` the state is read only. */
  async withoutKms({ lock = true, ...changes }: Changes & { readonly lock?: boolean } = {}): Promise<WithoutKms> {
    await this.#refuseWithoutToken()
    const state = await this.state({ lock, ...changes })
    return { ...state, token: await this.token() }
  }

  /** Everything but a token, the state locked. KMS comes first: what is wrong with flags shows before a PIN is read. */
  async withoutToken(changes: Changes = {}): Promise<WithoutToken> {
    kmsSetting(await this.settings())
    const state = await this.state({ lock: true, ...changes })
    const kms = await this.kms()
    return {
      ...state,
      kms,
      kmsIn: async (region) => (region === kms.region ? kms : await this.kms(null, region)),
    }
  }

  /**
   * The manifest's keys with their tokens and targets; without a configuration file the keys of the inventory, with the
   * token and the credentials that flags name. `--target` and `--region` leave the keys of other targets out.
   *
   * @throws ERR_CONFIG_INVALID, ERR_USAGE, ERR_STATE_LOCKED, ERR_STATE_INVALID
   */
  async fleet({ lock }: { readonly lock: boolean }): Promise<Fleet> {
    const settings = settingsForMany(await this.settings())
    this.#settings = Promise.resolve(settings)
    const { fleetOf } = await import("./fleet.js")
    // each key is held while it is worked on
    const state = await this.state({ lock, names: [] })
    this.#onlyLooks = !lock
    return await fleetOf(settings, { ...state, lock: lock ? this.#sharedLock() : null }, this)
  }

  /** What `state merge` works with, the state locked; KMS is asked only where two copies rotated one key. */
  async mergeDeps(): Promise<MergeDeps> {
    const state = await this.state({ lock: true })
    const hasTargets = (await this.settings()).manifest !== null
    // without a manifest a target has its Region's name
    return { ...state, kmsOf: async (target, region) => await this.kms(hasTargets ? target : null, region) }
  }

  /** What `status --rebuild` works with, the state locked: every target and token, or those that flags name. */
  async rebuildPlaces(): Promise<RebuildPlaces> {
    const { rebuildPlacesOf } = await import("./rebuild-places.js")
    return await rebuildPlacesOf(await this.settings(), this.#flags, this)
  }

  /** A copy of the state directory, to be read. @throws ERR_INPUT_UNREADABLE, ERR_USAGE, ERR_STATE_VERSION */
  async copyOf(dir: string): Promise<StateCopy> {
    return await (await this.place()).copyOf(dir)
  }

  /** Lets others have the state directory: what comes after only looks. */
  async unlock(): Promise<void> {
    const lock = await this.#lock?.catch(() => null)
    // one that was not to be had is not waited for again
    if (lock === null) return
    this.#lock = undefined
    await lock?.[Symbol.asyncDispose]()
  }

  /** What the agent remembers. */
  async agentRecords(): Promise<AgentRecords> {
    const { storedAgentRecords } = await import("../store/records/agent-records.js")
    const { texts } = await this.place()
    return storedAgentRecords(texts, (text) => this.progress.warn(text))
  }

  /** Keeps another agent out, where one alone may work on the state, until this world is closed. @throws ERR_STATE_LOCKED, ERR_STATE_WRITE */
  async lockAgent(): Promise<void> {
    const { owner } = await this.settings()
    this.own(await (await this.place()).lockAgent(owner))
  }

  /** Jobs that the agents of the database do not try for now, or do not take; none where the state is in a directory. */
  async troubledJobs(): Promise<TroubledJobs> {
    const postgres = await this.postgres()
    if (postgres === null) return { dead: [], untaken: [] }
    const { troubledJobsOf } = await import("./jobs.js")
    return await troubledJobsOf(postgres)
  }

  /** The newest lines of the custody log about a name, newest first. */
  async history(name: string, most: number): Promise<readonly KeyHistoryLine[]> {
    return (await this.histories(new Set([name]), most)).get(name) ?? []
  }

  /** The same of many names, for which the log is read once. */
  async histories(names: ReadonlySet<string>, limit: number): Promise<ReadonlyMap<string, readonly KeyHistoryLine[]>> {
    return await (await this.place()).histories(names, limit)
  }

  /** Does work on the state with its lock; nothing where another run has that, or the state cannot be written. */
  async whenAlone(work: () => Promise<void>): Promise<void> {
    try {
      await (this.#lock ??= this.#lockState("shared"))
      await work()
    } catch (error) {
      if (!(error instanceof KeyferryError && error.code.startsWith("ERR_STATE_"))) throw error
    }
  }

  /** Makes the resource one of this world's, to be closed with it. */
  own<Resource extends AsyncDisposable | Disposable>(resource: Resource): Resource {
    return this.#resources.add(resource)
  }

  /** Closes all but the place of the state: that a result was told is written down after that. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]()
  }

  /** Closes the place of the state, last of all. */
  async release(): Promise<void> {
    const place = await this.#place?.catch(() => undefined)
    await place?.[Symbol.asyncDispose]()
  }

  async #openPlace(): Promise<StatePlace> {
    const { openPlace } = await import("./open-place.js")
    return await openPlace(this.#flags, this.#surroundings, { settings: () => this.settings(), clock: this.clock })
  }

  async #lockState(mode: "shared" | "exclusive"): Promise<StateLock> {
    return this.own(await this.#takeLock({ mode }))
  }

  /** Where the state is shared: against agents and other commands, until this world is closed. */
  async #holdNames(names: readonly string[]): Promise<void> {
    const place = await this.place()
    if (place.heldWork === null || names.length === 0) return
    const { bindingsOfNames } = await import("./names-to-hold.js")
    const { lockRequest } = await import("./state-lock.js")
    const { manifest } = await this.settings()
    const { inventory } = await this.#stateRecords()
    const bindings = await bindingsOfNames(names, { manifest, inventory, target: () => this.target() })
    const { timeout } = lockRequest({ flags: this.#flags, ...this.#surroundings })
    this.own(await place.holdForRun(bindings, timeout ?? HOLD_PATIENCE))
  }

  /** The state of an earlier keyferry is brought to this version first. */
  async #takeLock({ mode, patience }: LockWish): Promise<StateLock> {
    const place = await this.place()
    const run = { flags: this.#flags, ...this.#surroundings }
    const lock = await place.lock(patience === undefined ? run : { ...run, patience }, mode)
    try {
      // what cannot be written down is found before anything is made (invariant I4)
      const records = await this.#stateRecords()
      const words = await place.prepare(records)
      await records.custodyLog.check()
      if (words !== null) this.progress.warn(words)
      return lock
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  #sharedLock(): SharedLock {
    return {
      isAwaited: async () => (await this.#lock)?.isAwaited() ?? false,
      passOn: async () => {
        const start = performance.now()
        this.progress.step("another process waits for the state directory, and has it first")
        this.log.event("lock.passed-on", {})
        await (await this.#lock)?.passOn()
        this.log.event("lock.taken-again", { durationMs: Math.round(performance.now() - start) })
        const { vault } = await this.#stateRecords()
        vault.reread()
      },
    }
  }

  #stateRecords(): Promise<StateRecords> {
    return (this.#records ??= this.#openStateRecords())
  }

  async #openStateRecords(): Promise<StateRecords> {
    const { stateRecords } = await import("./state-records.js")
    const { texts, custodyLog, heldWork } = await this.place()
    return stateRecords(texts, this.places.inLines(custodyLog), heldWork)
  }

  async #openToken(name: string | null, quiet: boolean): Promise<CustodialToken | null> {
    const setting = tokenSetting(await this.settings(), name)
    if (setting === null) return null
    const { logIn } = await import("./token.js")
    const { custodialToken } = await import("../app/custody/custodial-token.js")
    const { clock, progress, log } = this
    const { texts, heldWork } = await this.place()
    const retryPin = this.#flags.retryPin ?? false
    const warnOfPin = (text: string): void => (quiet ? undefined : progress.warn(text))
    const login = { ...this.#surroundings, texts, heldWork, retryPin, warnOfPin }
    const token = this.own(await logIn(setting, login))
    return custodialToken({ ...(await this.#stateRecords()), token, clock, progress, log })
  }

  /** An endpoint that the environment named is said aloud (invariant I3). */
  async #openKms(setting: KmsSetting, nameOfTarget: string | null): Promise<Kms> {
    const { openTarget } = await import("./target.js")
    const { clock, log, places } = this
    const kms = this.own(
      await openTarget(setting, {
        clock,
        log,
        places,
        env: this.#surroundings.env,
        nameOfTarget,
        quotas: await this.#quotas(),
        // work on a key that is another's by now sends nothing that changes it
        beforeChange: async () => (await this.#place)?.assertHeld(),
      }),
    )
    this.#tellEndpoint(kms.endpoint)
    return kms
  }

  /** Null where agents share none; no state directory is made for that. @throws ERR_DATABASE_* */
  async #quotas(): Promise<SharedQuotas | null> {
    return (await this.postgres()) === null ? null : (await this.place()).quotas
  }

  /** Before anything is sent there, once; what only looks tells all places at its end. */
  #tellEndpoint(endpoint: Kms["endpoint"]): void {
    if (endpoint === null || this.#onlyLooks || this.#toldEndpoints.has(endpoint.url)) return
    this.#toldEndpoints.add(endpoint.url)
    this.progress.step(`KMS endpoint ${endpoint.url}, named by ${endpoint.origin}`)
  }

  /** Before anything is opened for it. */
  async #refuseWithoutToken(): Promise<void> {
    if (tokenSetting(await this.settings()) === null) throw noToken()
  }
}

function noToken(): KeyferryError {
  return new KeyferryError("ERR_USAGE", "no token is given", {
    hint: "give --token 'pkcs11:token=LABEL?module-path=PATH', or set KEYFERRY_TOKEN; `keyferry token list --module PATH` shows what is there",
  })
}
