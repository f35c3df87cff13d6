import { constants, createPublicKey, randomBytes, verify } from "node:crypto"
import { generationsOf } from "../../core/records/inventory.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import type { Kms } from "../../core/ports/kms.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import { type ProofSubject, sourceKeyOf, sourceMissing } from "./subject.js"
import { disproven, type Verdict, verified } from "./row.js"

const MESSAGE_BYTES = 64

/**
 * RSA and EC: GetPublicKey equals the token's public key, or, where the token has the key no longer by design, the
 * fingerprint that was recorded when it was generated. A key that signs must sign what that public key verifies.
 */
export async function verifyPublicKey(subject: ProofSubject): Promise<Verdict> {
  const { deps, kms, entry, keyArn } = subject
  const [source = entry.source] = generationsOf(entry)
  const key = await sourceKeyOf(subject, source)
  if (key === null && source.publicKeyFingerprint === null) return sourceMissing(subject)
  const theirs = await kms.getPublicKey(keyArn)
  const ours =
    key === null || deps.token === null ? source.publicKeyFingerprint : sha256(await deps.token.publicKey(key))
  // of a sealed key the token shows nothing before it is unsealed, and then no more than was recorded
  const against =
    key === null || key.custody === "sealed"
      ? "the public key that was recorded when it was generated"
      : "the token's public key"
  const result = sha256(theirs) === ours ? "proven" : "failed"
  const generations = [{ generation: 0, keyMaterialId: null, proof: { kind: "public-key", result } }] as const
  if (result === "failed") return disproven("PROOF_FAILED", `KMS' public key is not ${against}`, { generations })
  const use = entry.keyUsage === "SIGN_VERIFY" ? await signatureCheck(kms, keyArn, theirs, entry.keySpec) : null
  if (use?.result === "failed") {
    return disproven("PROOF_FAILED", `${against} does not verify what KMS signs by ${use.algorithm}`, {
      generations,
      use,
    })
  }
  const signs = use === null ? "" : `, and it verifies what KMS signs by ${use.algorithm}`
  return verified(`KMS' public key is ${against}${signs}`, generations, use)
}

/** Signs in KMS and verifies here, with the public key given (SubjectPublicKeyInfo); null for a key that cannot sign. */
export async function signatureCheck(
  kms: Pick<Kms, "sign">,
  keyArn: string,
  spki: Uint8Array,
  keySpec: KeySpec,
): Promise<Verdict["use"]> {
  const scheme = KEY_SPECS[keySpec].signing
  if (scheme === null) return null
  const message = Uint8Array.from(randomBytes(MESSAGE_BYTES))
  const signature = await kms.sign(keyArn, message, scheme.algorithm)
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const good = verify(scheme.hash, message, { key, ...(scheme.pss ? pss : {}) }, signature)
  return { algorithm: scheme.algorithm, result: good ? "proven" : "failed" }
}
