import { randomBytes } from "node:crypto"
import type { Proof } from "../../core/records/inventory.js"
import { KEY_SPECS, type KeySpec } from "../../core/key/key-spec.js"
import type { Token } from "../../core/ports/token.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { Deps } from "../deps.js"
import { settled } from "../kms-key/eventual.js"

/** What the token's side shows of a source key: comes from the token itself, or from the bundle of an offline wrap. */
export type Evidence =
  | { readonly kind: "public-key"; readonly publicKey: Uint8Array }
  | { readonly kind: "mac"; readonly nonce: Uint8Array; readonly mac: Uint8Array }
  | { readonly kind: "none" }

const NONCE_BYTES = 32

interface ProofToken {
  readonly token: Pick<Token, "publicKey" | "mac">
}

/** Asks the token for what the key family can prove by; symmetric keys have nothing to compare directly. */
export async function evidenceOf(deps: ProofToken, source: SourceKey): Promise<Evidence> {
  const { proof } = KEY_SPECS[source.keySpec]
  if (proof === "public-key") return { kind: "public-key", publicKey: await deps.token.publicKey(source) }
  if (proof === "key-material-id") return { kind: "none" }
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES))
  return { kind: "mac", nonce, mac: await deps.token.mac(source, nonce) }
}

/** Holds the evidence against KMS: GetPublicKey must be equal, VerifyMac must accept. */
export async function proveBy(
  deps: Pick<Deps, "kms" | "sleep">,
  evidence: Evidence,
  keySpec: KeySpec,
  keyArn: string,
): Promise<Proof> {
  if (evidence.kind === "none") return { kind: "none", result: "accepted" }
  if (evidence.kind === "public-key") {
    const theirs = await settled(deps, keyArn, () => deps.kms.getPublicKey(keyArn))
    return { kind: "public-key", result: sha256(theirs) === sha256(evidence.publicKey) ? "proven" : "failed" }
  }
  const algorithm = KEY_SPECS[keySpec].mac?.algorithm ?? ""
  const accepted = await settled(deps, keyArn, () =>
    deps.kms.verifyMac(keyArn, evidence.nonce, evidence.mac, algorithm),
  )
  return { kind: "mac", result: accepted ? "proven" : "failed" }
}

/** The proof with the token at hand. */
export async function proveAgainstToken(
  deps: Pick<Deps, "kms" | "sleep"> & ProofToken,
  source: SourceKey,
  keyArn: string,
): Promise<Proof> {
  return await proveBy(deps, await evidenceOf(deps, source), source.keySpec, keyArn)
}
