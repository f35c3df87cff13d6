import type { SealedBytes, CustodyKey, CustodyKeyTemplate, SealedMaterial } from "../../core/records/sealed-material.js"
import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS } from "../../core/key/key-spec.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { KeyObjectFacts } from "../cryptoki/attributes.js"
import { destroyObject, type Handle, RESULT_BYTES, type Session, withObjects } from "../cryptoki/calls.js"
import {
  custodyKeyFlaws,
  findCustodyKeys,
  type FoundCustodyKey,
  generateCustodyKey,
  readCustodyKey,
} from "../objects/custody-key.js"
import { ckrOf, restate } from "../cryptoki/errors.js"
import type { HandleCache } from "../session/handle-cache.js"
import { isMechanismName, type MechanismName } from "../cryptoki/mechanisms.js"
import { publicKeyOf } from "../objects/public-key.js"
import { fitsPublicKey, sealedLength, sealUnder, type Unsealed, type UnsealedShape, unsealUnder } from "./seal.js"
import type { SessionPool } from "../session/pool.js"
import { describeKey, identify, objectsOf } from "../objects/source-key.js"
import type { StoreGate } from "../session/store-gate.js"
import type { Verdicts } from "../probe/verdicts.js"
import { type WrapContext, wrapFailure } from "./wrap.js"

type CustodyKeyName = Pick<CustodyKey, "id" | "label">

/** Custody keys of one token, and what is sealed under them. */
export class Custodian {
  readonly #pool: SessionPool
  readonly #gate: StoreGate
  readonly #context: WrapContext
  readonly #handles: HandleCache
  readonly #verdicts: Verdicts
  /** By handle: what was read of a custody key, which nobody can change without making another. */
  readonly #read = new Map<string, CustodyKey>()
  /** SubjectPublicKeyInfo of unsealed pairs, which have no public half in the token: NSS wants its point to unseal. */
  readonly #publicKeys = new WeakMap<SourceKey, Uint8Array>()

  constructor(pool: SessionPool, gate: StoreGate, context: WrapContext, handles: HandleCache, verdicts: Verdicts) {
    this.#pool = pool
    this.#gate = gate
    this.#context = context
    this.#handles = handles
    this.#verdicts = verdicts
  }

