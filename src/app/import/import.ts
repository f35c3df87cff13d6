import { KeyferryError } from "../../core/base/error.js"
import { expirationModelOf, rfc3339, validToFrom } from "../../core/base/expiry.js"
import {
  generationsOf,
  type ImportRecord,
  importOf,
  type InventoryEntry,
  keyArnIn,
  type Proof,
  withImport,
  type MadeEntry,
} from "../../core/records/inventory.js"
import type { ImportTerms, Kms } from "../../core/ports/kms.js"
import type { WrapCapability, WrappedKeyMaterial } from "../../core/key/wrapping.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { type ImportParameters, sha256 } from "../../core/key/wrapping-key.js"
import type { Deps } from "../deps.js"
import { proveAgainstToken } from "./prove.js"
import { record, recordFailure, type RecordDeps } from "../record.js"
import { settled } from "../kms-key/eventual.js"

/**
 * One import of one generation into the KMS key of one Region, that of `deps.kms`; everything that can be refused was
 * refused before.
 */
export interface ImportStep {
  readonly entry: MadeEntry
  readonly source: SourceKey
  /** Of the source key; the newest where it is left out. */
  readonly generation?: number
  /** To import it as new whatever the records say: KMS forgets pending material that is deleted. */
  readonly importType?: "NEW_KEY_MATERIAL"
  readonly capability: WrapCapability
  /** A duration, a time, or `never`; counted from the moment of the import. */
  readonly expiresIn: string
  readonly prove: "full" | "accept"
}

type ImportDeps = Pick<Deps, "token" | "kms" | "inventory" | "clock" | "sleep"> & RecordDeps

/**
 * Parameters, wrap, import, prove, record. What the import is about is on disk before ImportKeyMaterial is called, so
 * that a run that dies in between is understood by the next. Killed and run again it repeats the same import, which KMS
 * takes as the same material.
 *
 * @throws ERR_PROOF_FAILED after recording the failed proof; whatever Token and Kms throw
 */
export async function importKey(
  deps: ImportDeps,
  step: ImportStep,
): Promise<{ entry: ImportStep["entry"]; record: ImportRecord }> {
  const { region } = deps.kms
  let { entry, record: imported } = acceptedBefore(step, region) ?? (await importAndProve(deps, step))
  let { proof } = imported

  if (proof.kind === "none" && step.prove === "full") {
    if (imported.keyMaterialId === null) {
      deps.progress.warn(
        "KMS named no KeyMaterialId, so the second, pinned import that would be the proof is not possible",
      )
      return { entry, record: imported }
    }
    deps.progress.step(`importing once more, pinned to key material ${imported.keyMaterialId}, as the proof`)
    proof = { kind: "key-material-id", result: "proven" }
    try {
      const second = await importOnce(deps, step, entry, pinnedTo(imported.keyMaterialId))
      ;({ entry, record: imported } = await recordProof(deps, second.entry, second.record, proof))
    } catch (error) {
      if (!(error instanceof KeyferryError && error.code === "ERR_KMS_KEY_MATERIAL")) throw error
      proof = { kind: "key-material-id", result: "failed" }
      ;({ entry, record: imported } = await recordProof(deps, { ...entry, importing: null }, imported, proof))
    }
  }
  if (proof.result === "failed") {
    throw new KeyferryError(
      "ERR_PROOF_FAILED",
      `KMS does not hold the key material of ${entry.name} (proof by ${proof.kind})`,
      {
        key: keyArnOf(entry, region),
      },
    )
  }
  return { entry, record: imported }
}

function keyArnOf(entry: InventoryEntry, region: string): string {
  const keyArn = keyArnIn(entry, region)
  if (keyArn === undefined) throw new KeyferryError("ERR_BUG", `${entry.name} has no KMS key in ${region}`)
  return keyArn
}

const generationOf = ({ generation, entry }: Pick<ImportStep, "generation" | "entry">): number =>
  generation ?? entry.source.generation

/** Whether a second, pinned import would turn KMS' acceptance into a proof. */
export function provable({ proof, keyMaterialId }: ImportRecord): boolean {
  return proof.kind === "none" && proof.result === "accepted" && keyMaterialId !== null
}

