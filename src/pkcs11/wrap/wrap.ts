import pkcs11js, { type RsaOAEP } from "pkcs11js"
import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import type { KeyAttributes } from "../../core/key/key-attributes.js"
import { WRAPPING_KEY_SPECS, type WrappingKeySpec } from "../../core/key/key-spec.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import {
  type OaepHash,
  plausibleWrappedLength,
  WRAPPING_ALGORITHMS,
  type WrappingAlgorithm,
} from "../../core/key/wrapping-algorithm.js"
import {
  createObject,
  generateKey,
  type Handle,
  type Mechanism,
  OwnedObjects,
  type Session,
  wrapKey,
  type Wrapping,
} from "../cryptoki/calls.js"
import { ckrOf, restate } from "../cryptoki/errors.js"
import { isMechanismName, type MechanismName, MECHANISMS } from "../cryptoki/mechanisms.js"
import { nativeMemory, words } from "../cryptoki/native-pointer.js"
import type { TokenProfile } from "../profiles.js"
import type { TokenSession } from "../session/pool.js"
import { EPHEMERAL_LABEL, ephemeralKeyTemplate, wrappingKeyTemplate } from "../objects/template.js"

const CKZ_DATA_SPECIFIED = 1

/** CK_RSA_PKCS_OAEP_PARAMS: one hash for OAEP and MGF1, no label: what KMS opens. */
const OAEP_NUMBERS: Readonly<Record<OaepHash, { readonly hashAlg: number; readonly mgf: number }>> = {
  "SHA-1": { hashAlg: pkcs11js.CKM_SHA_1, mgf: pkcs11js.CKG_MGF1_SHA1 },
  "SHA-256": { hashAlg: pkcs11js.CKM_SHA256, mgf: pkcs11js.CKG_MGF1_SHA256 },
}
const OAEP: Readonly<Record<OaepHash, Mechanism>> = {
  "SHA-1": oaepMechanism(OAEP_NUMBERS["SHA-1"]),
  "SHA-256": oaepMechanism(OAEP_NUMBERS["SHA-256"]),
}

/** The public key to wrap under: of KMS, or made here for the self-test. */
export interface RsaPublicKey {
  readonly spec: WrappingKeySpec
  readonly modulus: Uint8Array
  readonly publicExponent: Uint8Array
}

/** A path that was proven, or is being tried, with the mechanism that carries the material besides OAEP. */
export type WrapPlan = { readonly algorithm: WrappingAlgorithm } & (
  | { readonly path: "oaep"; readonly kwp: null }
  | { readonly path: "native"; readonly kwp: null }
  | { readonly path: "composed"; readonly kwp: MechanismName }
)

/** The ways in which an algorithm may be done on such a token; the native one only where it is `listed`. */
export function plansOf(
  algorithm: WrappingAlgorithm,
  { kwp: candidates }: Pick<TokenProfile, "kwp">,
  { native = false }: { readonly native?: boolean } = {},
): readonly WrapPlan[] {
  if (WRAPPING_ALGORITHMS[algorithm].scheme === "oaep") return [{ algorithm, path: "oaep", kwp: null }]
  const composed = candidates.map((kwp): WrapPlan => ({ algorithm, path: "composed", kwp }))
  return native ? [{ algorithm, path: "native", kwp: null }, ...composed] : composed
}

/** The path that the self-test proved. */
export function planOf(capability: WrapCapability): WrapPlan {
  const { usable, wrapPath, mechanisms, keySpec, wrappingAlgorithm: algorithm } = capability
  const [kwp = ""] = mechanisms
  if (usable && (wrapPath === "oaep" || wrapPath === "native")) return { algorithm, path: wrapPath, kwp: null }
  if (usable && wrapPath === "composed" && isMechanismName(kwp)) return { algorithm, path: wrapPath, kwp }
  throw new KeyferryError("ERR_BUG", `${algorithm} was not proven for ${keySpec}, and was to be used`)
}

/** What is to be wrapped, under which public key, and how. */
export interface WrapOrder {
  readonly key: Handle
  readonly publicKey: RsaPublicKey
  readonly plan: WrapPlan
}

/**
 * Wraps a key under an RSA public key that exists in the token as a session object for the time of the call:
 * `RSAES-OAEP(material)`, or `RSA-OAEP(aesKey) || AES-KWP(material)` with an AES-256 key made and destroyed here.
 *
 * @throws ERR_WRAP_RESULT for a length that cannot be right, ERR_KEY_ATTRIBUTES for an ephemeral key that is not as asked
 */
export async function wrapUnder(session: TokenSession, { key, publicKey, plan }: WrapOrder): Promise<Buffer> {
  using objects = new OwnedObjects(session)
  const template = wrappingKeyTemplate(publicKey.modulus, publicKey.publicExponent, session.profile)
  const wrappingKey = objects.add(createObject(session, template))
  const { hash } = WRAPPING_ALGORITHMS[plan.algorithm]
  const oaep = { wrappingKey, mechanism: OAEP[hash], name: `CKM_RSA_PKCS_OAEP with ${hash}` }
  if (plan.path === "oaep") {
    return checked(await wrapBy(session, oaep, key), plan, publicKey)
  }
  if (plan.path === "native") {
    const { hashAlg, mgf } = OAEP_NUMBERS[hash]
    using oaepParams = await nativeMemory(words(hashAlg, mgf, CKZ_DATA_SPECIFIED, 0, 0))
    // with a fresh AES-256 key of the token's (PKCS #11 v3.1 section 6.1.21)
    const mechanism = { mechanism: MECHANISMS.CKM_RSA_AES_KEY_WRAP, parameter: words(256, oaepParams.address) }
    const native = { wrappingKey, mechanism, name: `CKM_RSA_AES_KEY_WRAP with ${hash}` }
    return checked(await wrapBy(session, native, key), plan, publicKey)
  }
  const ephemeral = await generateEphemeral(session, objects)
  // the OAEP part first: it fails early where the hash is refused
  const head = await wrapBy(session, oaep, ephemeral)
  const kwp = { wrappingKey: ephemeral, mechanism: { mechanism: MECHANISMS[plan.kwp] }, name: plan.kwp }
  const tail = await wrapBy(session, kwp, key)
  const modulusBytes = WRAPPING_KEY_SPECS[publicKey.spec].modulusBits / 8
  if (head.length !== modulusBytes) throw implausible(head.length, "the OAEP part")
  return checked(Buffer.concat([head, tail]), plan, publicKey)
}