  async find(owner: string): Promise<readonly CustodyKey[]> {
    const found = await this.#pool.withSession(async (session, loan) => {
      const keys = await this.#gate.search(() => findCustodyKeys(session, owner, this.#context))
      if (keys.length === 0) loan.confirm()
      return keys
    })
    if (found.length === 0) return []
    const { features, mechanism } = await this.#verdicts.custodyKey()
    if (!features.unwrapTemplate || mechanism === null) return found.map(({ key }) => key)
    const { holdsUnwrapTemplate } = await import("../probe/sealing.js")
    return await this.#pool.withSession((session) =>
      withObjects(session, async (own) => {
        const keys: CustodyKey[] = []
        for (const { key, object } of found) {
          const unwrapTemplate = await holdsUnwrapTemplate(session, object, mechanism, this.#context, own)
          keys.push({ ...key, unwrapTemplate })
        }
        return keys
      }),
    )
  }

  async generate(wanted: CustodyKeyTemplate): Promise<CustodyKey> {
    const { features, mechanism, reason } = await this.#verdicts.custodyKey()
    if (mechanism === null) throw refused(`the token cannot seal keys: ${reason}`, wanted.label)
    return await this.#pool.withSession((session) =>
      this.#gate.create(async () => {
        const { key } = await generateCustodyKey(session, wanted, { mechanism, features }, this.#context)
        return key
      }),
    )
  }

  async destroy(name: CustodyKeyName): Promise<void> {
    await this.#pool.withSession((session, loan) =>
      this.#gate.search(() => {
        this.#handles.take(name)
        const objects = objectsOf(session, name)
        if (objects.length === 0) loan.confirm()
        for (const object of objects) destroyObject(session, object)
      }),
    )
  }

  async seal(key: SourceKey, under: CustodyKeyName): Promise<SealedBytes> {
    const { sealing } = await this.#verdicts.probeCustody(false, [key.keySpec])
    const verdict = sealing[key.keySpec]
    const mechanism = verdict?.mechanism ?? ""
    if (verdict?.possible !== true || !isMechanismName(mechanism)) {
      throw refused(`the token cannot seal ${key.keySpec}: ${verdict?.reason ?? "not probed"}`, key.label)
    }
    return await this.#pool.withSession(async (session) => {
      const custodyKey = await this.#locate(session, under)
      const flaws = custodyKeyFlaws(custodyKey.key.attributes)
      if (flaws.length > 0) {
        const message = `${under.label} is no custody key to seal under: ${flaws.join(", ")}`
        throw new KeyferryError("ERR_CUSTODY_REFUSED", message, { key: key.label })
      }
      const { object, publicHalf } = await this.#gate.search(() => this.#handles.locate(session, key))
      const publicKey = publicHalf ? publicKeyOf(session, publicHalf, key.keySpec) : (this.#publicKeys.get(key) ?? null)
      try {
        const ciphertext = await sealUnder(session, custodyKey.object, object, key.keySpec, mechanism)
        // what does not come back now would be missed when it is needed
        const shape = { ...shapeOf(key), publicKey }
        const again = await this.#open(session, custodyKey.object, ciphertext, mechanism, shape, key)
        destroyObject(session, again.object)
        return { ciphertext: Uint8Array.from(ciphertext), mechanism }
      } catch (error) {
        throw wrapFailure(error, key.label)
      }
    })
  }

  async unseal(sealed: SealedMaterial): Promise<SourceKey> {
    const { ciphertext, mechanism, custodyKey: name, label, provenance } = sealed
    if (!isMechanismName(mechanism) || ciphertext.length < 16 || ciphertext.length > RESULT_BYTES) {
      throw unreadable(label, `${ciphertext.length} bytes by ${mechanism} are no sealed key`)
    }
    return await this.#pool.withSession(async (session, loan) => {
      const custodyKey = await this.#locate(session, name)
      if (differ(name.kcv, custodyKey.key.kcv)) {
        const words = `the token's ${name.label} is another key (KCV ${custodyKey.key.kcv ?? "none"}, not ${name.kcv ?? "none"})`
        throw unreadable(label, words)
      }
      const { attributes } = provenance
      const shape = { ...shapeOf(sealed), publicKey: provenance.publicKey }
      const trusted = attributes.wrapWithTrusted === true
      const known = { kcv: provenance.kcv }
      const whole = { ...shape, wrapWithTrusted: trusted }
      const unsealed = await this.#open(session, custodyKey.object, ciphertext, mechanism, whole, known)
      // SoftHSM tells no length of an unwrapped generic secret: the length of what was unwrapped has told it
      const told = unsealed.facts.valueLength ?? 0
      const facts = { ...unsealed.facts, valueLength: told > 0 ? told : lengthOf(sealed) }
      const key = describeKey(facts, provenance.publicKey)
      if (key?.keySpec !== sealed.keySpec) {
        destroyObject(session, unsealed.object)
        throw unreadable(label, `it comes out as ${key?.keySpec ?? "a key of no key spec"}, not ${sealed.keySpec}`)
      }
      if (provenance.publicKey !== null) this.#publicKeys.set(key, provenance.publicKey)
      this.#handles.putOwn({ key, object: unsealed.object, publicHalf: null }, loan.pin())
      return key
    })
  }

  /** Unseals, and compares with what was known of the key before. */
  async #open(
    session: Session,
    custodyKey: Handle,
    ciphertext: Uint8Array,
    mechanism: MechanismName,
    shape: UnsealedShape,
    known: Pick<SourceKey, "kcv">,
  ): Promise<Unsealed> {
    let unsealed: Unsealed
    try {
      unsealed = await unsealUnder(session, custodyKey, ciphertext, mechanism, shape, this.#context)
    } catch (error) {
      const code = ckrOf(error) ?? ""
      if (!UNREADABLE.has(code) && !(VAGUE.has(code) && isThere(session, custodyKey))) throw error
      throw unreadable(shape.label, `the token cannot unseal it (C_UnwrapKey: ${code})`, error)
    }
    const fits =
      !differ(known.kcv, kcvOf(unsealed.facts)) &&
      (shape.publicKey === null || fitsPublicKey(unsealed.facts, shape.publicKey))
    if (fits) return unsealed
    destroyObject(session, unsealed.object)
    throw unreadable(shape.label, "it opens to another key than the one that was sealed")
  }

  async #locate(session: Session, name: CustodyKeyName): Promise<FoundCustodyKey> {
    return await this.#gate.search(() => {
      const object = this.#locateObject(session, name)
      const handle = object.toString("hex")
      const key = this.#read.get(handle) ?? readCustodyKey(session, object, this.#context)
      if (key === undefined) throw missing(name, "is no AES-256 key")
      this.#read.set(handle, key)
      return { key, object }
    })
  }

  #locateObject(session: Session, name: CustodyKeyName): Handle {
    try {
      return this.#handles.locate(session, { ...name, keySpec: "SYMMETRIC_DEFAULT" }).object
    } catch (error) {
      if (!(error instanceof KeyferryError) || error.code !== "ERR_KEY_NOT_FOUND") throw error
      throw missing(name, "is not in the token")
    }
  }
}

