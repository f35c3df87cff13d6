import type { CallDeadline } from "../pkcs11/session/call-watch.js"
import type { Deps } from "../app/deps.js"
import type { Fleet } from "../app/fleet/fleet.js"
import type { RebuildPlaces } from "../app/fleet/rebuild-targets.js"
import type { MergeDeps } from "../app/merge/merge.js"
import { KeyferryError } from "../core/base/error.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
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
import type { State } from "./state-records.js"
import { StoredState } from "./stored-state.js"

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
  readonly stored: StoredState
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

  constructor(flags: Flags, surroundings: Surroundings) {
    this.#flags = flags
    this.#surroundings = surroundings
    this.progress = surroundings.progress
    this.log = this.places.inLog(surroundings.log)
    this.lastWords = surroundings.lastWords
    this.stored = new StoredState({ flags, ...surroundings, log: this.log }, this)
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

  /**
   * What the state holds. With `lock` no other run changes it until this world is closed: ask for it before
   * tokens and KMS. With `names` as well, of a state that several processes share those keys alone are held.
   *
   * @throws ERR_STATE_LOCKED, ERR_KEY_HELD, ERR_STATE_*
   */
  async state({ lock, names }: Changes & { readonly lock: boolean }): Promise<State> {
    const { policy, manifest } = await this.settings()
    if (lock) await this.stored.lock(names)
    await (await this.stored.place()).assertWhole()
    const { clock, progress, log } = this
    const { withTagKeys } = await import("./tag-keys.js")
    const records = await this.stored.records()
    return { ...records, inventory: withTagKeys(records.inventory, manifest), clock, progress, log, policy, sleep }
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
    return await fleetOf(settings, { ...state, lock: lock ? this.stored.sharedLock : null }, this)
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

  /** Makes the resource one of this world's, to be closed with it. */
  own<Resource extends AsyncDisposable | Disposable>(resource: Resource): Resource {
    return this.#resources.add(resource)
  }

  /** Closes all but {@link stored}: that a result was told is written down after that. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]()
  }

  async #openToken(name: string | null, quiet: boolean): Promise<CustodialToken | null> {
    const setting = tokenSetting(await this.settings(), name)
    if (setting === null) return null
    const { logIn } = await import("./token.js")
    const { custodialToken } = await import("../app/custody/custodial-token.js")
    const { clock, progress, log } = this
    const { texts, heldWork } = await this.stored.place()
    const retryPin = this.#flags.retryPin ?? false
    const warnOfPin = (text: string): void => (quiet ? undefined : progress.warn(text))
    const login = { ...this.#surroundings, texts, heldWork, retryPin, warnOfPin }
    const token = this.own(await logIn(setting, login))
    return custodialToken({ ...(await this.stored.records()), token, clock, progress, log })
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
        beforeChange: () => this.stored.assertHeld(),
      }),
    )
    this.#tellEndpoint(kms.endpoint)
    return kms
  }

  /** Null where agents share none; no state directory is made for that. @throws ERR_DATABASE_* */
  async #quotas(): Promise<SharedQuotas | null> {
    return (await this.stored.postgres()) === null ? null : (await this.stored.place()).quotas
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
