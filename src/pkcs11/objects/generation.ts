import { assessAttributes, findingsText, type LocalUsage } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import { localUsages, type SourceKeyTemplate } from "../../core/key/source-key.js"
import { template } from "../cryptoki/attributes.js"
import {
  destroyObject,
  findObjects,
  generateKey,
  generateKeyPair,
  type Handle,
  type Session,
} from "../cryptoki/calls.js"
import { ckrOf, restate } from "../cryptoki/errors.js"
import { publicKeyOf } from "./public-key.js"
import { describeKey, type FoundKey, identify, objectsOf } from "./source-key.js"
import { generationOf, type NewKey } from "./template.js"
import type { WrapContext } from "../wrap/wrap.js"

/** What a token answers when it has no such key, rather than when it has a fault. */
const UNSUPPORTED: ReadonlySet<string> = new Set([
  "CKR_ARGUMENTS_BAD",
  "CKR_ATTRIBUTE_TYPE_INVALID",
  "CKR_ATTRIBUTE_VALUE_INVALID",
  "CKR_CURVE_NOT_SUPPORTED",
  "CKR_DOMAIN_PARAMS_INVALID",
  "CKR_FUNCTION_NOT_SUPPORTED",
  "CKR_KEY_SIZE_RANGE",
  "CKR_MECHANISM_INVALID",
  "CKR_MECHANISM_PARAM_INVALID",
  "CKR_TEMPLATE_INCOMPLETE",
  "CKR_TEMPLATE_INCONSISTENT",
])

export interface KeyHandles {
  /** The secret key, or the private half. */
  readonly object: Handle
  readonly publicHalf: Handle | null
}

/** Generates a key or a pair. Failures are those of the call: see {@link restateGeneration}. */
export async function generate(session: Session, key: NewKey, context: WrapContext): Promise<KeyHandles> {
  const { mechanism, key: own, publicHalf } = generationOf(key, context.profile)
  if (!publicHalf) return { object: await generateKey(session, mechanism, own), publicHalf: null }
  const pair = await generateKeyPair(session, mechanism, publicHalf, own)
  return { object: pair.privateKey, publicHalf: pair.publicKey }
}

/**
 * Generates a source key and reads it back. A key that is not as its custody asks is destroyed again, and so is what a
 * failing token leaves behind.
 *
 * @throws ERR_NAME_TAKEN, ERR_KEY_SPEC_UNSUPPORTED, ERR_KEY_ATTRIBUTES, ERR_TOKEN_*
 */
export async function generateSourceKey(
  session: Session,
  wanted: SourceKeyTemplate,
  context: WrapContext,
): Promise<FoundKey> {
  assertFree(session, wanted)
  let made: KeyHandles | undefined
  try {
    made = await generate(session, newKeyOf(wanted), context)
    return readBack(session, wanted, made, context)
  } catch (error) {
    const left = removeLeftovers(session, wanted, made)
    throw restateGeneration(error, wanted.keySpec, wanted.label, left)
  }
}

/** A refusal of the key spec under its own code; every other failure as it is, with the key's name. */
export function restateGeneration(error: unknown, keySpec: KeySpec, label: string, left = 0): unknown {
  if (!(error instanceof KeyferryError)) return error
  const remains = left === 0 ? "" : `; ${left} objects of it could not be destroyed`
  if (isUnsupported(error)) {
    return restate(error, "ERR_KEY_SPEC_UNSUPPORTED", `the token cannot generate ${keySpec}${remains}`, label)
  }
  return restate(error, error.code, `${error.message}${remains}`, label)
}

/** Whether the token has no such key, rather than a fault. */
export function isUnsupported(error: unknown): boolean {
  return UNSUPPORTED.has(ckrOf(error) ?? "")
}

function newKeyOf(wanted: SourceKeyTemplate): NewKey {
  return {
    keySpec: wanted.keySpec,
    id: Buffer.from(wanted.id, "hex"),
    label: wanted.label,
    token: wanted.custody !== "session",
    extractable: true,
    wrapWithTrusted: wanted.wrapWithTrusted,
    usages: [...new Set([...(KEY_SPECS[wanted.keySpec].mac ? (["sign"] as const) : []), ...localUseOf(wanted)])],
  }
}

function localUseOf({ custody, localUse = false, keySpec, keyUsage }: SourceKeyTemplate): readonly LocalUsage[] {
  return custody === "locked" && localUse ? localUsages(keySpec, keyUsage) : []
}

function assertFree(session: Session, { id, label, shareLabel = false }: SourceKeyTemplate): void {
  const taken = (what: string): KeyferryError =>
    new KeyferryError("ERR_NAME_TAKEN", `the token already holds an object with this ${what}`, { key: label })
  if (!shareLabel && findObjects(session, template({ label })).length > 0) throw taken("label")
  if (findObjects(session, template({ id: Buffer.from(id, "hex") })).length > 0) throw taken("CKA_ID")
}

function readBack(
  session: Session,
  wanted: SourceKeyTemplate,
  { object, publicHalf }: KeyHandles,
  { reader }: WrapContext,
): FoundKey {
  const kind = `${publicHalf ? "private" : "secret"} ${KEY_SPECS[wanted.keySpec].keyType}`
  const facts = reader.read(session, object, kind)
  const key = describeKey(facts, publicHalf && publicKeyOf(session, publicHalf, wanted.keySpec))
  const signs = KEY_SPECS[wanted.keySpec].mac !== undefined
  // locking comes after the import
  const custody = wanted.custody === "locked" ? "token" : wanted.custody
  const deviations = assessAttributes(facts.attributes, custody, signs, localUseOf(wanted))
  const findings = [
    deviations.length === 0 ? [] : findingsText(deviations),
    wanted.wrapWithTrusted && facts.attributes.wrapWithTrusted !== true ? "CKA_WRAP_WITH_TRUSTED is not kept" : [],
    key?.id === wanted.id ? [] : "CKA_ID is not the one asked for",
    key?.label === wanted.label ? [] : "CKA_LABEL is not the one asked for",
    key?.keySpec === wanted.keySpec ? [] : "it is of another type or length",
  ].flat()
  if (!key || findings.length > 0) {
    throw new KeyferryError("ERR_KEY_ATTRIBUTES", `the new key is not as asked: ${findings.join(", ")}`, {
      key: wanted.label,
    })
  }
  return { key, object, publicHalf }
}

/**
 * Destroys what was made of a key that failed; returns how many of its objects stayed. An object that carries neither
 * the ID nor the label asked for is left alone: a token that confuses its handles would have another key destroyed.
 */
function removeLeftovers(session: Session, wanted: SourceKeyTemplate, made: KeyHandles | undefined): number {
  const handles = made ? [made.object, ...(made.publicHalf ? [made.publicHalf] : [])] : []
  const left = handles.filter((object) => !(isOurs(session, object, wanted) && destroyed(session, object))).length
  try {
    // a token may fail and leave a half behind
    return left + objectsOf(session, wanted).filter((object) => !destroyed(session, object)).length
  } catch {
    return left
  }
}

function isOurs(session: Session, object: Handle, wanted: SourceKeyTemplate): boolean {
  try {
    const { id, label } = identify(session, object)
    return id === wanted.id || label === wanted.label || (id === "" && label === "")
  } catch {
    return false
  }
}

function destroyed(session: Session, object: Handle): boolean {
  try {
    destroyObject(session, object)
    return true
  } catch {
    return false
  }
}