/** Answers of C_UnwrapKey that are about the ciphertext (PKCS #11 v3.1 section 5.18.4). */
const UNREADABLE: ReadonlySet<string> = new Set([
  "CKR_ENCRYPTED_DATA_INVALID",
  "CKR_ENCRYPTED_DATA_LEN_RANGE",
  "CKR_WRAPPED_KEY_INVALID",
  "CKR_WRAPPED_KEY_LEN_RANGE",
])
/** SoftHSM and openCryptoki answer so to a ciphertext that does not open, and to any other fault. */
const VAGUE: ReadonlySet<string> = new Set(["CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED"])

function isThere(session: Session, custodyKey: Handle): boolean {
  try {
    return identify(session, custodyKey).id !== ""
  } catch {
    return false
  }
}

function shapeOf(key: Pick<SourceKey, "keySpec" | "id" | "label">): Omit<UnsealedShape, "publicKey"> {
  const { keySpec, id, label } = key
  const usages = KEY_SPECS[keySpec].mac ? (["sign"] as const) : []
  return { keySpec, id: Buffer.from(id, "hex"), label, wrapWithTrusted: false, usages }
}

/** Bytes of a secret key that gave this much ciphertext; null where its spec would have given another length. */
function lengthOf({ keySpec, ciphertext }: SealedMaterial): number | null {
  return ciphertext.length === sealedLength(keySpec) ? KEY_SPECS[keySpec].bits / 8 : null
}

function kcvOf({ checkValue }: KeyObjectFacts): string | null {
  return checkValue && checkValue.length > 0 ? checkValue.toString("hex") : null
}

/** Whether two check values tell two keys apart; a token without any tells nothing. */
function differ(one: string | null, other: string | null): boolean {
  return one !== null && other !== null && one !== other
}

function refused(message: string, key: string): KeyferryError {
  return new KeyferryError("ERR_CUSTODY_REFUSED", message, { key })
}

function missing({ label, id }: CustodyKeyName, words: string): KeyferryError {
  return new KeyferryError("ERR_CUSTODY_KEY_MISSING", `the custody key ${label} (${id}) ${words}`, { key: label })
}

function unreadable(key: string, words: string, cause?: unknown): KeyferryError {
  const code: ErrorCode = "ERR_SEALED_UNREADABLE"
  const restated = cause === undefined ? undefined : restate(cause, code, words, key)
  return restated instanceof KeyferryError ? restated : new KeyferryError(code, words, { key })
}