/** The import of an earlier run that only wants its proof. */
function acceptedBefore(step: ImportStep, region: string): Imported | undefined {
  const { entry, prove, importType } = step
  if (importType !== undefined) return undefined
  const before = importOf(entry, generationOf(step), region)
  const wantsProof = prove === "full" && entry.importing === null && before !== undefined && provable(before)
  return wantsProof ? { entry, record: before } : undefined
}

async function importAndProve(deps: ImportDeps, step: ImportStep): Promise<Imported> {
  const pin = pinOf(step)
  const { entry, record: imported, associated } = await importOnce(deps, step, step.entry, pin)
  const proof: Proof =
    pin.importType === "EXISTING_KEY_MATERIAL" || associated
      ? { kind: "key-material-id", result: "proven" }
      : await proveAgainstToken(deps, step.source, keyArnOf(step.entry, deps.kms.region))
  return await recordProof(deps, entry, imported, proof)
}

/**
 * Material that was imported before, in whichever Region, is imported as what the KMS key is bound to, and KMS itself
 * compares; its ID is the same in all Regions.
 */
function pinOf(step: ImportStep): Pick<ImportTerms, "importType" | "keyMaterialId"> {
  const generation = generationOf(step)
  if (step.importType !== undefined) return { importType: step.importType }
  const bound = step.entry.imports.findLast(
    (earlier) => earlier.generation === generation && earlier.proof.result !== "failed",
  )?.keyMaterialId
  if (bound != null) return pinnedTo(bound)
  return generation === 0 ? {} : { importType: "NEW_KEY_MATERIAL" }
}

interface Imported {
  readonly entry: ImportStep["entry"]
  readonly record: ImportRecord
}

/** `associated`: KMS knew the material already, which it compared to say so. */
interface Sent extends Imported {
  readonly associated: boolean
}

async function importOnce(
  deps: ImportDeps,
  step: ImportStep,
  entry: ImportStep["entry"],
  pin: Pick<ImportTerms, "importType" | "keyMaterialId">,
): Promise<Sent> {
  try {
    return await importUnderNewParameters(deps, step, entry, pin)
  } catch (error) {
    if (!(error instanceof KeyferryError && error.retry === "new-parameters")) throw error
    deps.progress.warn(`${error.message}; trying once more with new import parameters`)
    return await importUnderNewParameters(deps, step, entry, pin)
  }
}

async function importUnderNewParameters(
  deps: ImportDeps,
  step: ImportStep,
  entry: ImportStep["entry"],
  pin: Pick<ImportTerms, "importType" | "keyMaterialId">,
): Promise<Sent> {
  const { wrappingAlgorithm, wrappingKeySpec } = step.capability
  const keyArn = keyArnOf(entry, deps.kms.region)
  const parameters: ImportParameters = await settled(deps, keyArn, () =>
    deps.kms.getParametersForImport(keyArn, wrappingAlgorithm, wrappingKeySpec),
  )
  deps.progress.step(`wrapping key ${parameters.wrappingKey.fingerprint} (${wrappingKeySpec})`)
  const wrapped = await deps.token.wrap(step.source, parameters.wrappingKey, step.capability)
  const validTo = validToFrom(step.expiresIn, deps.clock.now())
  const generation = generationOf(step)
  return await sendImport(deps, { entry, generation, parameters, wrapped, terms: { validTo, ...pin } })
}

