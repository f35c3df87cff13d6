import { createHash } from "node:crypto"
import {
  type CustodyProbe,
  type EnforcementFacts,
  judgeCustodies,
  judgeSealing,
  type SealingVerdict,
} from "../../core/key/custody.js"
import type { KeySpec } from "../../core/key/key-spec.js"
import type { VerdictCache } from "../../core/ports/verdict-cache.js"
import type { WrapCapability, WrapRequest } from "../../core/key/wrapping.js"
import { KeyferryError } from "../../core/base/error.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { CustodyKeyPlan } from "../objects/custody-key.js"
import { attempt } from "../cryptoki/errors.js"
import { isMechanismName, type MechanismName, MECHANISMS } from "../cryptoki/mechanisms.js"
import { moduleDigest } from "../session/module.js"
import { profileDigest } from "../profiles.js"
import { type Memory, memoryOf, NOTHING, type Remembered } from "./memory.js"
import type { Verdict } from "./self-test.js"
import type { SealingFinding } from "./sealing.js"
import type { SessionPool } from "../session/pool.js"
import type { TokenSlot } from "../session/slots.js"
import type { TokenProfile } from "../profiles.js"

/** Raised when the self-test or the custody probe tests something new, so that what was cached before is void. */
const SELF_TEST_VERSION = 5

/** The token that is judged, and where its verdicts are remembered. */
interface JudgedToken {
  readonly pool: SessionPool
  readonly chosen: TokenSlot
  readonly profile: TokenProfile
  readonly cache: VerdictCache
  readonly modulePath: string
}

/** Of a verdict: made anew, whatever is remembered. */
interface Freshness {
  readonly fresh?: boolean
}

