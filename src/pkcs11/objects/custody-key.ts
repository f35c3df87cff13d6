import pkcs11js from "pkcs11js"
import { KeyferryError } from "../../core/base/error.js"
import type { KeyAttributes } from "../../core/key/key-attributes.js"
import { type CustodyKey, type CustodyKeyTemplate, custodyIdentityOf } from "../../core/records/sealed-material.js"
import { CKA, KEY_TYPES, type KeyObjectFacts, template } from "../cryptoki/attributes.js"
import { destroyObject, findObjects, generateKey, getAttribute, type Handle, type Session } from "../cryptoki/calls.js"
import { type MechanismName, MECHANISMS } from "../cryptoki/mechanisms.js"
import { booleanAttributes, words } from "../cryptoki/native-pointer.js"
import type { TokenSession } from "../session/pool.js"
import type { HandleCache } from "./handle-cache.js"
import { assertUnused, identify } from "./source-key.js"
import { SECRET_USAGES, stated } from "./template.js"

/** What of a custody key's template the token was seen to honour; the rest is not stated. */
export interface CustodyKeyFeatures {
  readonly notModifiable: boolean
  /** CKA_ALLOWED_MECHANISMS: no wrap by another mechanism. */
  readonly allowedMechanisms: boolean
  /** CKA_UNWRAP_TEMPLATE: no unwrapping into a key that could be read. */
  readonly unwrapTemplate: boolean
}

export const CUSTODY_KEY_FEATURES = [
  "notModifiable",
  "allowedMechanisms",
  "unwrapTemplate",
] as const satisfies readonly (keyof CustodyKeyFeatures)[]

/** What every key that is unsealed is held to where the token honours it; {@link unsealedTemplate} states all of it. */
const UNWRAP_TEMPLATE = [
  [CKA.token, false],
  [CKA.private, true],
  [CKA.sensitive, true],
] as const

/** What a custody key of the token is to be; no mechanism where the token cannot seal. */
export interface CustodyKeyPlan {
  readonly mechanism: MechanismName | null
  readonly features: CustodyKeyFeatures
  readonly reason: string
}

export interface CustodyKeyShape {
  readonly id: Buffer
  readonly label: string
  /** CKA_TOKEN: false for the probe's own alone. */
  readonly token: boolean
  readonly mechanism: MechanismName
  readonly features: CustodyKeyFeatures
}

/** A custody key as its token has it now, with its handle, which stays inside this folder. */
export interface FoundCustodyKey {
  readonly key: CustodyKey
  readonly object: Handle
}

/** AES-256, sensitive, never extractable, CKA_WRAP and CKA_UNWRAP and no other usage (docs/custody.md). */
export async function generateCustodyObject(session: Session, shape: CustodyKeyShape): Promise<Handle> {
  const { id, label, token, mechanism, features } = shape
  using nested = features.unwrapTemplate ? await booleanAttributes(UNWRAP_TEMPLATE) : null
  const values = {
    class: pkcs11js.CKO_SECRET_KEY,
    keyType: KEY_TYPES.CKK_AES,
    valueLength: 32,
    token,
    private: true,
    sensitive: true,
    extractable: false,
    id,
    label,
    ...stated(SECRET_USAGES, ["wrap", "unwrap"]),
    ...(features.notModifiable ? { modifiable: false } : {}),
    ...(features.allowedMechanisms ? { allowedMechanisms: words(MECHANISMS[mechanism]) } : {}),
    ...(nested === null ? {} : { unwrapTemplate: nested.bytes }),
  }
  return await generateKey(session, MECHANISMS.CKM_AES_KEY_GEN, template(values))
}

/**
 * Generates a custody key and reads it back; one that is not as asked is destroyed again.
 *
 * @throws ERR_CUSTODY_REFUSED where the token cannot seal, ERR_NAME_TAKEN, ERR_KEY_ATTRIBUTES, ERR_TOKEN_*
 */
export async function generateCustodyKey(
  session: TokenSession,
  { id, label }: CustodyKeyTemplate,
  { mechanism, features, reason }: CustodyKeyPlan,
): Promise<CustodyKey> {
  if (mechanism === null) {
    throw new KeyferryError("ERR_CUSTODY_REFUSED", `the token cannot seal keys: ${reason}`, { key: label })
  }
  assertUnused(session, { id, label }, label)
  const shape = { id: Buffer.from(id, "hex"), label, token: true, mechanism, features }
  const object = await generateCustodyObject(session, shape)
  try {
    const key = readCustodyKey(session, object)
    const findings = [
      ...(key === undefined ? ["it does not tell what it is"] : custodyKeyFlaws(key.attributes)),
      ...(key?.id === id && key.label === label ? [] : ["its CKA_ID or label is not the one asked for"]),
      ...(key?.allowedMechanisms === features.allowedMechanisms ? [] : ["CKA_ALLOWED_MECHANISMS is not kept"]),
    ]
    if (key === undefined || findings.length > 0) {
      throw new KeyferryError("ERR_KEY_ATTRIBUTES", `the new custody key is not as asked: ${findings.join(", ")}`, {
        key: label,
      })
    }
    return { ...key, unwrapTemplate: features.unwrapTemplate }
  } catch (error) {
    // a token that confuses its handles would have another key destroyed
    const identity = identify(session, object)
    if (identity.id === id || identity.label === label) destroyObject(session, object)
    throw error
  }
}

