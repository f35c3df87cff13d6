import pkcs11js from "pkcs11js"
import type { KeyAttributes } from "../../core/key/key-attributes.js"
import { getAttribute, getAttributes, type Handle, type Session, type Template } from "./calls.js"
import { ckrOf } from "./errors.js"
import { mechanismName } from "./mechanisms.js"

/** The attributes that keyferry writes or reads, by the name that {@link KeyAttributes} has for them. None is secret. */
export const CKA = {
  class: pkcs11js.CKA_CLASS,
  keyType: pkcs11js.CKA_KEY_TYPE,
  token: pkcs11js.CKA_TOKEN,
  private: pkcs11js.CKA_PRIVATE,
  sensitive: pkcs11js.CKA_SENSITIVE,
  extractable: pkcs11js.CKA_EXTRACTABLE,
  alwaysSensitive: pkcs11js.CKA_ALWAYS_SENSITIVE,
  neverExtractable: pkcs11js.CKA_NEVER_EXTRACTABLE,
  local: pkcs11js.CKA_LOCAL,
  modifiable: pkcs11js.CKA_MODIFIABLE,
  wrapWithTrusted: pkcs11js.CKA_WRAP_WITH_TRUSTED,
  encrypt: pkcs11js.CKA_ENCRYPT,
  decrypt: pkcs11js.CKA_DECRYPT,
  sign: pkcs11js.CKA_SIGN,
  verify: pkcs11js.CKA_VERIFY,
  wrap: pkcs11js.CKA_WRAP,
  unwrap: pkcs11js.CKA_UNWRAP,
  derive: pkcs11js.CKA_DERIVE,
  signRecover: pkcs11js.CKA_SIGN_RECOVER,
  verifyRecover: pkcs11js.CKA_VERIFY_RECOVER,
  keyGenMechanism: pkcs11js.CKA_KEY_GEN_MECHANISM,
  id: pkcs11js.CKA_ID,
  label: pkcs11js.CKA_LABEL,
  valueLength: pkcs11js.CKA_VALUE_LEN,
  modulus: pkcs11js.CKA_MODULUS,
  modulusBits: pkcs11js.CKA_MODULUS_BITS,
  publicExponent: pkcs11js.CKA_PUBLIC_EXPONENT,
  ecParams: pkcs11js.CKA_EC_PARAMS,
  ecPoint: pkcs11js.CKA_EC_POINT,
  checkValue: pkcs11js.CKA_CHECK_VALUE,
  allowedMechanisms: pkcs11js.CKA_ALLOWED_MECHANISMS,
  unwrapTemplate: pkcs11js.CKA_UNWRAP_TEMPLATE,
  /** CKA_NSS_DB of NSS' pkcs11n.h: the point that softokn wants beside an EC private key that comes in. */
  nssDb: 0xd5a0db00,
} as const

export type AttributeName = keyof typeof CKA

/** What is read back of a key, in the order in which it is asked for. */
const READ_BACK = [
  "class",
  "keyType",
  "token",
  "private",
  "sensitive",
  "extractable",
  "alwaysSensitive",
  "neverExtractable",
  "local",
  "modifiable",
  "wrapWithTrusted",
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "wrap",
  "unwrap",
  "derive",
  "keyGenMechanism",
  "id",
  "label",
  "valueLength",
  "modulus",
  "ecParams",
  "checkValue",
] as const satisfies readonly AttributeName[]

const CLASSES: Readonly<Record<number, string>> = {
  [pkcs11js.CKO_PUBLIC_KEY]: "CKO_PUBLIC_KEY",
  [pkcs11js.CKO_PRIVATE_KEY]: "CKO_PRIVATE_KEY",
  [pkcs11js.CKO_SECRET_KEY]: "CKO_SECRET_KEY",
}

/** CKK_ numbers of PKCS #11 v3.1, as far as keyferry meets them; SHA-2 HMAC types are what NSS may report. */
export const KEY_TYPES = {
  CKK_RSA: pkcs11js.CKK_RSA,
  CKK_EC: pkcs11js.CKK_EC,
  CKK_GENERIC_SECRET: pkcs11js.CKK_GENERIC_SECRET,
  CKK_AES: pkcs11js.CKK_AES,
  CKK_EC_EDWARDS: 0x40,
} as const

const KEY_TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(KEY_TYPES).map(([name, value]) => [value, name]),
)