/** Verdicts of the self-test and the custody probe: remembered ones, and new ones where there are none. */
export class Verdicts {
  readonly #token: JudgedToken
  #key: string | undefined
  /** Read once: a run goes by the verdicts that it began with, and those that it adds. */
  #memory: Memory | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(token: JudgedToken) {
    this.#token = token
  }

  selfTest(requests: readonly WrapRequest[], { fresh = false }: Freshness): Promise<readonly WrapCapability[]> {
    return this.#inTurn(() => this.#selfTest(requests, fresh))
  }

  probeCustody(options: Freshness & { readonly keySpecs?: readonly KeySpec[] }): Promise<CustodyProbe> {
    const { fresh = false, keySpecs = [] } = options
    return this.#inTurn(() => this.#probeCustody(fresh, keySpecs))
  }

  /**
   * By what a source key is sealed.
   *
   * @throws ERR_CUSTODY_REFUSED where the token cannot
   */
  async sealing({ keySpec, label }: SourceKey): Promise<MechanismName> {
    const { sealing } = await this.probeCustody({ keySpecs: [keySpec] })
    const verdict = sealing[keySpec]
    const mechanism = verdict?.mechanism ?? ""
    if (verdict?.possible === true && isMechanismName(mechanism)) return mechanism
    const message = `the token cannot seal ${keySpec}: ${verdict?.reason ?? "not probed"}`
    throw new KeyferryError("ERR_CUSTODY_REFUSED", message, { key: label })
  }

  /** By what custody keys seal: proven with AES keys, as they are the ones that every token has. */
  custodyKey(): Promise<CustodyKeyPlan> {
    return this.#inTurn(() => this.#custodyKey())
  }

  /** One after the other, so that of many who ask for one verdict the first tests and the others find it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const verdict = this.#turn.then(work)
    this.#turn = verdict.catch(() => undefined)
    return verdict
  }

  async #selfTest(requests: readonly WrapRequest[], fresh: boolean): Promise<readonly WrapCapability[]> {
    const { wraps } = fresh ? NOTHING : await this.#recall()
    const untested = requests.filter((request) => !(nameOf(request) in wraps))
    const verdicts = untested.length === 0 ? [] : await this.#test(untested)
    return requests.map((request) => {
      const verdict = verdicts[untested.indexOf(request)]?.capability
      const remembered = wraps[nameOf(request)]
      const capability = verdict ?? (remembered && { ...request, ...remembered })
      if (!capability) throw new Error(`no verdict on ${nameOf(request)}`)
      return allowedByPolicy(capability, request)
    })
  }

  async #probeCustody(fresh: boolean, keySpecs: readonly KeySpec[]): Promise<CustodyProbe> {
    const remembered = fresh ? null : (await this.#recall()).custody
    const facts = remembered ?? (await this.#probe())
    // a token that is full or write-protected today may take objects tomorrow
    if (!remembered && facts.tokenObjectsKept !== null) await this.#remember({ custody: facts })
    const sealing: Partial<Record<KeySpec, SealingVerdict>> = {}
    for (const keySpec of keySpecs) sealing[keySpec] = judgeSealing(facts, await this.#sealing(fresh, keySpec))
    return { facts, verdicts: judgeCustodies(facts, sealing.SYMMETRIC_DEFAULT), sealing }
  }

  async #sealing(fresh: boolean, keySpec: KeySpec): Promise<SealingFinding> {
    const remembered = fresh ? undefined : (await this.#recall()).sealing[keySpec]
    if (remembered) return remembered
    const { probeSealing } = await import("./sealing.js")
    const { finding, conclusive } = await probeSealing(this.#token.pool, keySpec)
    if (conclusive) await this.#remember({ sealing: { [keySpec]: finding } })
    return finding
  }

  async #custodyKey(): Promise<CustodyKeyPlan> {
    const { mechanism, reason } = await this.#sealing(false, "SYMMETRIC_DEFAULT")
    const none = { notModifiable: false, allowedMechanisms: false, unwrapTemplate: false }
    if (mechanism === null || !isMechanismName(mechanism)) return { mechanism: null, features: none, reason }
    const remembered = (await this.#recall()).custodyKey
    if (remembered) return { mechanism, features: remembered, reason }
    const { probeCustodyKey } = await import("./sealing.js")
    const features = await probeCustodyKey(this.#token.pool, mechanism)
    await this.#remember({ custodyKey: features })
    return { mechanism, features, reason }
  }

  async #test(requests: readonly WrapRequest[]): Promise<readonly Verdict[]> {
    const { selfTest } = await import("./self-test.js")
    const verdicts = await selfTest(this.#token.pool, requests, this.#listed())
    const lasting = verdicts.filter(({ conclusive }) => conclusive).map(({ capability }) => capability)
    await this.#remember({
      wraps: Object.fromEntries(lasting.map((capability) => [nameOf(capability), fieldsOf(capability)])),
    })
    return verdicts
  }

  /** Loaded when there is no verdict yet, like the self-test. */
  async #probe(): Promise<EnforcementFacts> {
    const { probeCustody } = await import("./custody.js")
    return await probeCustody(this.#token.pool, { native: this.#listed().has(MECHANISMS.CKM_RSA_AES_KEY_WRAP) })
  }

  #listed(): ReadonlySet<number> {
    const { slot } = this.#token.chosen
    return new Set(attempt("C_GetMechanismList", () => slot.lib.C_GetMechanismList(slot.handle)))
  }

  async #recall(): Promise<Memory> {
    this.#memory ??= await this.#stored()
    return this.#memory
  }

  async #stored(): Promise<Memory> {
    return memoryOf(await this.#token.cache.get(this.#cacheKey()))
  }

  async #remember(news: Partial<Memory>): Promise<void> {
    // read again, so that what another process learnt meanwhile is kept
    const before = await this.#stored()
    this.#memory = {
      wraps: { ...before.wraps, ...news.wraps },
      custody: news.custody ?? before.custody,
      sealing: { ...before.sealing, ...news.sealing },
      custodyKey: news.custodyKey ?? before.custodyKey,
    }
    await this.#token.cache.put(this.#cacheKey(), this.#memory)
  }

  /** A digest of all that a verdict depends on. */
  #cacheKey(): string {
    const { label, manufacturer, model, serial, firmwareVersion } = this.#token.chosen.info
    this.#key ??= createHash("sha256")
      .update(
        JSON.stringify([
          SELF_TEST_VERSION,
          moduleDigest(this.#token.modulePath),
          manufacturer,
          model,
          serial,
          label,
          firmwareVersion,
          profileDigest(this.#token.profile),
        ]),
      )
      .digest("hex")
    return this.#key
  }
}

function nameOf({ keySpec, wrappingAlgorithm, wrappingKeySpec }: WrapRequest): string {
  return `${keySpec} ${wrappingAlgorithm} ${wrappingKeySpec}`
}

/** Taken as it is where policy says so; what is remembered is the verdict itself. */
function allowedByPolicy(capability: WrapCapability, { allowShortScalars = false }: WrapRequest): WrapCapability {
  if (!capability.shortScalars || !allowShortScalars) return capability
  const reason = `${capability.reason}; taken, as policy.allowShortScalars is true`
  return { ...capability, usable: true, reason }
}

function fieldsOf({ wrapPath, mechanisms, usable, shortScalars, reason }: WrapCapability): Remembered {
  return { wrapPath, mechanisms, usable, shortScalars, reason }
}
