import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { generationsOf, importOf, type Proof } from "../../core/records/inventory.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { KeyRotation } from "../../core/key/rotation.js"
import { importKey } from "../import/import.js"
import { chooseTested } from "../source-key/choose.js"
import { type ProofSubject, sourceKeyOf, sourceMissing } from "./subject.js"
import { blocked, disproven, type GenerationProof, type Verdict, verified } from "./row.js"

/**
 * Symmetric keys show nothing of their material but its ID: KMS lists the IDs that were recorded, those of all
 * generations and no other, and the newest is the one in use. With `full` each generation is imported once more, pinned
 * to its ID and with the expiry that it has, whereby KMS compares it with what the token has now.
 */
export async function verifyKeyMaterialId(subject: ProofSubject, full: boolean): Promise<Verdict> {
  const { kms, entry, keyArn, description } = subject
  const rotations = await kms.listKeyRotations(keyArn)
  const generations: GenerationProof[] = []
  for (const source of generationsOf(entry)) {
    const record = importOf(entry, source.generation, kms.region)
    const id = record?.keyMaterialId ?? null
    if (record === undefined || id === null) {
      // of a rotation that is not over yet, or of an endpoint that names no material
      generations.push({
        generation: source.generation,
        keyMaterialId: id,
        proof: { kind: "none", result: "accepted" },
      })
      continue
    }
    const rotation = rotations.find(({ keyMaterialId }) => keyMaterialId === id)
    const isHeld = rotation?.importState === "IMPORTED"
    const proof: Proof = isHeld ? record.proof : { kind: "key-material-id", result: "failed" }
    generations.push({ generation: source.generation, keyMaterialId: id, proof })
    if (!isHeld) {
      const message = `KMS does not hold key material ${id} of generation ${source.generation}`
      return disproven("PROOF_FAILED", message, { generations })
    }
  }
  const foreign = foreignIn(generations, rotations)
  if (foreign !== undefined) {
    const message = `KMS holds key material ${foreign}, which no record of ${entry.name} names`
    return disproven("FOREIGN_MATERIAL", message, { generations })
  }
  const inUse = inUseOf(generations, rotations)
  const current = description.currentKeyMaterialId
  if (inUse !== undefined && current !== null && inUse.keyMaterialId !== current) {
    const message = `KMS uses key material ${current}, and ${inUse.keyMaterialId ?? ""} is the newest that was imported`
    return disproven("FOREIGN_MATERIAL", message, { generations })
  }
  if (full) return await proveFully(subject, generations, rotations)
  const proven = generations.every(({ proof }) => proof.result === "proven")
  return verified(
    `KMS holds the key material that was imported, by its ID${proven ? "" : "; --full proves it against the token"}`,
    generations,
  )
}

function foreignIn(generations: readonly GenerationProof[], rotations: readonly KeyRotation[]): string | undefined {
  const recordedIds = generations.map(({ keyMaterialId }) => keyMaterialId)
  // without an ID of each generation nobody can tell which of them it is
  if (recordedIds.includes(null)) return undefined
  return rotations.find(({ keyMaterialId }) => !recordedIds.includes(keyMaterialId))?.keyMaterialId
}

/** The newest generation that does not wait for its rotation. */
function inUseOf(
  generations: readonly GenerationProof[],
  rotations: readonly KeyRotation[],
): GenerationProof | undefined {
  return generations.findLast(({ keyMaterialId }) =>
    rotations.some((rotation) => rotation.keyMaterialId === keyMaterialId && !isStaged(rotation)),
  )
}

async function proveFully(
  subject: ProofSubject,
  listedGenerations: readonly GenerationProof[],
  rotations: readonly KeyRotation[],
): Promise<Verdict> {
  const { deps, kms, description } = subject
  const { token } = deps
  if (token === null) return sourceMissing(subject)
  let { entry } = subject
  const generations: GenerationProof[] = []
  for (const listedGeneration of listedGenerations) {
    const { generation, keyMaterialId } = listedGeneration
    const source = generationsOf(entry).find((record) => record.generation === generation)
    const record = importOf(entry, generation, kms.region)
    const rotation = rotations.find((listed) => listed.keyMaterialId === keyMaterialId)
    // what waits for its rotation is not to be touched before that is over
    if (source === undefined || record === undefined || keyMaterialId === null || isStaged(rotation)) {
      generations.push(listedGeneration)
      continue
    }
    const key = await sourceKeyOf(subject, source)
    if (key === null) return { ...sourceMissing(subject), generations: [...generations, listedGeneration] }
    const validTo = rotation === undefined ? description.validTo : rotation.validTo
    if (validTo !== null && validTo <= deps.clock.now()) {
      return blocked("EXPIRED", `the key material of generation ${generation} expired at ${rfc3339(validTo)}`)
    }
    const candidates = wrapCandidates(entry.keySpec, record.wrappingKeySpec, "auto", deps.policy)
    const { capability } = await chooseTested(token, candidates)
    const expiresIn = validTo === null ? "never" : rfc3339(validTo)
    const step = { entry, source: key, generation, capability, expiresIn, prove: "accept" } as const
    try {
      const imported = await importKey({ ...deps, kms, token }, step)
      entry = imported.entry
      generations.push({ ...listedGeneration, proof: imported.record.proof })
    } catch (error) {
      if (!isOtherMaterial(error)) throw error
      const proof = { kind: "key-material-id", result: "failed" } as const
      const message = `KMS says that generation ${generation} of the token is not its key material ${keyMaterialId}`
      return disproven("PROOF_FAILED", message, { generations: [...generations, { ...listedGeneration, proof }] })
    }
  }
  return verified("imported once more, pinned: KMS found the same key material as the token's", generations)
}

function isStaged(rotation: KeyRotation | undefined): boolean {
  return rotation?.keyMaterialState?.startsWith("PENDING") === true
}

function isOtherMaterial(error: unknown): boolean {
  return error instanceof KeyferryError && ["ERR_KMS_KEY_MATERIAL", "ERR_PROOF_FAILED"].includes(error.code)
}
