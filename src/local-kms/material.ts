import { createHash } from "node:crypto"
import type { KeySpec } from "../core/key-spec.js"
import type { Plaintext } from "./plaintext.js"
import { recorded } from "./refusal.js"
import type { Key, Material } from "./state.js"

export type ImportType = "NEW_KEY_MATERIAL" | "EXISTING_KEY_MATERIAL"

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

export const currentMaterial = (key: Key): Material | undefined =>
  key.materials.find((material) => material.state === "CURRENT")

/** Puts unwrapped material into a key, as the import type says; throws the refusals of ImportKeyMaterial. */
export function importMaterial(key: Key, plaintext: Plaintext, options: MaterialOptions): Material {
  const id = keyMaterialId(key.id, plaintext.identity)
  const type = options.importType ?? (key.materials.length === 0 ? "NEW_KEY_MATERIAL" : "EXISTING_KEY_MATERIAL")
  const material = type === "NEW_KEY_MATERIAL" ? addMaterial(key, id) : existingMaterial(key, id, options.keyMaterialId)
  material.secret = plaintext.secret.toString("base64")
  material.validTo = options.validTo
  material.expired = undefined
  material.description = options.description ?? material.description
  // an import enables the key, even one that was disabled on purpose
  key.enabled = true
  return material
}

function addMaterial(key: Key, id: string): Material {
  if (key.materials.some((material) => material.id === id)) throw recorded.alreadyAssociated(id, key.arn)
  const pending = key.materials.find((material) => material.state === "PENDING_ROTATION")
  if (pending !== undefined) throw recorded.anotherPending(id, key.arn, pending.id)
  const added: Material = { id, state: key.materials.length === 0 ? "CURRENT" : "PENDING_ROTATION" }
  key.materials.push(added)
  return added
}

function existingMaterial(key: Key, id: string, expected: string | undefined): Material {
  if (expected !== undefined && expected !== id) throw recorded.unexpectedMaterial(expected)
  const found = key.materials.find((material) => material.id === id)
  if (found !== undefined) return found
  const current = currentMaterial(key)
  if (expected !== undefined || current === undefined) throw recorded.neverImported(id, key.arn)
  throw recorded.unexpectedMaterial(current.id)
}

/** Deletes a material, the current one by default; doing it twice is no error. Pending material is forgotten. */
export function deleteMaterial(key: Key, id: string | undefined): Material | undefined {
  const found = id === undefined ? currentMaterial(key) : key.materials.find((material) => material.id === id)
  if (found === undefined) {
    if (id === undefined) return undefined
    throw recorded.neverImported(id, key.arn)
  }
  if (found.state === "PENDING_ROTATION") {
    key.materials = key.materials.filter((material) => material !== found)
    return found
  }
  found.secret = undefined
  found.validTo = undefined
  found.expired = undefined
  return found
}
