import { evidenceOf, proveBy } from "../import/prove.js"
import { type ProofSubject, sourceKeyOf, sourceMissing } from "./subject.js"
import { disproven, type Verdict, verified } from "./row.js"

/** HMAC: KMS verifies the token's MAC of a fresh nonce. */
export async function verifyMac(subject: ProofSubject): Promise<Verdict> {
  const { deps, kms, entry, keyArn } = subject
  const { token } = deps
  const source = await sourceKeyOf(subject, entry.source)
  if (source === null || token === null) return sourceMissing(subject)
  const proof = await proveBy({ ...deps, kms }, await evidenceOf({ token }, source), entry.keySpec, keyArn)
  const generations = [{ generation: entry.source.generation, keyMaterialId: null, proof }]
  return proof.result === "proven"
    ? verified("KMS verified the token's MAC of a fresh nonce", generations)
    : disproven("PROOF_FAILED", "KMS computes another MAC than the token", { generations })
}
