import type { Session as GrapheneSession } from "graphene-pk11"
import { KeyferryError } from "../core/base/error.js"
import { KEY_SPECS, type KeySpec } from "../core/key/key-spec.js"
import type { CustodyProbe } from "../core/key/custody.js"
import type { PinProvider } from "../core/ports/pin-provider.js"
import type { SealedBytes, CustodyKey, CustodyKeyTemplate, SealedMaterial } from "../core/records/sealed-material.js"
import type { SearchResult, SourceKey, SourceKeyTemplate } from "../core/key/source-key.js"
import type { Token } from "../core/ports/token.js"
import type { VerdictCache } from "../core/ports/verdict-cache.js"
import type { WrapCapability, WrappedKeyMaterial, WrapRequest } from "../core/key/wrapping.js"
import type { TokenInfo } from "../core/token/token-info.js"
import type { TokenUri } from "../core/token/token-uri.js"
import type { WrappingKey } from "../core/key/wrapping-key.js"
import { AttributeReader } from "./cryptoki/attributes.js"
import { destroyObject, type Session, sign } from "./cryptoki/calls.js"
import { Custodian } from "./wrap/custodian.js"
import { restate } from "./cryptoki/errors.js"
import { generateSourceKey } from "./objects/generation.js"
import { HandleCache } from "./session/handle-cache.js"
import { openModule } from "./session/inspect.js"
import { lockKey, relabelKey } from "./objects/key-change.js"
import { login, pinState } from "./session/login.js"
import { isMechanismName, MECHANISMS } from "./cryptoki/mechanisms.js"
import { chooseToken, type Pkcs11Module, type TokenSlot } from "./session/module.js"
import type { TokenProfile } from "./profiles.js"
import { profileOf } from "./profiles.js"
import { publicKeyOf } from "./objects/public-key.js"
import { close, type Loan, openSession, SessionPool } from "./session/pool.js"
import { findSourceKeys, type FoundKey, objectsOf, type SearchTerms } from "./objects/source-key.js"
import { StoreGate } from "./session/store-gate.js"
import { Verdicts } from "./probe/verdicts.js"
import { type WrapContext, wrapFailure, type WrapPlan, wrapUnder } from "./wrap/wrap.js"

export interface TokenOptions {
  readonly uri: TokenUri
  /** What NSS wants at C_Initialize; the URI's x-library-parameters where this is not given. */
  readonly libraryParameters?: string
  readonly pin: PinProvider
  readonly cache: VerdictCache
  /** How many sessions to lend at one time; the profile's number unless given. */
  readonly sessions?: number
  readonly profile?: TokenProfile
  readonly warn?: (text: string) => void
}

/**
 * Loads the module, chooses the token, and logs in once; everything that was opened is closed again on failure.
 *
 * @throws ERR_TOKEN_URI_INVALID, ERR_MODULE_UNUSABLE, ERR_TOKEN_*, and what the PIN provider throws
 */
export async function openToken(options: TokenOptions): Promise<Token> {
  const module = openModule(options.uri, options.libraryParameters)
  let anchor: GrapheneSession | undefined
  try {
    const chosen = chooseToken(module, options.uri)
    const { refusal, warning } = pinState(chosen)
    if (refusal) throw refusal
    if (warning !== null) options.warn?.(warning)
    anchor = openSession(chosen.slot)
    await login(chosen, anchor, options.pin, options.libraryParameters ?? options.uri.libraryParameters)
    return new Pkcs11Token(module, chosen, anchor, options)
  } catch (error) {
    if (anchor) close(anchor)
    module[Symbol.dispose]()
    throw error
  }
}

class Pkcs11Token implements Token {
  readonly info: TokenInfo
  readonly #module: Pkcs11Module
  readonly #pool: SessionPool
  readonly #context: WrapContext
  readonly #gate: StoreGate
  readonly #handles = new HandleCache()
  readonly #verdicts: Verdicts
  readonly #custodian: Custodian

  constructor(module: Pkcs11Module, chosen: TokenSlot, anchor: GrapheneSession, options: TokenOptions) {
    const profile = options.profile ?? profileOf(chosen.info)
    this.info = chosen.info
    this.#module = module
    this.#pool = new SessionPool(chosen.slot, anchor, sessionLimit(chosen, options.sessions ?? profile.sessions))
    this.#gate = new StoreGate(profile.serialStore)
    this.#context = { profile, reader: new AttributeReader() }
    this.#verdicts = new Verdicts(this.#pool, this.#gate, this.#context, options.cache, module.path, chosen)
    this.#custodian = new Custodian(this.#pool, this.#gate, this.#context, this.#handles, this.#verdicts)
  }

