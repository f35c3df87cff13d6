import type { Session as GrapheneSession } from "graphene-pk11"
import { CUSTODIES, type CustodyVerdict, type EnforcementFacts } from "../core/custody.js"
import { type ErrorCode, KeyferryError } from "../core/error.js"
import { KEY_SPECS } from "../core/key-spec.js"
import type {
  PinProvider,
  SearchResult,
  Token,
  VerdictCache,
  WrapCapability,
  WrappedKeyMaterial,
  WrapRequest,
} from "../core/ports.js"
import type { TokenInfo } from "../core/token-info.js"
import type { SourceKey, SourceKeyTemplate } from "../core/source-key.js"
import type { TokenUri } from "../core/token-uri.js"
import type { WrappingKey } from "../core/wrapping-key.js"
import { AttributeReader } from "./attribute.js"
import { destroyObject, type Session, sign } from "./cryptoki.js"
import { ckrOf, restate } from "./error.js"
import { generateSourceKey } from "./generation.js"
import { HandleCache } from "./handle-cache.js"
import { openModule } from "./inspect.js"
import { login, pinState } from "./login.js"
import { isMechanismName, type MechanismName, MECHANISMS } from "./mechanism.js"
import { chooseToken, type Pkcs11Module, type TokenSlot } from "./module.js"
import type { TokenProfile } from "./profile/profile.js"
import { profileOf } from "./profile/profiles.js"
import { publicKeyOf } from "./public-key.js"
import { close, openSession, SessionPool } from "./session.js"
import { findSourceKeys, type FoundKey, objectsOf, type SearchTerms } from "./source-key.js"
import { StoreGate } from "./store-gate.js"
import { Verdicts } from "./verdicts.js"
import { type WrapContext, wrapUnder } from "./wrap.js"

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
    await login(chosen, anchor, options.pin)
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

  constructor(module: Pkcs11Module, chosen: TokenSlot, anchor: GrapheneSession, options: TokenOptions) {
    const profile = options.profile ?? profileOf(chosen.info)
    this.info = chosen.info
    this.#module = module
    this.#pool = new SessionPool(chosen.slot, anchor, sessionLimit(chosen, options.sessions ?? profile.sessions))
    this.#gate = new StoreGate(profile.serialStore)
    this.#context = { profile, reader: new AttributeReader() }
    this.#verdicts = new Verdicts(this.#pool, this.#gate, this.#context, options.cache, module.path, chosen)
  }

  search(by: SearchTerms = {}): Promise<SearchResult> {
    return this.#search((session) => {
      const { keys, strays } = findSourceKeys(session, this.#context.reader, by)
      for (const found of keys) this.#handles.put(found)
      return { keys: keys.map(({ key }) => key), strays }
    })
  }

  async findSourceKeys(by: SearchTerms = {}): Promise<readonly SourceKey[]> {
    return (await this.search(by)).keys
  }

  async generateSourceKey(template: SourceKeyTemplate): Promise<SourceKey> {
    if (!CUSTODIES[template.custody].available) {
      throw new KeyferryError("ERR_CUSTODY_REFUSED", `custody ${template.custody} is not offered in this version`)
    }
    return this.#pool.withSession(async (session, loan) => {
      const stored = template.custody !== "session"
      const make = (): Promise<FoundKey> => generateSourceKey(session, template, this.#context)
      const found = await (stored ? this.#gate.create(make) : this.#gate.search(make))
      // a session object dies with the session that made it
      if (template.custody === "session") loan.pin()
      this.#handles.putOwn(found)
      return found.key
    })
  }

  destroySourceKey(key: Pick<SourceKey, "id" | "label">): Promise<void> {
    return this.#search((session) => {
      try {
        const objects = this.#handles.take(key) ?? objectsOf(session, key)
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
    options: { readonly fresh?: boolean } = {},
  ): Promise<{ facts: EnforcementFacts; verdicts: readonly CustodyVerdict[] }> {
    return this.#verdicts.probeCustody(options.fresh ?? false)
  }

  async wrap(key: SourceKey, under: WrappingKey, capability: WrapCapability): Promise<WrappedKeyMaterial> {
    const plan = { algorithm: capability.wrappingAlgorithm, kwp: kwpOf(capability) }
    return this.#pool.withSession(async (session) => {
      const { object } = await this.#gate.search(() => this.#handles.locate(session, key))
      try {
        const bytes = await wrapUnder(session, object, under, plan, this.#context)
        return {
          bytes,
          wrappingAlgorithm: capability.wrappingAlgorithm,
          wrapPath: plan.kwp === null ? "oaep" : "composed",
          mechanisms: capability.mechanisms,
          wrappingKeyFingerprint: under.fingerprint,
        }
      } catch (error) {
        throw wrapFailure(error, key)
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
  #search<T>(use: (session: Session) => T): Promise<T> {
    return this.#pool.withSession((session) => this.#gate.search(() => use(session)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.drain()
    this.#module[Symbol.dispose]()
  }
}

/** The RFC 5649 mechanism that the self-test proved; null for plain OAEP. */
function kwpOf({ usable, wrapPath, mechanisms, keySpec, wrappingAlgorithm }: WrapCapability): MechanismName | null {
  const [first = ""] = mechanisms
  if (usable && wrapPath === "oaep") return null
  if (usable && wrapPath === "composed" && isMechanismName(first)) return first
  throw new KeyferryError("ERR_BUG", `${wrappingAlgorithm} was not proven for ${keySpec}, and was to be used`)
}

function wrapFailure(error: unknown, key: SourceKey): unknown {
  if (!(error instanceof KeyferryError)) return error
  const [code, message] = WRAP_FAILURES[ckrOf(error) ?? ""] ?? [error.code, error.message]
  return restate(error, code, message, key.label)
}

/** What an answer to C_WrapKey says of the source key. */
const WRAP_FAILURES: Readonly<Record<string, readonly [code: ErrorCode, message: string]>> = {
  CKR_KEY_UNEXTRACTABLE: ["ERR_KEY_NOT_EXTRACTABLE", "the source key's CKA_EXTRACTABLE is false"],
  CKR_KEY_HANDLE_INVALID: ["ERR_KEY_NOT_FOUND", "the source key is in the token no longer"],
  CKR_OBJECT_HANDLE_INVALID: ["ERR_KEY_NOT_FOUND", "the source key is in the token no longer"],
}

/** Sessions to lend besides the anchor: what is wanted, or what CK_TOKEN_INFO leaves. */
function sessionLimit({ token }: TokenSlot, wanted: number): number {
  // CK_EFFECTIVELY_INFINITE, and CK_UNAVAILABLE_INFORMATION as pkcs11js gives it
  const unbounded = (count: number): boolean => count === 0 || count >= 0xffffffff || count < 0
  const bounds = [token.maxSessionCount, token.maxRwSessionCount].filter((count) => !unbounded(count))
  return Math.min(wanted, ...bounds.map((count) => count - 1))
}
