import { KeyferryError } from "../core/error.js"
import { expirationModelOf, rfc3339, validToFrom } from "../core/expiry.js"
import type { ImportParameters } from "../core/import-parameters.js"
import { type ImportRecord, type InventoryEntry, type Proof, withImport } from "../core/inventory.js"
import type { ImportTerms, WrapCapability, WrappedKeyMaterial } from "../core/ports.js"
import type { SourceKey } from "../core/source-key.js"
import { sha256 } from "../core/wrapping-key.js"
import type { Deps } from "./deps.js"
import { proveAgainstToken } from "./prove.js"
import { settled } from "./settle.js"

/** One import of one generation; everything that can be refused was refused before. */
export interface ImportStep {
  readonly entry: InventoryEntry & { readonly keyArn: string }
  readonly source: SourceKey
  readonly capability: WrapCapability
  /** A duration, a time, or `never`; counted from the moment of the import. */
  readonly expiresIn: string
  readonly prove: "full" | "accept"
}

type ImportDeps = Pick<Deps, "token" | "kms" | "inventory" | "clock" | "progress" | "sleep">

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
  let { entry, record } = acceptedBefore(step) ?? (await importAndProve(deps, step))
  let { proof } = record

  if (proof.kind === "none" && step.prove === "full") {
    if (record.keyMaterialId === null) {
      deps.progress.warn(
        "KMS named no KeyMaterialId, so the second, pinned import that would be the proof is not possible",
      )
      return { entry, record }
    }
    deps.progress.step(`importing once more, pinned to key material ${record.keyMaterialId}, as the proof`)
    proof = { kind: "key-material-id", result: "proven" }
    const pinned = { importType: "EXISTING_KEY_MATERIAL", keyMaterialId: record.keyMaterialId } as const
    try {
      const second = await importOnce(deps, step, entry, pinned)
      ;({ entry, record } = await recordProof(deps, second.entry, second.record, proof))
    } catch (error) {
      if (!(error instanceof KeyferryError && error.code === "ERR_KMS_KEY_MATERIAL")) throw error
      proof = { kind: "key-material-id", result: "failed" }
      ;({ entry, record } = await recordProof(deps, { ...entry, importing: null }, record, proof))
    }
  }
  deps.progress.step(`proof: ${proof.kind} ${proof.result}`)
  if (proof.result === "failed") {
    throw new KeyferryError(
      "ERR_PROOF_FAILED",
      `KMS does not hold the key material of ${entry.name} (proof by ${proof.kind})`,
      {
        key: entry.keyArn,
      },
    )
  }
  return { entry, record }
}

/** Whether a second, pinned import would turn KMS' acceptance into a proof. */
export function provable({ proof, keyMaterialId }: ImportRecord): boolean {
  return proof.kind === "none" && proof.result === "accepted" && keyMaterialId !== null
}

/** The import of an earlier run that only wants its proof. */
function acceptedBefore({ entry, prove }: ImportStep): Imported | undefined {
  const record = entry.imports.at(-1)
  const wantsProof = prove === "full" && entry.importing === null && record !== undefined && provable(record)
  return wantsProof ? { entry, record } : undefined
}

async function importAndProve(deps: ImportDeps, step: ImportStep): Promise<Imported> {
  // material that expired is imported again as what the KMS key is bound to, and KMS itself compares
  const bound = step.entry.imports.findLast(({ proof }) => proof.result !== "failed")?.keyMaterialId ?? null
  const pin = bound === null ? {} : ({ importType: "EXISTING_KEY_MATERIAL", keyMaterialId: bound } as const)
  const { entry, record } = await importOnce(deps, step, step.entry, pin)
  const proof: Proof =
    bound === null
      ? await proveAgainstToken(deps, step.source, step.entry.keyArn)
      : { kind: "key-material-id", result: "proven" }
  return await recordProof(deps, entry, record, proof)
}

interface Imported {
  readonly entry: ImportStep["entry"]
  readonly record: ImportRecord
}

async function importOnce(
  deps: ImportDeps,
  step: ImportStep,
  entry: ImportStep["entry"],
  pin: Pick<ImportTerms, "importType" | "keyMaterialId">,
): Promise<Imported> {
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
): Promise<Imported> {
  const { wrappingAlgorithm, wrappingKeySpec } = step.capability
  const parameters: ImportParameters = await settled(deps, entry.keyArn, () =>
    deps.kms.getParametersForImport(entry.keyArn, wrappingAlgorithm, wrappingKeySpec),
  )
  deps.progress.step(`wrapping key ${parameters.wrappingKey.fingerprint} (${wrappingKeySpec})`)
  const wrapped = await deps.token.wrap(step.source, parameters.wrappingKey, step.capability)
  deps.progress.step(`wrapped in the token: ${wrapped.bytes.length} bytes by ${wrapped.mechanisms.join(" + ")}`)
  const validTo = validToFrom(step.expiresIn, deps.clock.now())
  return await sendImport(deps, { entry, parameters, wrapped, terms: { validTo, ...pin } })
}

/** ImportKeyMaterial with its intention before and its outcome after; the proof is still to come. */
export async function sendImport(
  deps: Pick<Deps, "kms" | "inventory" | "clock" | "progress" | "sleep">,
  what: {
    readonly entry: ImportStep["entry"]
    readonly parameters: ImportParameters
    readonly wrapped: Pick<WrappedKeyMaterial, "bytes"> & Pick<ImportRecord, "wrapPath" | "mechanisms">
    readonly terms: ImportTerms
  },
): Promise<Imported> {
  const { entry, parameters, wrapped, terms } = what
  const importing = {
    region: deps.kms.region,
    generation: entry.source.generation,
    wrappingAlgorithm: parameters.wrappingAlgorithm,
    wrappingKeySpec: parameters.wrappingKeySpec,
    wrapPath: wrapped.wrapPath,
    mechanisms: wrapped.mechanisms,
    wrappingKeyFingerprint: parameters.wrappingKey.fingerprint,
    encryptedKeyMaterialDigest: sha256(wrapped.bytes),
    expirationModel: expirationModelOf(terms.validTo),
    validTo: terms.validTo === null ? null : rfc3339(terms.validTo),
  }
  await deps.inventory.put({ ...entry, importing })
  const answer = await settled(deps, entry.keyArn, () =>
    deps.kms.importKeyMaterial(entry.keyArn, parameters.importToken, wrapped.bytes, terms),
  )
  deps.progress.step(
    `imported${answer.keyMaterialId === null ? "" : ` as key material ${answer.keyMaterialId}`}, ` +
      (importing.validTo === null ? "never to expire" : `valid to ${importing.validTo}`),
  )
  const record: ImportRecord = {
    ...importing,
    keyMaterialId: answer.keyMaterialId,
    importedAt: rfc3339(deps.clock.now()),
    requestId: answer.requestId,
    proof: { kind: "none", result: "accepted" },
  }
  // the entry keeps `importing` until the proof is recorded: only then is the import over
  return { entry: { ...entry, importing }, record }
}

/** Writes the outcome of an import: its record with the proof, and that none is under way. */
export async function recordProof(
  deps: Pick<Deps, "inventory">,
  entry: ImportStep["entry"],
  record: ImportRecord,
  proof: Proof,
): Promise<Imported> {
  const proven: ImportRecord = { ...record, proof }
  const updated = { ...entry, ...withImport(entry, proven), importing: null, keyArn: entry.keyArn }
  await deps.inventory.put(updated)
  return { entry: updated, record: proven }
}
