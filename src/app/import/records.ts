import { KeyferryError } from "../../core/base/error.js"
import { expirationModelOf, rfc3339, validToFrom } from "../../core/base/expiry.js"
import type { Secret } from "../../core/base/secret.js"
import type { WrappedKeyMaterial } from "../../core/key/wrapping.js"
import { type ImportParameters, sha256 } from "../../core/key/wrapping-key.js"
import type { ImportTerms, Kms } from "../../core/ports/kms.js"
import {
  generationsOf,
  type ImportRecord,
  type InventoryEntry,
  keyArnIn,
  type MadeEntry,
  withImport,
} from "../../core/records/inventory.js"
import type { Deps } from "../deps.js"
import { record, type RecordDeps, type Step } from "../record.js"

export interface WrappedForImport {
  readonly parameters: ImportParameters
  readonly wrapped: Pick<WrappedKeyMaterial, "bytes"> & Pick<ImportRecord, "wrapPath" | "mechanisms">
}

/** As what KMS is to take material: as new, as what it is bound to, or as it sees fit. */
export type Pin = Pick<ImportTerms, "importType" | "keyMaterialId">

/** An import whose intention is on disk. */
export interface Announced {
  readonly importing: NonNullable<InventoryEntry["importing"]>
  /** What all its events are about. */
  readonly subject: Pick<Step<"import.done">, "key" | "keyArn" | "token">
  readonly facts: NonNullable<Step<"import.intended">["facts"]>
}

/** What an import sends. */
export interface Sending extends Announced {
  readonly importToken: Secret<Uint8Array>
  readonly bytes: Uint8Array
  readonly terms: ImportTerms
}

export interface Imported {
  readonly entry: MadeEntry
  readonly record: ImportRecord
}

interface Intention {
  readonly entry: MadeEntry
  readonly generation?: number
  readonly expiresIn: string
}

/** Writes down what is about to be sent: durable when this returns, in entry and custody log (invariant I8). */
export async function intend(
  deps: Pick<Deps, "kms" | "inventory" | "clock"> & RecordDeps,
  intention: Intention,
  { parameters, wrapped, pin }: WrappedForImport & { readonly pin: Pin },
): Promise<Sending> {
  const { entry, expiresIn } = intention
  const validTo = validToFrom(expiresIn, deps.clock.now())
  const importing = {
    region: deps.kms.region,
    generation: generationOf(intention),
    wrappingAlgorithm: parameters.wrappingAlgorithm,
    wrappingKeySpec: parameters.wrappingKeySpec,
    wrapPath: wrapped.wrapPath,
    mechanisms: wrapped.mechanisms,
    wrappingKeyFingerprint: parameters.wrappingKey.fingerprint,
    encryptedKeyMaterialDigest: sha256(wrapped.bytes),
    expirationModel: expirationModelOf(validTo),
    validTo: validTo === null ? null : rfc3339(validTo),
  }
  const { subject, facts } = announced(entry, importing, pin)
  await Promise.all([
    deps.inventory.put({ ...entry, importing }),
    record(deps, "import.intended", { ...subject, facts }),
  ])
  const { importToken } = parameters
  return { importing, importToken, bytes: wrapped.bytes, terms: { validTo, ...pin }, subject, facts }
}

/** What is said of an import. */
export function announced(entry: MadeEntry, importing: Announced["importing"], pin: Pin): Announced {
  const facts = {
    region: importing.region,
    wrappingAlgorithm: importing.wrappingAlgorithm,
    wrappingKeySpec: importing.wrappingKeySpec,
    wrappingKeyFingerprint: importing.wrappingKeyFingerprint,
    validTo: importing.validTo,
    digest: importing.encryptedKeyMaterialDigest,
    importType: pin.importType,
    pinnedTo: pin.keyMaterialId,
    unenforced: entry.unenforced ?? undefined,
  }
  return { importing, subject: importedKey(entry, importing), facts }
}

/** Writes down that KMS took it. The entry keeps `importing` until the proof is recorded: only then is the import over. */
export async function recordImported(
  deps: Pick<Deps, "clock"> & RecordDeps,
  { importing, subject, facts }: Announced,
  { keyMaterialId, requestId, keyExchange = null }: Omit<Awaited<ReturnType<Kms["importKeyMaterial"]>>, "associated">,
): Promise<ImportRecord> {
  const { expirationModel } = importing
  const exchange = keyExchange === null ? {} : { keyExchange }
  await record(deps, "import.done", {
    ...subject,
    facts: { ...facts, keyMaterialId, requestId, ...exchange, expirationModel },
  })
  const importedAt = rfc3339(deps.clock.now())
  return {
    ...importing,
    keyMaterialId,
    importedAt,
    requestId,
    ...exchange,
    proof: { kind: "none", result: "accepted" },
  }
}

/** Writes down the outcome of an import: its record with the proof, and that none is under way. */
export async function recordProof(
  deps: Pick<Deps, "inventory"> & RecordDeps,
  entry: MadeEntry,
  proven: ImportRecord,
): Promise<Imported> {
  const updated = { ...entry, ...withImport(entry, proven), importing: null, withheldAt: null, keyArn: entry.keyArn }
  await deps.inventory.put(updated)
  const { region, keyMaterialId, validTo, proof } = proven
  await record(deps, "import.proven", {
    ...importedKey(entry, proven),
    facts: { region, kind: proof.kind, result: proof.result, keyMaterialId, validTo },
  })
  return { entry: updated, record: proven }
}

/** Which key, into which KMS key. */
function importedKey(entry: MadeEntry, { region, generation }: Pick<ImportRecord, "region" | "generation">) {
  const source = generationsOf(entry).find((recorded) => recorded.generation === generation) ?? entry.source
  const { owner, name, target, token } = entry
  return { key: { owner, name, target, source }, keyArn: keyArnIn(entry, region), token }
}

export const generationOf = ({ generation, entry }: Pick<Intention, "generation" | "entry">): number =>
  generation ?? entry.source.generation

/** ARN of the entry's KMS key in a Region. */
export function keyArnOf(entry: InventoryEntry, region: string): string {
  const keyArn = keyArnIn(entry, region)
  if (keyArn === undefined) throw new KeyferryError("ERR_BUG", `${entry.name} has no KMS key in ${region}`)
  return keyArn
}
