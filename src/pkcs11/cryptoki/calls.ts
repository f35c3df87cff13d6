import type { Attribute, Handle, KeyPair, Mechanism, PKCS11, Template } from "pkcs11js"
import { attempt, ckrOf, tokenError } from "./errors.js"

export type { Handle, KeyPair, Mechanism, Template }

/**
 * A session as it is lent: one caller, one operation at a time (PKCS #11 v3.1 section 5.6). The calls below name
 * themselves in their failures; those that take the token's time run on libuv's threads.
 */
export interface Session {
  readonly lib: PKCS11
  readonly handle: Handle
  /** Where results are written; an empty buffer would turn a call into a question for the length. */
  readonly result: Buffer
}

/** Larger than any result that is asked for: ImportKeyMaterial takes 6144 bytes at most. */
export const RESULT_BYTES = 8192

export async function generateKey(session: Session, mechanism: number, template: Template): Promise<Handle> {
  try {
    return await session.lib.C_GenerateKeyAsync(session.handle, { mechanism }, template)
  } catch (error) {
    throw tokenError("C_GenerateKey", error)
  }
}

/** The templates of a pair. */
export interface PairTemplates {
  readonly publicKey: Template
  readonly privateKey: Template
}

export async function generateKeyPair(session: Session, mechanism: number, pair: PairTemplates): Promise<KeyPair> {
  const { lib, handle } = session
  try {
    return await lib.C_GenerateKeyPairAsync(handle, { mechanism }, pair.publicKey, pair.privateKey)
  } catch (error) {
    throw tokenError("C_GenerateKeyPair", error)
  }
}

/** The key that wraps or unwraps, and by which mechanism. */
export interface Wrapping {
  readonly mechanism: Mechanism
  readonly wrappingKey: Handle
}

/** The wrapped key, copied out of the session's buffer. */
export async function wrapKey(session: Session, { mechanism, wrappingKey }: Wrapping, key: Handle): Promise<Buffer> {
  const { lib, handle, result } = session
  try {
    return Buffer.from(await lib.C_WrapKeyAsync(handle, mechanism, wrappingKey, key, result))
  } catch (error) {
    throw tokenError("C_WrapKey", error)
  }
}

/** What is to be unwrapped, and what it is to become. */
export interface WrappedKey {
  readonly bytes: Uint8Array
  readonly template: Template
}

/** The session keeps the ciphertext while the call runs: pkcs11js does not (2.1.7). */
export async function unwrapKey(session: Session, wrapping: Wrapping, wrapped: WrappedKey): Promise<Handle> {
  const input = session.result.subarray(0, wrapped.bytes.length)
  input.set(wrapped.bytes)
  const { mechanism, wrappingKey } = wrapping
  try {
    return await session.lib.C_UnwrapKeyAsync(session.handle, mechanism, wrappingKey, input, wrapped.template)
  } catch (error) {
    throw tokenError("C_UnwrapKey", error)
  }
}

/** The key that signs or encrypts, and by which mechanism. */
export interface KeyUse {
  readonly mechanism: Mechanism
  readonly key: Handle
}

/** One-part C_Sign. Synchronous: the asynchronous one does not keep `message` from being collected (pkcs11js 2.1.7). */
export function sign(session: Session, { mechanism, key }: KeyUse, message: Buffer): Buffer {
  attempt("C_SignInit", () => session.lib.C_SignInit(session.handle, mechanism, key))
  return attempt("C_Sign", () => Buffer.from(session.lib.C_Sign(session.handle, message, session.result)))
}

/** One-part C_Encrypt of a few bytes. */
export function encrypt(session: Session, { mechanism, key }: KeyUse, block: Buffer): Buffer {
  attempt("C_EncryptInit", () => session.lib.C_EncryptInit(session.handle, mechanism, key))
  return attempt("C_Encrypt", () => Buffer.from(session.lib.C_Encrypt(session.handle, block, session.result)))
}

export function createObject(session: Session, template: Template): Handle {
  return attempt("C_CreateObject", () => session.lib.C_CreateObject(session.handle, template))
}

export function copyObject(session: Session, object: Handle, template: Template): Handle {
  return attempt("C_CopyObject", () => session.lib.C_CopyObject(session.handle, object, template))
}

export function setAttribute(session: Session, object: Handle, attribute: Attribute): void {
  attempt("C_SetAttributeValue", () => session.lib.C_SetAttributeValue(session.handle, object, [attribute]))
}

export function destroyObject(session: Session, object: Handle): void {
  attempt("C_DestroyObject", () => session.lib.C_DestroyObject(session.handle, object))
}

/** All objects that fit the template; empty for none. */
export function findObjects(session: Session, template: Template): readonly Handle[] {
  const { lib, handle } = session
  attempt("C_FindObjectsInit", () => lib.C_FindObjectsInit(handle, template))
  try {
    const objects: Handle[] = []
    for (;;) {
      const batch = attempt("C_FindObjects", () => lib.C_FindObjects(handle, 256))
      objects.push(...batch)
      if (batch.length === 0) return objects
    }
  } finally {
    attempt("C_FindObjectsFinal", () => lib.C_FindObjectsFinal(handle))
  }
}

/** Attributes in one call, in order; null for one that the token has no value of. Fails as a whole. */
export function getAttributes(session: Session, object: Handle, types: readonly number[]): readonly (Buffer | null)[] {
  const attributes: readonly { value?: Buffer }[] = attempt("C_GetAttributeValue", () =>
    session.lib.C_GetAttributeValue(
      session.handle,
      object,
      types.map((type) => ({ type })),
    ),
  )
  return attributes.map(({ value }) => value ?? null)
}

/** One attribute; null where the token does not know it or will not tell. */
export function getAttribute(session: Session, object: Handle, type: number): Buffer | null {
  try {
    return getAttributes(session, object, [type])[0] ?? null
  } catch (error) {
    if (isSilence(error)) return null
    throw error
  }
}

/** Attributes in one call, or one by one where the token fails it as a whole; null for each that it will not tell. */
export function getSome(session: Session, object: Handle, types: readonly number[]): readonly (Buffer | null)[] {
  try {
    return getAttributes(session, object, types)
  } catch (error) {
    if (!isSilence(error)) throw error
    return types.map((type) => getAttribute(session, object, type))
  }
}

/** Objects that are destroyed when this is disposed, whatever happened meanwhile. */
export class OwnedObjects implements Disposable {
  readonly #session: Session
  readonly #objects: Handle[] = []

  constructor(session: Session) {
    this.#session = session
  }

  /** Takes an object on; returns it. */
  add(object: Handle): Handle {
    this.#objects.push(object)
    return object
  }

  /** Gives an object up, which lives on; returns it. */
  release(object: Handle): Handle {
    this.#objects.splice(this.#objects.indexOf(object), 1)
    return object
  }

  [Symbol.dispose](): void {
    for (const object of this.#objects) {
      try {
        destroyObject(this.#session, object)
      } catch {
        // a session object whose session is gone went with it
      }
    }
  }
}

function isSilence(error: unknown): boolean {
  const code = ckrOf(error)
  return code === "CKR_ATTRIBUTE_TYPE_INVALID" || code === "CKR_ATTRIBUTE_SENSITIVE"
}
