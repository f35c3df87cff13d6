import { KeyferryError } from "../core/base/error.js"
import type { CustodyProbe } from "../core/key/custody.js"
import { KEY_SPECS, type KeySpec } from "../core/key/key-spec.js"
import type { SearchResult, SourceKey, SourceKeyTemplate, StrayObject } from "../core/key/source-key.js"
import type { PinProvider } from "../core/ports/pin-provider.js"
import type { Token } from "../core/ports/token.js"
import type { VerdictCache } from "../core/ports/verdict-cache.js"
import type { CustodyKey, CustodyKeyTemplate, SealedBytes, SealedMaterial } from "../core/records/sealed-material.js"
import type { WrapCapability, WrappedKeyMaterial, WrapRequest } from "../core/key/wrapping.js"
import type { TokenInfo } from "../core/token/token-info.js"
import { refuseWrite } from "../core/token/write-protection.js"
import type { TokenUri } from "../core/token/token-uri.js"
import type { WrappingKey } from "../core/key/wrapping-key.js"
import { destroyObject, sign } from "./cryptoki/calls.js"
import { restate } from "./cryptoki/errors.js"
import { MECHANISMS } from "./cryptoki/mechanisms.js"
import { CustodyKeys, findCustodyKeys, generateCustodyKey } from "./objects/custody-key.js"
import { generateSourceKey } from "./objects/generation.js"
import { HandleCache } from "./objects/handle-cache.js"
import { lockKey, relabelKey } from "./objects/key-change.js"
import { publicKeyOf } from "./objects/public-key.js"
import { findSourceKeys, type FoundKey, objectsOf, type SearchTerms } from "./objects/source-key.js"
import { Verdicts } from "./probe/verdicts.js"
import { profileOf, type TokenProfile } from "./profiles.js"
import type { CallDeadline } from "./session/call-watch.js"
import { openModule } from "./session/inspect.js"
import { login, pinState } from "./session/login.js"
import { close, openAnchor, sessionLimit } from "./session/anchor.js"
import { chooseToken } from "./session/choose-token.js"
import type { Pkcs11Module } from "./session/module.js"
import { SessionPool } from "./session/pool.js"
import type { TokenSlot } from "./session/slots.js"
import { sealedMechanism, sealKey, unsealKey } from "./wrap/sealed-key.js"
import { planOf, wrapFailure, wrapUnder } from "./wrap/wrap.js"

export interface TokenOptions {
  readonly uri: TokenUri
  /** What NSS wants at C_Initialize; the URI's x-library-parameters where this is not given. */
  readonly libraryParameters?: string
  readonly pin: PinProvider
  readonly deadline?: CallDeadline
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
  const module = openModule(options.uri, options)
  let anchor: OpenedToken["anchor"] | undefined
  try {
    const chosen = chooseToken(module, options.uri)
    const { refusal, warning } = pinState(chosen)
    if (refusal) throw refusal
    if (warning !== null) options.warn?.(warning)
    anchor = openAnchor(chosen)
    const libraryParameters = options.libraryParameters ?? options.uri.libraryParameters
    const { pinHasUser } = options.profile ?? profileOf(chosen.info)
    const { pin: provider, warn } = options
    await login(chosen, anchor.session, { provider, libraryParameters, pinHasUser, module, warn })
    return new Pkcs11Token(options, { module, chosen, anchor })
  } catch (error) {
    if (anchor) close(anchor.session)
    module[Symbol.dispose]()
    throw error
  }
}

/** What the token is used through, once it is open. */
interface OpenedToken {
  readonly module: Pkcs11Module
  readonly chosen: TokenSlot
  /** With the logged-in session. */
  readonly anchor: ReturnType<typeof openAnchor>
}

class Pkcs11Token implements Token {
  readonly info: TokenInfo
  readonly #module: Pkcs11Module
  readonly #pool: SessionPool
  readonly #handles = new HandleCache()
  readonly #custodyKeys = new CustodyKeys(this.#handles)
  readonly #verdicts: Verdicts

