import { KeyferryError } from "../../core/base/error.js"
import { type ImportRecord, importOf, type MadeEntry, type Proof } from "../../core/records/inventory.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import type { SourceKey } from "../../core/key/source-key.js"
import type { Deps } from "../deps.js"
import { recordFailure, type RecordDeps } from "../record.js"
import { type Evidence, evidenceOf, proveBy } from "./prove.js"
import {
  generationOf,
  type Imported,
  intend,
  keyArnOf,
  type Pin,
  recordImported,
  recordProof,
  type Sending,
  type WrappedForImport,
} from "./records.js"
import { NOTHING_TRIED, remedyOf } from "./remedies.js"
import { takenBefore } from "./taken.js"

/**
 * One import of one generation into the KMS key of one Region, that of `deps.kms`; everything that can be refused was
 * refused before.
 */
export type ImportStep = FromToken | WrappedBefore

interface ImportRequest {
  readonly entry: MadeEntry
  /** Of the source key; the newest where it is left out. */
  readonly generation?: number
  /** A duration, a time, or `never`; counted from the moment of the import. */
  readonly expiresIn: string
}

interface FromToken extends ImportRequest {
  readonly source: SourceKey
  /** To import it as new whatever the records say: KMS forgets pending material that is deleted. */
  readonly importType?: "NEW_KEY_MATERIAL"
  readonly capability: WrapCapability
  readonly prove: "full" | "accept"
}

/** The last of the three steps: parameters, wrapped material and what it is proven by come in files. */
interface WrappedBefore extends ImportRequest, WrappedForImport {
  readonly evidence: Evidence
}

type ImportDeps = Pick<Deps, "kms" | "inventory" | "clock" | "sleep" | "policy"> &
  RecordDeps & { readonly token: Deps["token"] | null }

/**
 * Parameters, wrap, record, import, prove, record. What the import is about is on disk before ImportKeyMaterial is
 * called, so that a run that dies in between is understood by the next. Killed and run again it repeats the same import,
 * which KMS takes as the same material; what KMS is seen to have is not sent again.
 *
 * @throws ERR_CUSTODY_KEY_MISSING before parameters are spent; ERR_PROOF_FAILED after recording the failed proof; whatever Token and Kms throw
 */
export async function importKey(deps: ImportDeps, step: ImportStep): Promise<Imported> {
  if ("source" in step) await tokenIn(deps).refuseUnopenable(step.source, deps.policy)
  let imported = acceptedBefore(step, deps.kms.region) ?? (await importAndProve(deps, step, pinOf(step)))
  if ("prove" in step && step.prove === "full" && imported.record.proof.kind === "none") {
    imported = await proveByImport(deps, step, imported)
  }
  const { entry, record: importRecord } = imported
  const { kind, result } = importRecord.proof
  if (result !== "failed") return imported
  const message = `KMS does not hold the key material of ${entry.name} (proof by ${kind})`
  throw new KeyferryError("ERR_PROOF_FAILED", message, { key: keyArnOf(entry, deps.kms.region) })
}

async function importAndProve(deps: ImportDeps, step: ImportStep, pin: Pin): Promise<Imported> {
  const { entry, expiresIn } = step
  const intention = { entry, generation: generationOf(step), expiresIn }
  // what comes in files is to be sent, whatever was before
  const taken = "wrapped" in step ? null : await takenBefore(deps, intention, pin)
  const { sending, answer } = taken ?? (await sendUntilTaken(deps, step, pin))
  refuseOtherGeneration(step, answer.keyMaterialId)
  const importRecord = await recordImported(deps, sending, answer)
  const proof: Proof =
    sending.terms.importType === "EXISTING_KEY_MATERIAL"
      ? { kind: "key-material-id", result: "proven" }
      : await proveBy(deps, await evidence(deps, step), entry.keySpec, keyArnOf(entry, deps.kms.region))
  return await recordProof(deps, { ...entry, importing: sending.importing }, { ...importRecord, proof })
}

/** An ID that KMS gave another generation before is not that of this one. */
function refuseOtherGeneration(step: ImportStep, keyMaterialId: string | null): void {
  const generation = generationOf(step)
  const other = step.entry.imports.find((earlier) => earlier.keyMaterialId === keyMaterialId)
  if (keyMaterialId === null || other === undefined || other.generation === generation) return
  const message = `KMS says that generation ${generation} is ${keyMaterialId}, which is generation ${other.generation}`
  throw new KeyferryError("ERR_KMS_ANSWER", message, { key: step.entry.name, exit: "PROOF" })
}

