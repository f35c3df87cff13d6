import { evidenceOf, proveBy } from "../import/prove.js"
import { type Looked, sourceKeyOf, sourceMissing } from "./looked.js"
import { disproven, type Verdict, verified } from "./row.js"

/** HMAC: KMS verifies the token's MAC of a fresh nonce. */
export async function verifyMac(looked: Looked): Promise<Verdict> {
  const { deps, kms, entry, keyArn } = looked
  const { token } = deps
  const source = await sourceKeyOf(looked, entry.source)
  if (source === null || token === null) return sourceMissing(looked)
  const proof = await proveBy({ ...deps, kms }, await evidenceOf({ token }, source), entry.keySpec, keyArn)
  const generations = [{ generation: entry.source.generation, keyMaterialId: null, proof }]
  return proof.result === "proven"
    ? verified("KMS verified the token's MAC of a fresh nonce", generations)
    : disproven("PROOF_FAILED", "KMS computes another MAC than the token", { generations })
}
