import { KeyferryError } from "../../core/base/error.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { CKA, template } from "../cryptoki/attributes.js"
import { findObjects, type Handle, type Session, setAttribute } from "../cryptoki/calls.js"
import { failureText, refusalOf } from "../cryptoki/errors.js"
import type { HandleCache } from "../session/handle-cache.js"
import { findSourceKeys, type FoundKey } from "./source-key.js"
import type { WrapContext } from "../wrap/wrap.js"

const KEPT = "the key was not destroyed; look with `keyferry key list`"

/**
 * Sets CKA_EXTRACTABLE to false, which no call can undo, and reads it back.
 *
 * @throws ERR_KEY_ATTRIBUTES where the token keeps it true
 */
export function lockKey(session: Session, key: SourceKey, context: WrapContext, handles: HandleCache): FoundKey {
  const { object } = handles.locate(session, key)
  const refusal = refusedTo(() => setAttribute(session, object, { type: CKA.extractable, value: false }))
  const found = readAgain(session, key, context)
  if (found.key.attributes.extractable === false) return found
  throw unchanged(key.label, `the token does not lock the key: CKA_EXTRACTABLE stays true${refusal}`)
}

/**
 * Gives every object of the key a new CKA_ID and label; what was changed is changed back where the token stops midway.
 *
 * @throws ERR_NAME_TAKEN, ERR_KEY_ATTRIBUTES
 */
export function relabelKey(
  session: Session,
  key: SourceKey,
  to: { readonly id: string; readonly label: string },
  context: WrapContext,
  handles: HandleCache,
): FoundKey {
  const { object, publicHalf } = handles.locate(session, key)
  const objects = publicHalf ? [publicHalf, object] : [object]
  if (to.id !== key.id) assertFree(session, "CKA_ID", { id: Buffer.from(to.id, "hex") }, to.label)
  if (to.label !== key.label) assertFree(session, "label", { label: to.label }, to.label)
  const refusal = refusedTo(() => objects.forEach((one) => name(session, one, to)))
  if (refusal !== "") {
    for (const one of objects) refusedTo(() => name(session, one, key))
    throw unchanged(key.label, `the token does not take another name for the key${refusal}`)
  }
  handles.take(key)
  return readAgain(session, { ...key, ...to }, context)
}

function name(session: Session, object: Handle, { id, label }: { readonly id: string; readonly label: string }): void {
  setAttribute(session, object, { type: CKA.id, value: Buffer.from(id, "hex") })
  setAttribute(session, object, { type: CKA.label, value: label })
}

function assertFree(session: Session, what: string, by: Parameters<typeof template>[0], key: string): void {
  if (findObjects(session, template(by)).length === 0) return
  throw new KeyferryError("ERR_NAME_TAKEN", `the token already holds an object with this ${what}`, { key })
}

function readAgain(session: Session, { id, label }: SourceKey, context: WrapContext): FoundKey {
  const [found] = findSourceKeys(session, context.reader, { id, label }, { anyLabel: true }).keys
  if (found) return found
  throw unchanged(label, "the key does not read back as it was changed")
}

/** The refusal in words to follow a sentence; empty where the token did it. */
function refusedTo(change: () => void): string {
  try {
    change()
    return ""
  } catch (error) {
    return ` (${failureText(refusalOf(error))})`
  }
}

function unchanged(key: string, message: string): KeyferryError {
  return new KeyferryError("ERR_KEY_ATTRIBUTES", message, { key, hint: KEPT })
}
