import { KeyferryError } from "../../core/base/error.js"
import type { SealedBytes, CustodyKey, SealedMaterial } from "../../core/records/sealed-material.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import type { Token } from "../../core/ports/token.js"
import { newSourceKeyId } from "../../core/key/source-key.js"

/** How it is seen that two ciphertexts hold one key, without any of it leaving the token. */
export type Opener = Pick<Token, "seal" | "unseal" | "destroySourceKey" | "probeCustody">

type Under = Pick<CustodyKey, "id" | "label">

/**
 * Unseals into a session object for as long as it takes to seal that again, under the same custody key or another one.
 *
 * @throws ERR_CUSTODY_KEY_MISSING, ERR_SEALED_UNREADABLE and what sealing throws
 */
export async function sealedAgain(token: Opener, sealed: SealedMaterial, custodyKey: Under): Promise<SealedBytes> {
  // an object of the same identity may be in the token: this one must not be taken for it, nor it for this one
  const opened = await token.unseal({ ...sealed, id: newSourceKeyId() })
  try {
    return await token.seal(opened, custodyKey)
  } finally {
    await token.destroySourceKey(opened)
  }
}

/** What sealed material is held against. */
export interface Original {
  readonly ciphertext: Uint8Array
  readonly custodyKey: Under
  /** What helps where the token shortens the key, if not what helps a key that is in the vault alone. */
  readonly shortHint?: string
}

/**
 * Holds sealed material against a ciphertext of the same key: opened and sealed again under that one's custody key it
 * must be equal to the last byte, since AES-KWP has no randomness (RFC 5649 section 4.1).
 *
 * @throws ERR_SEALED_UNREADABLE where it is another key, or does not open
 */
export async function assertSame(token: Opener, sealed: SealedMaterial, original: Original): Promise<void> {
  const resealed = await sealedAgain(token, sealed, original.custodyKey)
  if (isEqual(resealed.ciphertext, original.ciphertext)) return
  if (await shortens(token, sealed.keySpec)) {
    throw new KeyferryError(
      "ERR_SHORT_SCALAR",
      `the token changes the private key of ${sealed.label} when it unseals it: it drops leading zero bytes of EC private keys, or adds one`,
      { key: sealed.label, ...(original.shortHint === undefined ? {} : { hint: original.shortHint }) },
    )
  }
  throw new KeyferryError("ERR_SEALED_UNREADABLE", `what was sealed of ${sealed.label} does not open to the same key`, {
    key: sealed.label,
    hint: "nothing was replaced or destroyed; the token does not unseal what it seals: `keyferry token probe --fresh`",
  })
}

/** Whether the token was seen to change some EC private keys when it unseals them. */
export async function shortens(token: Pick<Token, "probeCustody">, keySpec: KeySpec): Promise<boolean> {
  if (KEY_SPECS[keySpec].family !== "ec") return false
  const { sealing } = await token.probeCustody({ keySpecs: [keySpec] })
  return sealing[keySpec]?.shortScalars === true
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