/** Sends until KMS takes it, or until no row of the remedies (remedies.ts) helps any more: the one loop of an import. */
async function sendUntilTaken(deps: ImportDeps, step: ImportStep, pin: Pin) {
  const { name, target } = step.entry
  const keyArn = keyArnOf(step.entry, deps.kms.region)
  let sending: Sending | null = null
  let tried = NOTHING_TRIED
  for (let attempt = 1; ; attempt += 1) {
    try {
      sending ??= await intend(deps, step, { ...(await parametersAndWrapped(deps, step, keyArn)), pin })
      const { importToken, bytes, terms }: Sending = sending
      const answer = await deps.kms.importKeyMaterial(keyArn, importToken, bytes, terms)
      if (answer.associated !== true || answer.keyMaterialId === null) return { sending, answer }
      // as it was sent before it may have had another expiry: the same again, as what it is by now, sets this one
      sending = { ...sending, terms: { ...terms, ...pinnedTo(answer.keyMaterialId) } }
      deps.log.event("import.attempt", { name, target, keyArn, attempt, remedy: "send as existing material" })
    } catch (error) {
      const remedy = await remedyOf(deps, keyArn, { error, tried, sameOnly: "wrapped" in step })
      if (sending !== null && remedy?.sameAgain !== true) {
        await recordFailure(deps, "import.failed", { ...sending.subject, error })
      }
      if (remedy === null) throw error
      deps.log.event("import.attempt", {
        name,
        target,
        keyArn,
        attempt,
        error,
        remedy: remedy.name,
        waitMs: remedy.waitMs,
      })
      if (remedy.words !== null) deps.progress.warn(remedy.words)
      await deps.sleep(remedy.waitMs)
      ;({ tried } = remedy)
      if (!remedy.sameAgain) sending = null
    }
  }
}

/** Those that came in files, or new ones, with the source key wrapped in the token. */
async function parametersAndWrapped(deps: ImportDeps, step: ImportStep, keyArn: string): Promise<WrappedForImport> {
  if ("wrapped" in step) return step
  const { wrappingAlgorithm, wrappingKeySpec } = step.capability
  const parameters = await deps.kms.getParametersForImport(keyArn, wrappingAlgorithm, wrappingKeySpec)
  deps.progress.step(`wrapping key ${parameters.wrappingKey.fingerprint} (${wrappingKeySpec})`)
  const wrapped = await tokenIn(deps).wrap(step.source, parameters.wrappingKey, step.capability, keyArn)
  return { parameters, wrapped }
}

/** The same material once more, pinned to the ID that KMS gave it, has KMS itself compare. */
async function proveByImport(
  deps: ImportDeps,
  step: ImportStep,
  { entry, record: accepted }: Imported,
): Promise<Imported> {
  const { keyMaterialId } = accepted
  if (keyMaterialId === null) {
    const message = `KMS took the key material of ${entry.name} and named no KeyMaterialId, which the proof would be pinned to`
    throw new KeyferryError("ERR_KMS_ANSWER", message, {
      key: keyArnOf(entry, deps.kms.region),
      exit: "PROOF",
      hint: "run the same command again; --prove accept does without the proof, where this KMS names no key material",
    })
  }
  deps.progress.step(`importing once more, pinned to key material ${keyMaterialId}, as the proof`)
  try {
    return await importAndProve(deps, { ...step, entry }, pinnedTo(keyMaterialId))
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_KMS_KEY_MATERIAL")) throw error
    return await recordProof(
      deps,
      { ...entry, importing: null },
      { ...accepted, proof: { kind: "key-material-id", result: "failed" } },
    )
  }
}

async function evidence(deps: ImportDeps, step: ImportStep): Promise<Evidence> {
  return "evidence" in step ? step.evidence : await evidenceOf({ token: tokenIn(deps) }, step.source)
}

function tokenIn({ token }: ImportDeps): Deps["token"] {
  if (token === null) throw new KeyferryError("ERR_BUG", "an import from a token without one")
  return token
}

/** Whether KMS' acceptance is still to become a proof, by an import that is pinned. */
export function provable({ proof }: ImportRecord): boolean {
  return proof.kind === "none" && proof.result === "accepted"
}

/** The import of an earlier run that only wants its proof. */
function acceptedBefore(step: ImportStep, region: string): Imported | undefined {
  if (!("prove" in step) || step.prove !== "full" || step.importType !== undefined) return undefined
  const { entry } = step
  const accepted = importOf(entry, generationOf(step), region)
  // without its ID the material has to be imported once more before it can be pinned
  if (accepted?.keyMaterialId == null || entry.importing !== null || !provable(accepted)) return undefined
  return { entry, record: accepted }
}

/**
 * Material that was imported before, in whichever Region, is imported as what the KMS key is bound to, and KMS itself
 * compares; its ID is the same in all Regions. What was wrapped elsewhere may be of another key: KMS says.
 */
function pinOf(step: ImportStep): Pin {
  if ("wrapped" in step) return {}
  if (step.importType !== undefined) return { importType: step.importType }
  const generation = generationOf(step)
  const bound = step.entry.imports.findLast(
    (earlier) => earlier.generation === generation && earlier.proof.result !== "failed",
  )?.keyMaterialId
  if (bound != null) return pinnedTo(bound)
  return generation === 0 ? {} : { importType: "NEW_KEY_MATERIAL" }
}

const pinnedTo = (keyMaterialId: string) => ({ importType: "EXISTING_KEY_MATERIAL", keyMaterialId }) as const
