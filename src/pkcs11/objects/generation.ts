import { assessAttributes, findingsText, type LocalUsage } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { KEY_SPECS } from "../../core/key/key-spec.js"
import { localUsages, proofUsages, type SourceKeyTemplate } from "../../core/key/source-key.js"
import { destroyObject, generateKey, generateKeyPair, type Handle, type Session } from "../cryptoki/calls.js"
import { ckrOf, restate } from "../cryptoki/errors.js"
import { publicKeyOf } from "./public-key.js"
import type { TokenSession } from "../session/pool.js"
import { assertUnused, describeKey, type FoundKey, identify, objectsOf } from "./source-key.js"
import { generationOf, type NewKey } from "./template.js"

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
export async function generate(session: TokenSession, newKey: NewKey): Promise<KeyHandles> {
  const { mechanism, key, publicHalf } = generationOf(newKey, session.profile)
  if (!publicHalf) return { object: await generateKey(session, mechanism, key), publicHalf: null }
  const pair = await generateKeyPair(session, mechanism, { publicKey: publicHalf, privateKey: key })
  return { object: pair.privateKey, publicHalf: pair.publicKey }
}

/**
 * Generates a source key and reads it back. A key that is not as its custody asks is destroyed again, and so is what a
 * failing token leaves behind.
 *
 * @throws ERR_NAME_TAKEN, ERR_KEY_SPEC_UNSUPPORTED, ERR_KEY_ATTRIBUTES, ERR_TOKEN_*
 */
export async function generateSourceKey(session: TokenSession, template: SourceKeyTemplate): Promise<FoundKey> {
  const { id, label, shareLabel = false } = template
  assertUnused(session, shareLabel ? { id } : { id, label }, label)
  let handles: KeyHandles | undefined
  try {
    handles = await generate(session, newKeyOf(template))
    return readBack(session, template, handles)
  } catch (error) {
    const remaining = removeLeftovers(session, template, handles)
    throw restateGeneration(error, template, remaining)
  }
}

/** A refusal of the key spec under its own code; every other failure as it is, with the key's name. */
function restateGeneration(error: unknown, { keySpec, label: key }: SourceKeyTemplate, remaining: number): unknown {
  if (!(error instanceof KeyferryError)) return error
  const remains = remaining === 0 ? "" : `; ${remaining} objects of it could not be destroyed`
  if (isUnsupported(error)) {
    const message = `the token cannot generate ${keySpec}${remains}`
    return restate(error, { code: "ERR_KEY_SPEC_UNSUPPORTED", message, key })
  }
  return restate(error, { message: `${error.message}${remains}`, key })
}

/** Whether the token has no such key, rather than a fault. */
export function isUnsupported(error: unknown): boolean {
  return UNSUPPORTED.has(ckrOf(error) ?? "")
}

function newKeyOf(template: SourceKeyTemplate): NewKey {
  return {
    keySpec: template.keySpec,
    id: Buffer.from(template.id, "hex"),
    label: template.label,
    token: template.custody !== "session",
    extractable: true,
    wrapWithTrusted: template.wrapWithTrusted,
    usages: usagesOf(template),
  }
}

/** What the key may do: sign, where a MAC is its proof, and what `localUse` of a locked key allows. */
function usagesOf({ custody, localUse = false, keySpec, keyUsage }: SourceKeyTemplate): readonly LocalUsage[] {
  const local = custody === "locked" && localUse ? localUsages(keySpec, keyUsage) : []
  return [...new Set([...proofUsages(keySpec), ...local])]
}

function readBack(session: TokenSession, template: SourceKeyTemplate, handles: KeyHandles): FoundKey {
  const { object, publicHalf } = handles
  const kind = `${publicHalf ? "private" : "secret"} ${KEY_SPECS[template.keySpec].keyType}`
  const facts = session.reader.read(session, object, kind)
  const key = describeKey(facts, publicHalf && publicKeyOf(session, publicHalf, template.keySpec))
  // locking comes after the import
  const custody = template.custody === "locked" ? "token" : template.custody
  const deviations = assessAttributes(facts.attributes, custody, usagesOf(template))
  const findings = [
    deviations.length === 0 ? [] : findingsText(deviations),
    template.wrapWithTrusted && facts.attributes.wrapWithTrusted !== true ? "CKA_WRAP_WITH_TRUSTED is not kept" : [],
    key?.id === template.id ? [] : "CKA_ID is not the one asked for",
    key?.label === template.label ? [] : "CKA_LABEL is not the one asked for",
    key?.keySpec === template.keySpec ? [] : "it is of another type or length",
  ].flat()
  if (!key || findings.length > 0) {
    throw new KeyferryError("ERR_KEY_ATTRIBUTES", `the new key is not as asked: ${findings.join(", ")}`, {
      key: template.label,
    })
  }
  return { key, object, publicHalf }
}

/**
 * Destroys what was made of a key that failed; returns how many of its objects stayed. An object that carries neither
 * the ID nor the label asked for is left alone: a token that confuses its handles would have another key destroyed.
 */
function removeLeftovers(session: Session, template: SourceKeyTemplate, generated: KeyHandles | undefined): number {
  const objects = generated ? [generated.object, ...(generated.publicHalf ? [generated.publicHalf] : [])] : []
  const remaining = objects.filter(
    (object) => !(isOurs(session, object, template) && destroyed(session, object)),
  ).length
  try {
    // a token may fail and leave a half behind
    return remaining + objectsOf(session, template).filter((object) => !destroyed(session, object)).length
  } catch {
    return remaining
  }
}

function isOurs(session: Session, object: Handle, template: SourceKeyTemplate): boolean {
  try {
    const { id, label } = identify(session, object)
    return id === template.id || label === template.label || (id === "" && label === "")
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