  search(by: SearchTerms = {}): Promise<SearchResult> {
    return this.#search((session, loan) => {
      const { keys, strays } = findSourceKeys(session, this.#context.reader, by)
      if (keys.length === 0) loan.confirm()
      for (const found of keys) this.#handles.put(found)
      return { keys: keys.map(({ key }) => key), strays }
    })
  }

  async findSourceKeys(by: SearchTerms = {}): Promise<readonly SourceKey[]> {
    return (await this.search(by)).keys
  }

  async generateSourceKey(template: SourceKeyTemplate): Promise<SourceKey> {
    if (template.custody === "sealed") {
      throw new KeyferryError("ERR_BUG", "custody sealed is no custody of an object: a session key is sealed")
    }
    return this.#pool.withSession(async (session, loan) => {
      const stored = template.custody !== "session"
      const make = (): Promise<FoundKey> => generateSourceKey(session, template, this.#context)
      const found = await (stored ? this.#gate.create(make) : this.#gate.search(make))
      // a session object dies with the session that made it
      this.#handles.putOwn(found, template.custody === "session" ? loan.pin() : undefined)
      return found.key
    })
  }

  destroySourceKey(key: Pick<SourceKey, "id" | "label">): Promise<void> {
    return this.#search((session, loan) => {
      try {
        const objects = this.#handles.take(key) ?? objectsOf(session, key)
        if (objects.length === 0) loan.confirm()
        for (const object of objects) destroyObject(session, object)
      } catch (error) {
        throw error instanceof KeyferryError ? restate(error, error.code, error.message, key.label) : error
      }
    })
  }

  selfTest(
    requests: readonly WrapRequest[],
    options: { readonly fresh?: boolean } = {},
  ): Promise<readonly WrapCapability[]> {
    return this.#verdicts.selfTest(requests, options.fresh ?? false)
  }

  probeCustody(
    options: { readonly fresh?: boolean; readonly keySpecs?: readonly KeySpec[] } = {},
  ): Promise<CustodyProbe> {
    return this.#verdicts.probeCustody(options.fresh ?? false, options.keySpecs ?? [])
  }

  findCustodyKeys(owner: string): Promise<readonly CustodyKey[]> {
    return this.#custodian.find(owner)
  }

  generateCustodyKey(template: CustodyKeyTemplate): Promise<CustodyKey> {
    return this.#custodian.generate(template)
  }

  destroyCustodyKey(key: Pick<CustodyKey, "id" | "label">): Promise<void> {
    return this.#custodian.destroy(key)
  }

  seal(key: SourceKey, under: Pick<CustodyKey, "id" | "label">): Promise<SealedBytes> {
    return this.#custodian.seal(key, under)
  }

  unseal(sealed: SealedMaterial): Promise<SourceKey> {
    return this.#custodian.unseal(sealed)
  }

  lock(key: SourceKey): Promise<SourceKey> {
    return this.#change((session) => lockKey(session, key, this.#context, this.#handles))
  }

  async findKeys(by: { readonly id?: string; readonly label?: string }): Promise<readonly SourceKey[]> {
    return await this.#search((session, loan) => {
      const { keys } = findSourceKeys(session, this.#context.reader, by, { anyLabel: true })
      if (keys.length === 0) loan.confirm()
      for (const found of keys) this.#handles.put(found)
      return keys.map(({ key }) => key)
    })
  }

  relabel(key: SourceKey, to: { readonly id: string; readonly label: string }): Promise<SourceKey> {
    return this.#change((session) => relabelKey(session, key, to, this.#context, this.#handles))
  }

  async wrap(key: SourceKey, under: WrappingKey, capability: WrapCapability): Promise<WrappedKeyMaterial> {
    const plan = planOf(capability)
    return this.#pool.withSession(async (session) => {
      const { object } = await this.#gate.search(() => this.#handles.locate(session, key))
      try {
        const bytes = await wrapUnder(session, object, under, plan, this.#context)
        return {
          bytes,
          wrappingAlgorithm: capability.wrappingAlgorithm,
          wrapPath: plan.path,
          mechanisms: capability.mechanisms,
          wrappingKeyFingerprint: under.fingerprint,
        }
      } catch (error) {
        throw wrapFailure(error, key.label)
      }
    })
  }

  publicKey(key: SourceKey): Promise<Uint8Array> {
    return this.#search((session) => {
      const { publicHalf } = this.#handles.locate(session, key)
      if (!publicHalf) throw new KeyferryError("ERR_KEY_NOT_FOUND", "the key has no public half", { key: key.label })
      return publicKeyOf(session, publicHalf, key.keySpec)
    })
  }

  async mac(key: SourceKey, message: Uint8Array): Promise<Uint8Array> {
    const { mac } = KEY_SPECS[key.keySpec]
    if (!mac) throw new KeyferryError("ERR_BUG", `a MAC was asked of a ${key.keySpec} key`, { key: key.label })
    return this.#search((session) => {
      const { object } = this.#handles.locate(session, key)
      const mechanism = { mechanism: MECHANISMS[mac.mechanism] }
      return Uint8Array.from(sign(session, mechanism, object, Buffer.from(message)))
    })
  }

  /** Runs what may search the token's objects. */
  #search<T>(use: (session: Session, loan: Loan) => T): Promise<T> {
    return this.#pool.withSession((session, loan) => this.#gate.search(() => use(session, loan)))
  }

  /** Runs what changes a stored key. */
  async #change(change: (session: Session) => FoundKey): Promise<SourceKey> {
    const found = await this.#pool.withSession((session) => this.#gate.create(() => change(session)))
    this.#handles.put(found)
    return found.key
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.drain()
    this.#module[Symbol.dispose]()
  }
}

/** The path that the self-test proved. */
function planOf(capability: WrapCapability): WrapPlan {
  const { usable, wrapPath, mechanisms, keySpec, wrappingAlgorithm: algorithm } = capability
  const [first = ""] = mechanisms
  if (usable && (wrapPath === "oaep" || wrapPath === "native")) return { algorithm, path: wrapPath, kwp: null }
  if (usable && wrapPath === "composed" && isMechanismName(first)) return { algorithm, path: wrapPath, kwp: first }
  throw new KeyferryError("ERR_BUG", `${algorithm} was not proven for ${keySpec}, and was to be used`)
}

/** Sessions to lend besides the anchor: what is wanted, or what CK_TOKEN_INFO leaves. */
function sessionLimit({ token }: TokenSlot, wanted: number): number {
  // CK_EFFECTIVELY_INFINITE, and CK_UNAVAILABLE_INFORMATION as pkcs11js gives it
  const unbounded = (count: number): boolean => count === 0 || count >= 0xffffffff || count < 0
  const bounds = [token.maxSessionCount, token.maxRwSessionCount].filter((count) => !unbounded(count))
  return Math.min(wanted, ...bounds.map((count) => count - 1))
}