/** Custody keys of an owner, by number. */
export function findCustodyKeys(session: TokenSession, owner: string): readonly FoundCustodyKey[] {
  const secret = template({ class: pkcs11js.CKO_SECRET_KEY, keyType: KEY_TYPES.CKK_AES, token: true })
  const objects = findObjects(session, secret).filter(
    (object) => custodyIdentityOf(identify(session, object).label)?.owner === owner,
  )
  const custodyKeys = objects.flatMap((object) => {
    const key = readCustodyKey(session, object)
    return key === undefined ? [] : [{ key, object }]
  })
  return custodyKeys.sort((a, b) => a.key.number - b.key.number)
}

/** Undefined for an object that is no AES-256 key, or carries no custody key's label. */
function readCustodyKey(session: TokenSession, object: Handle): CustodyKey | undefined {
  const facts: KeyObjectFacts = session.reader.read(session, object, "custody")
  const { id, label, attributes, checkValue } = facts
  const identity = label === null ? undefined : custodyIdentityOf(label)
  if (id === null || label === null || identity === undefined) return undefined
  if (attributes.keyType !== "CKK_AES" || facts.valueLength !== 32) return undefined
  return {
    id: id.toString("hex"),
    label,
    number: identity.number,
    attributes,
    kcv: checkValue && checkValue.length > 0 ? checkValue.toString("hex") : null,
    allowedMechanisms: allowsOneMechanism(session, object),
    // only trying tells: the nested attributes cannot be read without pointers
    unwrapTemplate: false,
  }
}

type CustodyKeyName = Pick<CustodyKey, "id" | "label">

/** The custody keys of a token under which is sealed, each read once: nobody can change one without making another. */
export class CustodyKeys {
  readonly #handles: HandleCache
  /** By handle, in hex. */
  readonly #keys = new Map<string, CustodyKey>()

  constructor(handles: HandleCache) {
    this.#handles = handles
  }

  /** Throws ERR_CUSTODY_KEY_MISSING where the token has none of that name. */
  locate(session: TokenSession, name: CustodyKeyName): FoundCustodyKey {
    const object = this.#object(session, name)
    const handle = object.toString("hex")
    const key = this.#keys.get(handle) ?? readCustodyKey(session, object)
    if (key === undefined) throw missing(name, "is no AES-256 key")
    this.#keys.set(handle, key)
    return { key, object }
  }

  #object(session: TokenSession, name: CustodyKeyName): Handle {
    try {
      return this.#handles.locate(session, { ...name, keySpec: "SYMMETRIC_DEFAULT" }).object
    } catch (error) {
      if (!(error instanceof KeyferryError) || error.code !== "ERR_KEY_NOT_FOUND") throw error
      throw missing(name, "is not in the token")
    }
  }
}

function missing({ label, id }: CustodyKeyName, words: string): KeyferryError {
  return new KeyferryError("ERR_CUSTODY_KEY_MISSING", `the custody key ${label} (${id}) ${words}`, { key: label })
}

/** In words: what of a key with a custody key's label is not as a custody key must be; empty for nothing. */
export function custodyKeyFlaws(attributes: KeyAttributes): readonly string[] {
  const expected = {
    token: true,
    private: true,
    sensitive: true,
    extractable: false,
    encrypt: false,
    decrypt: false,
    sign: false,
    verify: false,
    derive: false,
    wrap: true,
    unwrap: true,
  } as const
  return Object.entries(expected).flatMap(([name, value]) => {
    const actual = attributes[name as keyof typeof expected]
    return actual === value ? [] : [`CKA_${name.toUpperCase()} is ${actual ?? "unknown"}, not ${String(value)}`]
  })
}

function allowsOneMechanism(session: Session, object: Handle): boolean {
  const value = getAttribute(session, object, CKA.allowedMechanisms)
  const proven = new Set<number>(Object.values(MECHANISMS))
  return value?.length === 8 && proven.has(Number(value.readBigUInt64LE()))
}
