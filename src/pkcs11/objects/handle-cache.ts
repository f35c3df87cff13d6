import pkcs11js from "pkcs11js"
import { KeyferryError } from "../../core/base/error.js"
import { isAsymmetric } from "../../core/key/key-spec.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { Handle, Session } from "../cryptoki/calls.js"
import { ckrOf } from "../cryptoki/errors.js"
import { type FoundKey, identify, objectsOf } from "./source-key.js"

export interface LocatedKey {
  readonly object: Handle
  readonly publicHalf: Handle | null
  /** SubjectPublicKeyInfo, DER, of an unsealed pair: it has no public half in the token, and NSS wants its point to unseal. */
  readonly publicKey: Uint8Array | null
}

/** What a key is looked for by. */
export type KeyName = Pick<SourceKey, "id" | "label" | "keySpec">

interface Remembered extends LocatedKey {
  /** A session object made here: nobody else can destroy it and have its handle given to another. */
  readonly madeHere: boolean
  /** Lets go of the session that the object lives in. */
  readonly release: () => void
}

/** Of a key that was made here. */
interface MadeKey extends FoundKey {
  readonly publicKey?: Uint8Array | null
  /** Called when a session object is taken out again. */
  readonly release?: () => void
}

const nothing = (): void => undefined

/**
 * Remembers the handles of keys that were made or found, since a search reads every object of the token. The handle of
 * a token object is believed only after the object has told its class, CKA_ID and label again: tokens reuse handles.
 */
export class HandleCache {
  readonly #byIdentity = new Map<string, Remembered>()
  /** Session objects made here, by the very key that was handed out: two may have one identity. */
  readonly #made = new WeakMap<object, Remembered>()

  /** Remembers a key that was found. */
  put({ key, object, publicHalf }: FoundKey): void {
    if (this.#byIdentity.get(identityText(key))?.madeHere === true) return
    this.#byIdentity.set(identityText(key), foundElsewhere(object, publicHalf))
  }

  /** Remembers a key that was made here. */
  putMade({ key, object, publicHalf, publicKey = null, release = nothing }: MadeKey): void {
    const madeHere = key.custody === "session"
    const remembered = { object, publicHalf, publicKey, madeHere, release }
    if (madeHere) this.#made.set(key, remembered)
    if (!madeHere || !this.#byIdentity.has(identityText(key))) this.#byIdentity.set(identityText(key), remembered)
  }

  /** Forgets a key; returns its objects where they are all that can carry its identity, so that none need be searched. */
  take(key: Pick<SourceKey, "id" | "label">): readonly Handle[] | undefined {
    const ofIdentity = this.#byIdentity.get(identityText(key))
    const remembered = this.#made.get(key) ?? ofIdentity
    this.#made.delete(key)
    if (ofIdentity === remembered) this.#byIdentity.delete(identityText(key))
    if (!remembered?.madeHere) return undefined
    remembered.release()
    return remembered.publicHalf ? [remembered.object, remembered.publicHalf] : [remembered.object]
  }

  /** The key's objects now. Throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS. */
  locate(session: Session, key: KeyName): LocatedKey {
    const remembered = this.#made.get(key) ?? this.#byIdentity.get(identityText(key))
    if (remembered && (remembered.madeHere || isStill(session, remembered, key))) return remembered
    const objects = objectsOf(session, key).map((object) => ({ object, class: identify(session, object).class }))
    const [main, duplicate] = objects.filter((candidate) => candidate.class === classOf(key))
    if (main === undefined) {
      throw new KeyferryError("ERR_KEY_NOT_FOUND", "the source key is not in the token", { key: key.label })
    }
    if (duplicate) {
      throw new KeyferryError("ERR_KEY_AMBIGUOUS", "several keys carry its ID and label", { key: key.label })
    }
    const publicHalf = objects.find((candidate) => candidate.class === pkcs11js.CKO_PUBLIC_KEY)?.object ?? null
    const located = foundElsewhere(main.object, publicHalf)
    this.#byIdentity.set(identityText(key), located)
    return located
  }
}

function foundElsewhere(object: Handle, publicHalf: Handle | null): Remembered {
  return { object, publicHalf, publicKey: null, madeHere: false, release: nothing }
}

function isStill(session: Session, { object, publicHalf }: LocatedKey, key: KeyName): boolean {
  const is = (handle: Handle, cls: number): boolean => {
    try {
      const identity = identify(session, handle)
      return identity.class === cls && identity.id === key.id && identity.label === key.label
    } catch (error) {
      if (ckrOf(error) === "CKR_OBJECT_HANDLE_INVALID" || ckrOf(error) === "CKR_KEY_HANDLE_INVALID") return false
      throw error
    }
  }
  return is(object, classOf(key)) && (publicHalf === null || is(publicHalf, pkcs11js.CKO_PUBLIC_KEY))
}

function classOf(key: KeyName): number {
  return isAsymmetric(key.keySpec) ? pkcs11js.CKO_PRIVATE_KEY : pkcs11js.CKO_SECRET_KEY
}

function identityText({ id, label }: Pick<SourceKey, "id" | "label">): string {
  return `${id} ${label}`
}
