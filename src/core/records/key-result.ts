import { generationsOf, type ImportRecord, importOf, type Proof, type MadeEntry } from "./inventory.js"
import { parseKeyArn } from "../key/key-arn.js"
import type { TokenInfo } from "../token/token-info.js"
import type { KeyAttributes } from "../key/key-attributes.js"

/** The result of a command about one key, as `--json` prints it (docs/json.md). What does not apply is null. */
export interface KeyResult {
  readonly outcome: "done" | "nothing"
  readonly name: string
  readonly target: string
  readonly keyArn: string
  readonly keyId: string
  readonly alias: string | null
  readonly keySpec: string
  readonly keyUsage: string
  readonly keyMaterialId: string | null
  readonly wrappingAlgorithm: string
  readonly wrappingAlgorithmReason: string | null
  readonly wrappingKeySpec: string
  readonly wrapPath: string | null
  readonly mechanisms: readonly string[]
  readonly wrappingKeyFingerprint: string
  readonly expirationModel: string
  readonly validTo: string | null
  readonly custody: string
  /** Whether the token keeps what the custody promises; false only where policy takes that. */
  readonly custodyEnforced: boolean
  /** In words: what it does not keep; null where it keeps all. */
  readonly custodyReason: string | null
  readonly generation: number
  readonly token: TokenInfo | null
  readonly sourceKey: {
    readonly id: string
    readonly label: string
    readonly attributes: KeyAttributes | null
    readonly kcv: string | null
    readonly publicKeyFingerprint: string | null
  }
  readonly proof: Proof
  readonly requestId: string | null
  /** The group of TLS under which it was sent; null where it is not known. */
  readonly keyExchange: string | null
  readonly importedAt: string
  /** KMS keys of the same ID in other Regions, with their import of the same generation. */
  readonly replicas: readonly {
    readonly region: string
    readonly keyArn: string | null
    readonly validTo: string | null
    readonly proof: Proof | null
  }[]
}

/** Presents an import of an entry, with the source key of its generation. */
export function keyResult(
  entry: MadeEntry,
  record: ImportRecord,
  outcome: KeyResult["outcome"],
  why: string | null,
): KeyResult {
  const source = generationsOf(entry).find(({ generation }) => generation === record.generation) ?? entry.source
  const { id, label, attributes, kcv, publicKeyFingerprint } = source
  return {
    outcome,
    name: entry.name,
    target: entry.target,
    keyArn: entry.keyArn,
    keyId: parseKeyArn(entry.keyArn)?.keyId ?? entry.keyArn,
    alias: entry.alias,
    keySpec: entry.keySpec,
    keyUsage: entry.keyUsage,
    keyMaterialId: record.keyMaterialId,
    wrappingAlgorithm: record.wrappingAlgorithm,
    wrappingAlgorithmReason: why,
    wrappingKeySpec: record.wrappingKeySpec,
    wrapPath: record.wrapPath,
    mechanisms: record.mechanisms,
    wrappingKeyFingerprint: record.wrappingKeyFingerprint,
    expirationModel: record.expirationModel,
    validTo: record.validTo,
    custody: entry.custody,
    custodyEnforced: entry.unenforced === null,
    custodyReason: entry.unenforced,
    generation: record.generation,
    token: entry.token,
    sourceKey: { id, label, attributes, kcv, publicKeyFingerprint },
    proof: record.proof,
    requestId: record.requestId,
    keyExchange: record.keyExchange ?? null,
    importedAt: record.importedAt,
    replicas: entry.replicas.map(({ region, keyArn }) => {
      const imported = importOf(entry, record.generation, region)
      return { region, keyArn, validTo: imported?.validTo ?? null, proof: imported?.proof ?? null }
    }),
  }
}