/** A key object as read back from the token. */
export interface KeyObjectFacts {
  readonly attributes: KeyAttributes
  readonly id: Buffer | null
  readonly label: string | null
  readonly valueLength: number | null
  readonly modulus: Buffer | null
  readonly ecParams: Buffer | null
  readonly checkValue: Buffer | null
}

export function template(
  values: Readonly<Partial<Record<AttributeName, number | boolean | string | Buffer>>>,
): Template {
  return (Object.entries(values) as [AttributeName, number | boolean | string | Buffer][]).map(([name, value]) => ({
    type: CKA[name],
    value,
  }))
}

/**
 * Reads key objects of one token. The first key of a kind is read attribute by attribute, as PKCS #11 fails a call as
 * a whole when one attribute is unknown; those that the token answered are asked for together from then on.
 */
export class AttributeReader {
  /** By kind: the attributes that the token has for it. */
  readonly #answered = new Map<string, readonly (typeof READ_BACK)[number][]>()

  /** `kind` names the class and key type, or a use whose objects are all of one. */
  read(session: Session, object: Handle, kind: string): KeyObjectFacts {
    const answered = this.#answered.get(kind)
    const together = answered && readTogether(session, object, answered)
    if (together) return factsOf(together)

    const values = new Map<AttributeName, Buffer>()
    for (const name of READ_BACK) {
      const value = getAttribute(session, object, CKA[name])
      if (value) values.set(name, value)
    }
    this.#answered.set(
      kind,
      READ_BACK.filter((name) => values.has(name)),
    )
    return factsOf(values)
  }
}

/** Undefined where the token refuses one of them, which then has to be found out one by one. */
function readTogether(
  session: Session,
  object: Handle,
  names: readonly AttributeName[],
): Map<AttributeName, Buffer> | undefined {
  try {
    const read = getAttributes(
      session,
      object,
      names.map((name) => CKA[name]),
    )
    return new Map(names.flatMap((name, index) => (read[index] ? [[name, read[index]]] : [])))
  } catch (error) {
    const code = ckrOf(error)
    if (code === "CKR_ATTRIBUTE_TYPE_INVALID" || code === "CKR_ATTRIBUTE_SENSITIVE") return undefined
    throw error
  }
}

function factsOf(values: ReadonlyMap<AttributeName, Buffer>): KeyObjectFacts {
  const bool = (name: AttributeName): boolean | null => booleanOf(values.get(name))
  const generation = ulongOf(values.get("keyGenMechanism"))
  const keyClass = ulongOf(values.get("class"))
  const keyType = ulongOf(values.get("keyType"))
  return {
    attributes: {
      class: CLASSES[keyClass ?? -1] ?? `CKO_0x${(keyClass ?? 0).toString(16)}`,
      keyType: KEY_TYPE_NAMES.get(keyType ?? -1) ?? `CKK_0x${(keyType ?? 0).toString(16)}`,
      token: bool("token"),
      private: bool("private"),
      sensitive: bool("sensitive"),
      extractable: bool("extractable"),
      alwaysSensitive: bool("alwaysSensitive"),
      neverExtractable: bool("neverExtractable"),
      local: bool("local"),
      modifiable: bool("modifiable"),
      wrapWithTrusted: bool("wrapWithTrusted"),
      encrypt: bool("encrypt"),
      decrypt: bool("decrypt"),
      sign: bool("sign"),
      verify: bool("verify"),
      wrap: bool("wrap"),
      unwrap: bool("unwrap"),
      derive: bool("derive"),
      keyGenMechanism: generation === null ? null : mechanismName(generation),
    },
    id: values.get("id") ?? null,
    label: values.get("label")?.toString("utf8") ?? null,
    valueLength: ulongOf(values.get("valueLength")),
    modulus: values.get("modulus") ?? null,
    ecParams: values.get("ecParams") ?? null,
    checkValue: values.get("checkValue") ?? null,
  }
}

/** CK_BBOOL; null for a length that is none. */
export function booleanOf(value: Buffer | null | undefined): boolean | null {
  return value?.length === 1 ? value[0] !== 0 : null
}

/** CK_ULONG in the machine's size; null for a length that is none, and for CK_UNAVAILABLE_INFORMATION. */
export function ulongOf(value: Buffer | null | undefined): number | null {
  if (value?.length !== 8 && value?.length !== 4) return null
  const number = value.length === 8 ? value.readBigUInt64LE() : BigInt(value.readUInt32LE())
  return number > 0xffffffffn ? null : Number(number)
}