/** An AES-256 session key that is as it was asked for; goes to `objects`. */
async function generateEphemeral(session: TokenSession, objects: OwnedObjects): Promise<Handle> {
  const ephemeral = await generateKey(session, MECHANISMS.CKM_AES_KEY_GEN, ephemeralKeyTemplate())
  const { attributes, label } = session.reader.read(session, ephemeral, "ephemeral")
  // what is owned is destroyed: not another key, should the token confuse its handles
  if (label !== EPHEMERAL_LABEL) {
    throw new KeyferryError("ERR_TOKEN_OTHER", "the token gave another object's handle for the ephemeral key")
  }
  objects.add(ephemeral)
  assertEphemeral(attributes)
  return ephemeral
}

/** The failure of wrapping a source key, said of the key. */
export function wrapFailure(error: unknown, label: string): unknown {
  if (!(error instanceof KeyferryError) || error.key !== null) return error
  const [code, message] = WRAP_FAILURES[ckrOf(error) ?? ""] ?? [error.code, error.message]
  return restate(error, { code, message, key: label })
}

/** What an answer to C_WrapKey says of the source key. */
const WRAP_FAILURES: Readonly<Record<string, readonly [code: ErrorCode, message: string]>> = {
  CKR_KEY_UNEXTRACTABLE: ["ERR_KEY_NOT_EXTRACTABLE", "the source key's CKA_EXTRACTABLE is false"],
  CKR_KEY_HANDLE_INVALID: ["ERR_KEY_NOT_FOUND", "the source key is in the token no longer"],
  CKR_OBJECT_HANDLE_INVALID: ["ERR_KEY_NOT_FOUND", "the source key is in the token no longer"],
}

interface NamedWrapping extends Wrapping {
  /** The mechanism in words. */
  readonly name: string
}

/** Calls C_WrapKey; a failure says with which mechanism. */
export async function wrapBy(session: Session, wrapping: NamedWrapping, key: Handle): Promise<Buffer> {
  try {
    return await wrapKey(session, wrapping, key)
  } catch (error) {
    const ckr = ckrOf(error)
    throw ckr === undefined ? error : restate(error, { message: `${refusal(ckr, wrapping.name)} (C_WrapKey: ${ckr})` })
  }
}

/** What tokens mean by the answers that are about the mechanism or the kind of key (PKCS #11 v3.1 section 5.1). */
const REFUSALS: Readonly<Record<string, (mechanism: string) => string>> = {
  CKR_MECHANISM_INVALID: (mechanism) => `the token has no ${mechanism}`,
  // SoftHSM answers so to a hash that it does not have
  CKR_ARGUMENTS_BAD: (mechanism) => `the token refuses ${mechanism}`,
  CKR_MECHANISM_PARAM_INVALID: (mechanism) => `the token refuses ${mechanism}`,
  CKR_KEY_NOT_WRAPPABLE: (mechanism) => `the token does not wrap this kind of key by ${mechanism}`,
}

function refusal(ckr: string, mechanism: string): string {
  return REFUSALS[ckr]?.(mechanism) ?? `wrapping by ${mechanism} failed`
}

/** An ephemeral key that could be read would give the material away: its attributes are not believed but read. */
function assertEphemeral(attributes: KeyAttributes): void {
  const deviations = [
    attributes.sensitive === true ? [] : ["CKA_SENSITIVE"],
    attributes.token === false ? [] : ["CKA_TOKEN"],
    attributes.encrypt === true ? ["CKA_ENCRYPT"] : [],
    attributes.decrypt === true ? ["CKA_DECRYPT"] : [],
  ].flat()
  if (deviations.length === 0) return
  throw new KeyferryError(
    "ERR_KEY_ATTRIBUTES",
    `the token did not give the ephemeral AES key the attributes it was asked for: ${deviations.join(", ")}`,
  )
}

function checked(bytes: Buffer, { algorithm }: WrapPlan, { spec }: RsaPublicKey): Buffer {
  if (!plausibleWrappedLength(algorithm, spec, bytes.length)) throw implausible(bytes.length, "the wrapped key")
  return bytes
}

function implausible(length: number, part: string): KeyferryError {
  return new KeyferryError(
    "ERR_WRAP_RESULT",
    `the token answered C_WrapKey with ${length} bytes, which ${part} cannot have`,
  )
}

function oaepMechanism({ hashAlg, mgf }: { readonly hashAlg: number; readonly mgf: number }): Mechanism {
  const parameter: RsaOAEP = { type: pkcs11js.CK_PARAMS_RSA_OAEP, hashAlg, mgf, source: CKZ_DATA_SPECIFIED }
  return { mechanism: pkcs11js.CKM_RSA_PKCS_OAEP, parameter }
}
