import { createHash } from "node:crypto"
import type { KeySpec } from "../protocol/key-spec.js"
import { recorded } from "../protocol/refusal.js"
import { isPrimary, type Key, type Material } from "./state.js"

export type ImportType = "NEW_KEY_MATERIAL" | "EXISTING_KEY_MATERIAL"

/** What was unwrapped, checked and brought into one form, so that two encodings of one key are one material. */
export interface Plaintext {
  /** Raw bytes, or PKCS #8 in DER. */
  readonly secret: Buffer
  /** What identifies the material: the bytes themselves, or the public key as SPKI. */
  readonly identity: Buffer
}

export interface MaterialOptions {
  readonly importType: ImportType | undefined
  readonly keyMaterialId: string | undefined
  readonly description: string | undefined
  readonly validTo: number | undefined
}

export const isSymmetric = (keySpec: KeySpec): boolean => keySpec === "SYMMETRIC_DEFAULT"

/**
 * The identifier of a material in a key, 64 hex digits. The service's function is unpublished; this one is any hash of
 * key ID and material.
 */
export function keyMaterialId(keyId: string, identity: Uint8Array): string {
  return createHash("sha256").update(keyId).update("\0").update(identity).digest("hex")
}

export const currentMaterial = ({ set }: Key): Material | undefined =>
  set.materials.find((material) => material.state === "CURRENT")

/** Puts unwrapped material into a key, as the import type says; throws the refusals of ImportKeyMaterial. */
export function importMaterial(key: Key, plaintext: Plaintext, options: MaterialOptions): Material {
  const { set } = key
  const id = keyMaterialId(set.id, plaintext.identity)
  const type = options.importType ?? (set.materials.length === 0 ? "NEW_KEY_MATERIAL" : "EXISTING_KEY_MATERIAL")
  const material = type === "NEW_KEY_MATERIAL" ? addMaterial(key, id) : existingMaterial(key, id, options.keyMaterialId)
  key.holdings.set(id, { secret: plaintext.secret.toString("base64"), validTo: options.validTo })
  material.description = options.description ?? material.description
  // an import enables the key, even one that was disabled on purpose
  key.enabled = true
  return material
}

function addMaterial({ set, arn }: Key, id: string): Material {
  if (set.materials.some((material) => material.id === id)) throw recorded.alreadyAssociated(id, arn)
  const pending = set.materials.find((material) => material.state === "PENDING")
  if (pending !== undefined) throw recorded.anotherPending(id, arn, pending.id)
  const added: Material = { id, state: set.materials.length === 0 ? "CURRENT" : "PENDING" }
  set.materials.push(added)
  return added
}

function existingMaterial(key: Key, id: string, expected: string | undefined): Material {
  if (expected !== undefined && expected !== id) throw recorded.unexpectedMaterial(expected)
  const existing = key.set.materials.find((material) => material.id === id)
  if (existing !== undefined) return existing
  const current = currentMaterial(key)
  if (expected !== undefined || current === undefined) throw recorded.neverImported(id, key.arn)
  throw recorded.unexpectedMaterial(current.id)
}

/**
 * Deletes a material in one Region, the current one by default; doing it twice is no error. Pending material is forgotten
 * in every Region when it is deleted in that of the primary key.
 */
export function deleteMaterial(key: Key, id: string | undefined): Material | undefined {
  const { set } = key
  const deleted = id === undefined ? currentMaterial(key) : set.materials.find((material) => material.id === id)
  if (deleted === undefined) {
    if (id === undefined) return undefined
    throw recorded.neverImported(id, key.arn)
  }
  const forgotten = deleted.state === "PENDING" && isPrimary(key)
  if (forgotten) set.materials = set.materials.filter((material) => material !== deleted)
  for (const related of forgotten ? set.keys.values() : [key]) related.holdings.delete(deleted.id)
  return deleted
}
