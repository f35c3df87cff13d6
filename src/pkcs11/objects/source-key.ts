import pkcs11js from "pkcs11js"
import type { Custody } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { isAsymmetric, KEY_SPEC_NAMES, KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { type StrayObject, identityOf, type SourceKey } from "../../core/key/source-key.js"
import { custodyIdentityOf } from "../../core/records/sealed-material.js"
import type { KeyAttributes } from "../../core/key/key-attributes.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import { CKA, type KeyObjectFacts, template, ulongOf } from "../cryptoki/attributes.js"
import { findObjects, getAttribute, getSome, type Handle, type Session, type Template } from "../cryptoki/calls.js"
import { ckrOf } from "../cryptoki/errors.js"
import type { TokenSession } from "../session/pool.js"
import { publicKeyOf, withoutZeros } from "./public-key.js"

/** A source key with the handles of its objects, which stay inside this folder. */
export interface FoundKey {
  readonly key: SourceKey
  /** The secret key, or the private half. */
  readonly object: Handle
  readonly publicHalf: Handle | null
}

/** `edwards25519` as a PrintableString: the curve's other name in CKA_EC_PARAMS (PKCS #11 v3.1 section 6.3.3). */
const EDWARDS_NAME = Buffer.from("130c656477617264733235353139", "hex")

interface Candidate {
  readonly object: Handle
  readonly class: number
  readonly id: string
  readonly label: string
}

/** By what objects are looked for. */
export interface SearchTerms {
  readonly id?: string
  readonly label?: string
  /** Whether keys without a keyferry label count as well. */
  readonly anyLabel?: boolean
}

/** Finds source keys, and what carries a keyferry label without being one. */
export function findSourceKeys(
  session: TokenSession,
  terms: SearchTerms,
): { readonly keys: readonly FoundKey[]; readonly strays: readonly StrayObject[] } {
  const groups = new Map<string, Candidate[]>()
  for (const candidate of candidates(session, terms)) {
    if (terms.anyLabel !== true && identityOf(candidate.label) === undefined) continue
    if (custodyIdentityOf(candidate.label) !== undefined) continue
    const name = `${candidate.id} ${candidate.label}`
    groups.set(name, [...(groups.get(name) ?? []), candidate])
  }
  const keys: FoundKey[] = []
  const strays: StrayObject[] = []
  for (const group of groups.values()) {
    const assembled = assemble(session, group)
    if ("key" in assembled) keys.push(assembled)
    else strays.push(assembled)
  }
  return { keys, strays }
}

/** Handles of every object with this CKA_ID and label, whatever its class. */
export function objectsOf(session: Session, { id, label }: { id: string; label: string }): readonly Handle[] {
  return findObjects(session, template({ id: Buffer.from(id, "hex"), label }))
}

/** Throws ERR_NAME_TAKEN, said of `key`, where an object of the token, whatever it is, has this CKA_ID or this label. */
export function assertUnused(
  session: Session,
  name: { readonly id?: string; readonly label?: string },
  key: string,
): void {
  const parts = [
    { part: "label", terms: name.label === undefined ? null : template({ label: name.label }) },
    { part: "CKA_ID", terms: name.id === undefined ? null : template({ id: Buffer.from(name.id, "hex") }) },
  ]
  for (const { part, terms } of parts) {
    if (terms === null || findObjects(session, terms).length === 0) continue
    throw new KeyferryError("ERR_NAME_TAKEN", `the token already holds an object with this ${part}`, { key })
  }
}

/** A key as it was read back, described as a source key; undefined if it is of no key spec. */
export function describeKey(facts: KeyObjectFacts, spki: Uint8Array | null): SourceKey | undefined {
  const keySpec = keySpecOf(facts)
  if (keySpec === undefined || facts.id === null || facts.label === null) return undefined
  return {
    id: facts.id.toString("hex"),
    label: facts.label,
    keySpec,
    custody: custodyOf(facts.attributes),
    attributes: facts.attributes,
    kcv: facts.checkValue && facts.checkValue.length > 0 ? facts.checkValue.toString("hex") : null,
    publicKeyFingerprint: spki && sha256(spki),
  }
}

function candidates(session: Session, { id, label }: SearchTerms): readonly Candidate[] {
  const terms: Template = template({
    ...(id === undefined ? {} : { id: Buffer.from(id, "hex") }),
    ...(label === undefined ? {} : { label }),
  })
  return findObjects(session, terms).map((object) => ({ object, ...identify(session, object) }))
}

/** Class, CKA_ID in hex and label of an object; empty for what it has not. */
export function identify(session: Session, object: Handle): Omit<Candidate, "object"> {
  const [cls, id, label] = getSome(session, object, [CKA.class, CKA.id, CKA.label])
  return { class: ulongOf(cls) ?? -1, id: id?.toString("hex") ?? "", label: label?.toString("utf8") ?? "" }
}

/** Joins the objects of one ID and label into a source key, or says what is odd about them. */
function assemble(session: TokenSession, group: readonly Candidate[]): FoundKey | StrayObject {
  const { id = "", label = "" } = group[0] ?? {}
  const stray = (reason: string): StrayObject => ({ id, label, reason })
  const keys = group.filter(({ class: cls }) => cls === pkcs11js.CKO_SECRET_KEY || cls === pkcs11js.CKO_PRIVATE_KEY)
  const publicHalves = group.filter(({ class: cls }) => cls === pkcs11js.CKO_PUBLIC_KEY)
  if (keys.length + publicHalves.length < group.length) return stray("an object that is no key carries its label")
  const [main, duplicate] = keys
  if (main === undefined) return stray("a public key without its private key")
  if (duplicate) return stray("several keys carry one ID and label")
  if (id === "") return stray("a key without CKA_ID")

  // an RSA key has attributes that an EC key lacks, though both are private keys
  const keyType = ulongOf(getAttribute(session, main.object, CKA.keyType))
  const facts = session.reader.read(session, main.object, `${main.class} ${keyType ?? "unknown"}`)
  const keySpec = keySpecOf(facts)
  if (keySpec === undefined) return stray(`a key of no KMS key spec (${facts.attributes.keyType})`)
  if (!isAsymmetric(keySpec)) {
    if (publicHalves.length > 0) return stray("a secret key and a public key carry one ID and label")
    const key = describeKey(facts, null)
    return key ? { key, object: main.object, publicHalf: null } : stray("a key that does not tell what it is")
  }
  const [publicHalf, duplicateHalf] = publicHalves
  if (publicHalf === undefined) return stray("a private key without its public key")
  if (duplicateHalf) return stray("several public keys carry one ID and label")
  const spki = readableKey(() => publicKeyOf(session, publicHalf.object, keySpec))
  if (spki === undefined) return stray("a public key that does not fit its private key")
  const key = describeKey(facts, spki)
  return key
    ? { key, object: main.object, publicHalf: publicHalf.object }
    : stray("a key that does not tell what it is")
}

/** Undefined for a public key object that is damaged; a failing call still fails. */
function readableKey(read: () => Uint8Array): Uint8Array | undefined {
  try {
    return read()
  } catch (error) {
    if (ckrOf(error) === undefined && error instanceof KeyferryError) return undefined
    throw error
  }
}

function keySpecOf(facts: KeyObjectFacts): KeySpec | undefined {
  return KEY_SPEC_NAMES.find((name) => {
    const { keyType, bits, ecParams, jwkCurve } = KEY_SPECS[name]
    if (facts.attributes.keyType !== keyType) return false
    if (ecParams) {
      return (
        facts.ecParams?.equals(ecParams) === true ||
        (jwkCurve === "Ed25519" && facts.ecParams?.equals(EDWARDS_NAME) === true)
      )
    }
    if (keyType === "CKK_RSA") return facts.modulus !== null && withoutZeros(facts.modulus).length * 8 === bits
    return facts.valueLength !== null && facts.valueLength * 8 === bits
  })
}

function custodyOf({ token, extractable }: KeyAttributes): Custody {
  if (token === false) return "session"
  return extractable === false ? "locked" : "token"
}
