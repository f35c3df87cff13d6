import type { KeyResult } from "../../core/records/key-result.js"
import { facts } from "./facts.js"
import type { Layout } from "./layout.js"

/** A key's result for people: the same facts as the JSON, the attributes on one line. */
export function keyText(result: KeyResult, layout: Layout): string {
  const { sourceKey, token, proof } = result
  const attributes = Object.entries(sourceKey.attributes ?? {})
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => (value === true ? name : `${name} ${String(value)}`))
  const rows: readonly (readonly [string, string | number | null])[] = [
    ["name", result.name],
    ["key ARN", result.keyArn],
    ["alias", result.alias],
    ["key spec", `${result.keySpec} for ${result.keyUsage}`],
    ["key material ID", result.keyMaterialId],
    ["wrapping", `${result.wrappingAlgorithm} under ${result.wrappingKeySpec}, path ${result.wrapPath ?? "not known"}`],
    ["mechanisms", result.mechanisms.join(", ") || null],
    ["why this algorithm", result.wrappingAlgorithmReason],
    ["wrapping key", result.wrappingKeyFingerprint],
    ["expires", result.validTo ?? "never"],
    ["custody", custodyText(`${result.custody}, generation ${result.generation}`, result.custodyReason)],
    [
      "token",
      token === null ? null : `${token.label} (serial ${token.serial}, ${token.manufacturer}, ${token.library})`,
    ],
    ["source key", `${sourceKey.label}, ID ${sourceKey.id}`],
    ["attributes", attributes.join(", ") || null],
    ["check value", sourceKey.kcv],
    ["public key", sourceKey.publicKeyFingerprint],
    ["proof", proofText(proof)],
    ...result.replicas.map(({ region, keyArn, validTo, proof: replicaProof }): [string, string] => [
      `replica ${region}`,
      `${keyArn ?? "not known"}, expires ${validTo ?? "never"}, ${replicaProof === null ? "no material" : replicaProof.result}`,
    ]),
    ["imported", `${result.importedAt}, request ${result.requestId ?? "not known"}`],
  ]
  return facts(rows, layout)
}

/** A custody, and what the token does not keep of it. */
export function custodyText(custody: string, unenforced: string | null): string {
  return unenforced === null ? custody : `${custody}, NOT ENFORCED: ${unenforced}`
}

const PROOF_WORDS: Readonly<Record<string, string>> = {
  "public-key proven": "proven by public key: KMS' GetPublicKey equals the token's",
  "mac proven": "proven by MAC: KMS verified the token's MAC of a fresh nonce",
  "key-material-id proven": "proven by key material ID: imported twice, KMS found the same material both times",
  "none accepted":
    "accepted by KMS; a symmetric key has no stronger proof than to be imported twice (provision --prove full)",
}

export function proofText({ kind, result }: KeyResult["proof"]): string {
  return PROOF_WORDS[`${kind} ${result}`] ?? `${result} (${kind})`
}