/** ImportKeyMaterial with its intention before and its outcome after; the proof is still to come. */
export async function sendImport(
  deps: Pick<Deps, "kms" | "inventory" | "clock" | "sleep"> & RecordDeps,
  what: {
    readonly entry: ImportStep["entry"]
    readonly generation?: number
    readonly parameters: ImportParameters
    readonly wrapped: Pick<WrappedKeyMaterial, "bytes"> & Pick<ImportRecord, "wrapPath" | "mechanisms">
    readonly terms: ImportTerms
  },
): Promise<Sent> {
  const { entry, parameters, wrapped, terms } = what
  const keyArn = keyArnIn(entry, deps.kms.region) ?? entry.keyArn
  const importing = {
    region: deps.kms.region,
    generation: generationOf(what),
    wrappingAlgorithm: parameters.wrappingAlgorithm,
    wrappingKeySpec: parameters.wrappingKeySpec,
    wrapPath: wrapped.wrapPath,
    mechanisms: wrapped.mechanisms,
    wrappingKeyFingerprint: parameters.wrappingKey.fingerprint,
    encryptedKeyMaterialDigest: sha256(wrapped.bytes),
    expirationModel: expirationModelOf(terms.validTo),
    validTo: terms.validTo === null ? null : rfc3339(terms.validTo),
  }
  const key = importedKey(entry, importing)
  const facts = { ...importFacts(importing, terms), unenforced: entry.unenforced ?? undefined }
  await Promise.all([deps.inventory.put({ ...entry, importing }), record(deps, "import.intended", { ...key, facts })])
  const send = (as: ImportTerms): ReturnType<Kms["importKeyMaterial"]> =>
    settled(deps, keyArn, () => deps.kms.importKeyMaterial(keyArn, parameters.importToken, wrapped.bytes, as))
  let first: Awaited<ReturnType<typeof send>>
  try {
    first = await sentAgain(deps, () => send(terms))
  } catch (error) {
    await recordFailure(deps, "import.failed", { ...key, error })
    throw error
  }
  // as it was sent before it may have had another expiry: the same again, as what it is by now, sets this one
  const again = first.associated === true && first.keyMaterialId !== null && pinnedTo(first.keyMaterialId)
  const answer = again === false ? first : await send({ validTo: terms.validTo, ...again })
  const { keyMaterialId, requestId } = answer
  const { expirationModel } = importing
  await record(deps, "import.done", { ...key, facts: { ...facts, keyMaterialId, requestId, expirationModel } })
  const imported: ImportRecord = {
    ...importing,
    keyMaterialId: answer.keyMaterialId,
    importedAt: rfc3339(deps.clock.now()),
    requestId: answer.requestId,
    proof: { kind: "none", result: "accepted" },
  }
  // the entry keeps `importing` until the proof is recorded: only then is the import over
  return { entry: { ...entry, importing }, record: imported, associated: again !== false }
}

const pinnedTo = (keyMaterialId: string) => ({ importType: "EXISTING_KEY_MATERIAL", keyMaterialId }) as const

/** New material whose answer was lost is sent once more: KMS takes it, or says that it is the KMS key's already. */
async function sentAgain<T>(deps: Pick<Deps, "progress">, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_KMS_OUTCOME_UNKNOWN")) throw error
    deps.progress.warn("the answer to ImportKeyMaterial was lost; sending the same once more")
    return await send()
  }
}

/** Writes the outcome of an import: its record with the proof, and that none is under way. */
export async function recordProof(
  deps: Pick<Deps, "inventory"> & RecordDeps,
  entry: ImportStep["entry"],
  imported: ImportRecord,
  proof: Proof,
): Promise<Imported> {
  const proven: ImportRecord = { ...imported, proof }
  const updated = { ...entry, ...withImport(entry, proven), importing: null, withheldAt: null, keyArn: entry.keyArn }
  await deps.inventory.put(updated)
  const { region, keyMaterialId, validTo } = imported
  const { kind, result } = proof
  await record(deps, "import.proven", {
    ...importedKey(entry, imported),
    facts: { region, kind, result, keyMaterialId, validTo },
  })
  return { entry: updated, record: proven }
}

/** Which key, into which KMS key. */
function importedKey(entry: InventoryEntry, { region, generation }: Pick<ImportRecord, "region" | "generation">) {
  const source = generationsOf(entry).find((recorded) => recorded.generation === generation) ?? entry.source
  const { owner, name, target, token } = entry
  return { key: { owner, name, target, source }, keyArn: keyArnIn(entry, region), token }
}

/** How it was wrapped, and on which terms it is sent. */
function importFacts(
  importing: NonNullable<InventoryEntry["importing"]>,
  { importType, keyMaterialId }: Pick<ImportTerms, "importType" | "keyMaterialId">,
) {
  const { region, wrappingAlgorithm, wrappingKeySpec, wrappingKeyFingerprint, validTo } = importing
  const digest = importing.encryptedKeyMaterialDigest
  const wrapping = { region, wrappingAlgorithm, wrappingKeySpec, wrappingKeyFingerprint }
  return { ...wrapping, validTo, digest, importType, pinnedTo: keyMaterialId }
}
