import pkcs11js from "pkcs11js"
import type { LocalUsage } from "../../core/key/custody.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { type AttributeName, KEY_TYPES, template } from "../cryptoki/attributes.js"
import type { Template } from "../cryptoki/calls.js"
import { MECHANISMS } from "../cryptoki/mechanisms.js"
import type { TokenProfile } from "../profiles.js"

/** What a new key is to be, besides its key spec. */
export interface NewKey {
  readonly keySpec: KeySpec
  readonly id: Buffer
  readonly label: string
  /** CKA_TOKEN */
  readonly token: boolean
  readonly extractable: boolean
  /** Stated only when true: openCryptoki 3.8.1 does not know the attribute, even as false. */
  readonly wrapWithTrusted: boolean
  /** The usages that are true; every other one is stated as false, since tokens default them to true. */
  readonly usages: readonly LocalUsage[]
}

export interface KeyGeneration {
  readonly mechanism: number
  /** Of the secret key, or of the private half. */
  readonly key: Template
  /** Of the public half; null for a secret key. */
  readonly publicHalf: Template | null
}

const PUBLIC_EXPONENT = Buffer.from([1, 0, 1])
export const SECRET_USAGES = ["encrypt", "decrypt", "sign", "verify", "wrap", "unwrap", "derive"] as const
export const PRIVATE_USAGES = ["decrypt", "sign", "signRecover", "unwrap", "derive"] as const
export const PUBLIC_USAGES = ["encrypt", "verify", "verifyRecover", "wrap", "derive"] as const

/** Every one of the usages but those that the token does not know, true where allowed. */
export function stated(
  usages: readonly string[],
  allowed: readonly string[],
  unknownUsages: TokenProfile["unknownUsages"] = [],
): Readonly<Partial<Record<AttributeName, boolean>>> {
  const stateable = usages.filter((usage) => !(unknownUsages as readonly string[]).includes(usage))
  return Object.fromEntries(stateable.map((usage) => [usage, allowed.includes(usage)]))
}

/** Mechanism and templates that generate a key of the spec (PKCS #11 v3.1 section 6): sensitive, and private. */
export function generationOf(key: NewKey, profile: TokenProfile): KeyGeneration {
  const row = KEY_SPECS[key.keySpec]
  const pair = row.proof === "public-key"
  const common = { token: key.token, keyType: KEY_TYPES[row.keyType], id: key.id, label: key.label }
  const secret = {
    ...common,
    class: pair ? pkcs11js.CKO_PRIVATE_KEY : pkcs11js.CKO_SECRET_KEY,
    private: true,
    sensitive: true,
    extractable: key.extractable,
    ...(key.wrapWithTrusted ? { wrapWithTrusted: true } : {}),
  }
  const mechanism = MECHANISMS[row.generation]
  if (!pair) {
    const values = { ...secret, valueLength: row.bits / 8, ...stated(SECRET_USAGES, key.usages) }
    return { mechanism, key: template(values), publicHalf: null }
  }
  const parameters =
    row.ecParams === undefined
      ? { modulusBits: row.bits, publicExponent: PUBLIC_EXPONENT }
      : { ecParams: Buffer.from(row.ecParams) }
  return {
    mechanism,
    key: template({ ...secret, ...stated(PRIVATE_USAGES, key.usages, profile.unknownUsages) }),
    publicHalf: template({
      ...common,
      class: pkcs11js.CKO_PUBLIC_KEY,
      private: profile.publicKeysPrivate,
      ...stated(PUBLIC_USAGES, [...profile.publicHalfUsages, ...publicUsages(key.usages)], profile.unknownUsages),
      ...parameters,
    }),
  }
}

/** What the public half does of what its private half is used for. */
function publicUsages(usages: readonly LocalUsage[]): readonly LocalUsage[] {
  const counterpart: Readonly<Partial<Record<LocalUsage, LocalUsage>>> = { decrypt: "encrypt", sign: "verify" }
  return usages.flatMap((usage) => counterpart[usage] ?? [])
}

/** A public RSA key as a session object that may wrap and nothing else. */
export function wrappingKeyTemplate(modulus: Uint8Array, exponent: Uint8Array, profile: TokenProfile): Template {
  return template({
    class: pkcs11js.CKO_PUBLIC_KEY,
    keyType: KEY_TYPES.CKK_RSA,
    token: false,
    private: profile.publicKeysPrivate,
    ...stated(PUBLIC_USAGES, ["wrap", ...profile.wrappingKeyUsages], profile.unknownUsages),
    modulus: Buffer.from(modulus),
    publicExponent: Buffer.from(exponent),
  })
}

export const EPHEMERAL_LABEL = "keyferry-ephemeral"

/** The AES-256 session key between the two halves of the composed form. Extractable, as it is wrapped itself. */
export function ephemeralKeyTemplate(): Template {
  return template({
    class: pkcs11js.CKO_SECRET_KEY,
    keyType: KEY_TYPES.CKK_AES,
    valueLength: 32,
    token: false,
    private: true,
    sensitive: true,
    extractable: true,
    label: EPHEMERAL_LABEL,
    ...stated(SECRET_USAGES, ["wrap"]),
  })
}
