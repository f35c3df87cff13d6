import { KeyferryError } from "../../core/base/error.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { CKA } from "../cryptoki/attributes.js"
import { type Handle, type Session, setAttribute } from "../cryptoki/calls.js"
import { failureText, refusalOf } from "../cryptoki/errors.js"
import type { TokenSession } from "../session/pool.js"
import type { HandleCache } from "./handle-cache.js"
import { assertUnused, findSourceKeys, type FoundKey } from "./source-key.js"

const KEPT = "the key was not destroyed; look with `keyferry key list`"

/** CKA_ID, hex, and label. */
interface Name {
  readonly id: string
  readonly label: string
}

/**
 * Sets CKA_EXTRACTABLE to false, which no call can undo, and reads it back.
 *
 * @throws ERR_KEY_ATTRIBUTES where the token keeps it true
 */
export function lockKey(session: TokenSession, handles: HandleCache, key: SourceKey): FoundKey {
  const { object } = handles.locate(session, key)
  const refusal = refusedTo(() => setAttribute(session, object, { type: CKA.extractable, value: false }))
  const locked = readAgain(session, key)
  if (locked.key.attributes.extractable === false) return locked
  throw unchanged(key.label, `the token does not lock the key: CKA_EXTRACTABLE stays true${refusal}`)
}

/**
 * Gives every object of the key a new CKA_ID and label; what was changed is changed back where the token stops midway.
 *
 * @throws ERR_NAME_TAKEN, ERR_KEY_ATTRIBUTES
 */
export function relabelKey(
  session: TokenSession,
  handles: HandleCache,
  { key, newName }: { readonly key: SourceKey; readonly newName: Name },
): FoundKey {
  const { object, publicHalf } = handles.locate(session, key)
  const objects = publicHalf ? [publicHalf, object] : [object]
  const { id, label } = newName
  if (id !== key.id) assertUnused(session, { id }, label)
  if (label !== key.label) assertUnused(session, { label }, label)
  const refusal = refusedTo(() => objects.forEach((each) => setName(session, each, newName)))
  if (refusal !== "") {
    for (const each of objects) refusedTo(() => setName(session, each, key))
    throw unchanged(key.label, `the token does not take another name for the key${refusal}`)
  }
  handles.take(key)
  return readAgain(session, newName)
}

function setName(session: Session, object: Handle, { id, label }: Name): void {
  setAttribute(session, object, { type: CKA.id, value: Buffer.from(id, "hex") })
  setAttribute(session, object, { type: CKA.label, value: label })
}

function readAgain(session: TokenSession, { id, label }: Name): FoundKey {
  const [changed] = findSourceKeys(session, { id, label, anyLabel: true }).keys
  if (changed) return changed
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