  constructor(options: TokenOptions, { module, chosen, anchor }: OpenedToken) {
    const profile = options.profile ?? profileOf(chosen.info)
    const limit = module.locks ? sessionLimit(chosen, options.sessions ?? profile.sessions, anchor) : 0
    this.info = chosen.info
    this.#module = module
    this.#pool = new SessionPool(chosen.slot, anchor.session, { ...anchor, profile, limit })
    this.#verdicts = new Verdicts({
      pool: this.#pool,
      chosen,
      profile,
      cache: options.cache,
      modulePath: module.path,
    })
  }

  get writeProtection(): string | null {
    return this.#pool.writeProtection
  }

  search(terms: SearchTerms = {}): Promise<SearchResult> {
    return this.#pool.search((session, loan) => {
      const { keys, strays } = findSourceKeys(session, terms)
      if (keys.length === 0) loan.confirm()
      for (const key of keys) this.#handles.put(key)
      return { keys: keys.map(({ key }) => key), strays }
    })
  }

  async findSourceKeys(terms: SearchTerms = {}): Promise<readonly SourceKey[]> {
    return (await this.search(terms)).keys
  }

  async findKeys(terms: { readonly id?: string; readonly label?: string }): Promise<readonly SourceKey[]> {
    return (await this.search({ ...terms, anyLabel: true })).keys
  }

  async findOddKeys(terms: { readonly id?: string; readonly label?: string }): Promise<readonly StrayObject[]> {
    return (await this.search({ ...terms, anyLabel: true })).strays
  }

  async generateSourceKey(template: SourceKeyTemplate): Promise<SourceKey> {
    if (template.custody === "sealed") {
      throw new KeyferryError("ERR_BUG", "custody sealed is no custody of an object: a session key is sealed")
    }
    if (template.custody !== "session") this.#refuseWrite(`the source key ${template.label}`, template.label)
    return this.#pool.withSession(async (session, loan) => {
      const make = (): Promise<FoundKey> => generateSourceKey(session, template)
      if (template.custody === "session") {
        const sessionKey = await loan.search(make)
        // a session object dies with the session that made it
        this.#handles.putMade({ ...sessionKey, release: loan.pin() })
        return sessionKey.key
      }
      const tokenKey = await loan.create(make)
      this.#handles.putMade(tokenKey)
      return tokenKey.key
    })
  }

  destroySourceKey(key: Pick<SourceKey, "id" | "label">): Promise<void> {
    return this.#destroyObjects(key)
  }

  #destroyObjects(key: Pick<SourceKey, "id" | "label">): Promise<void> {
    return this.#pool.search((session, loan) => {
      try {
        const objects = this.#handles.take(key) ?? objectsOf(session, key)
        if (objects.length === 0) loan.confirm()
        for (const object of objects) destroyObject(session, object)
      } catch (error) {
        throw restate(error, { key: key.label })
      }
    })
  }

  async relabel(key: SourceKey, newName: { readonly id: string; readonly label: string }): Promise<SourceKey> {
    this.#refuseWrite(`the new name of ${key.label}`, key.label)
    return await this.#pool.create((session) => this.#changed(relabelKey(session, this.#handles, { key, newName })))
  }

  async lock(key: SourceKey): Promise<SourceKey> {
    this.#refuseWrite(`to lock ${key.label}`, key.label)
    return await this.#pool.create((session) => this.#changed(lockKey(session, this.#handles, key)))
  }

  /** What stands against a write from the start; a role that only the token knows of is refused by the token. */
  #refuseWrite(deed: string, key: string): void {
    refuseWrite({ info: this.info, writeProtection: this.#pool.protection }, deed, key)
  }

  #changed(changed: FoundKey): SourceKey {
    this.#handles.put(changed)
    return changed.key
  }

  selfTest(
    requests: readonly WrapRequest[],
    options: { readonly fresh?: boolean } = {},
  ): Promise<readonly WrapCapability[]> {
    return this.#verdicts.selfTest(requests, options)
  }

  probeCustody(
    options: { readonly fresh?: boolean; readonly keySpecs?: readonly KeySpec[] } = {},
  ): Promise<CustodyProbe> {
    return this.#verdicts.probeCustody(options)
  }

  async wrap(key: SourceKey, wrappingKey: WrappingKey, capability: WrapCapability): Promise<WrappedKeyMaterial> {
    const plan = planOf(capability)
    return this.#pool.withSession(async (session, loan) => {
      const { object } = await loan.search(() => this.#handles.locate(session, key))
      try {
        return {
          bytes: await wrapUnder(session, { key: object, publicKey: wrappingKey, plan }),
          wrappingAlgorithm: capability.wrappingAlgorithm,
          wrapPath: plan.path,
          mechanisms: capability.mechanisms,
          wrappingKeyFingerprint: wrappingKey.fingerprint,
        }
      } catch (error) {
        throw wrapFailure(error, key.label)
      }
    })
  }

  publicKey(key: SourceKey): Promise<Uint8Array> {
    return this.#pool.search((session) => {
      const { publicHalf } = this.#handles.locate(session, key)
      if (!publicHalf) throw new KeyferryError("ERR_KEY_NOT_FOUND", "the key has no public half", { key: key.label })
      return publicKeyOf(session, publicHalf, key.keySpec)
    })
  }

  async mac(key: SourceKey, message: Uint8Array): Promise<Uint8Array> {
    const { mac } = KEY_SPECS[key.keySpec]
    if (!mac) throw new KeyferryError("ERR_BUG", `a MAC was asked of a ${key.keySpec} key`, { key: key.label })
    return this.#pool.search((session) => {
      const { object } = this.#handles.locate(session, key)
      const mechanism = { mechanism: MECHANISMS[mac.mechanism] }
      return Uint8Array.from(sign(session, { mechanism, key: object }, Buffer.from(message)))
    })
  }

  async findCustodyKeys(owner: string): Promise<readonly CustodyKey[]> {
    const custodyKeys = await this.#pool.search((session, loan) => {
      const keys = findCustodyKeys(session, owner)
      if (keys.length === 0) loan.confirm()
      return keys
    })
    if (custodyKeys.length === 0) return []
    const { features, mechanism } = await this.#verdicts.custodyKey()
    if (!features.unwrapTemplate || mechanism === null) return custodyKeys.map(({ key }) => key)
    const { probeUnwrapTemplates } = await import("./probe/sealing.js")
    return await probeUnwrapTemplates(this.#pool, custodyKeys, mechanism)
  }

  async generateCustodyKey(template: CustodyKeyTemplate): Promise<CustodyKey> {
    this.#refuseWrite(`the custody key ${template.label}`, template.label)
    const plan = await this.#verdicts.custodyKey()
    return await this.#pool.create((session) => generateCustodyKey(session, template, plan))
  }

  destroyCustodyKey(key: Pick<CustodyKey, "id" | "label">): Promise<void> {
    return this.#destroyObjects(key)
  }

  async seal(key: SourceKey, custodyKeyName: Pick<CustodyKey, "id" | "label">): Promise<SealedBytes> {
    const mechanism = await this.#verdicts.sealing(key)
    return await this.#pool.withSession(async (session, loan) => {
      const custodyKey = await loan.search(() => this.#custodyKeys.locate(session, custodyKeyName))
      const located = await loan.search(() => this.#handles.locate(session, key))
      return await sealKey(session, { custodyKey, mechanism }, { key, located })
    })
  }

  async unseal(sealed: SealedMaterial): Promise<SourceKey> {
    const mechanism = sealedMechanism(sealed)
    return await this.#pool.withSession(async (session, loan) => {
      const custodyKey = await loan.search(() => this.#custodyKeys.locate(session, sealed.custodyKey))
      const { key, object } = await unsealKey(session, { custodyKey, mechanism }, sealed)
      const { publicKey } = sealed.provenance
      this.#handles.putMade({ key, object, publicHalf: null, publicKey, release: loan.pin() })
      return key
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.drain()
    this.#module[Symbol.dispose]()
  }
}
