import type { EventName } from "./log-event.js"
import type { SourceKeyIdentity } from "../key/source-key.js"
import type { TokenInfo } from "../token/token-info.js"

/** A name, an ARN, a digest, a time or a number; never key bytes, PINs or import tokens (invariant I7). */
export type Fact = string | number | boolean | null | readonly string[]

/** What words are made of: what an event is about, and its facts as text; empty where something is not known. */
export interface Telling {
  readonly name: string
  readonly target: string
  readonly keyArn: string
  /** CKA_ID, CKA_LABEL and generation of the source key. */
  readonly id: string
  readonly label: string
  readonly generation: number
  readonly fact: (name: string) => string
}

interface EventRow {
  readonly meaning: string
  /** The facts that stand in the custody log. */
  readonly facts: readonly string[]
  /** Facts for words and log alone. */
  readonly told?: readonly string[]
  /** Under which name it is in the log as well; what a token does is there by the call, with its duration (host/logged.ts). */
  readonly log?: EventName
  /** What people are told; null where it goes without saying. */
  readonly words?: (telling: Telling) => string | null
}

const ENDING_FACTS = ["operation", "region", "days", "keyMaterialIds", "lastCopy"] as const
const ENDED_FACTS = [...ENDING_FACTS, "keyState", "deletionDate"] as const
const SEALED_FACTS = ["keySpec", "custodyKey", "mechanism", "ciphertextDigest", "unenforced"] as const
const IMPORT_FACTS = [
  "region",
  "wrappingAlgorithm",
  "wrappingKeySpec",
  "wrappingKeyFingerprint",
  "validTo",
  "digest",
  "importType",
  "pinnedTo",
  "unenforced",
] as const

/**
 * What the custody log records: every change of state, said before it is tried where it cannot be undone. A row an event:
 * which facts it has, and what log and people are told of it (`record`, app/record.ts).
 */
export const CUSTODY_EVENTS = {
  "custody-key.generated": {
    meaning: "a custody key was made in the token",
    facts: ["id", "label", "kcv", "allowedMechanisms"],
    words: ({ fact }) => `custody key ${fact("label")} (ID ${fact("id")}) made in the token`,
  },
  "custody-key.destroyed": {
    meaning: "a custody key was destroyed",
    facts: ["step", "id", "label", "kcv"],
    words: ({ fact }) =>
      fact("step") === "done"
        ? `custody key ${fact("label")} destroyed: copies of what was sealed under it cannot be opened, but with a backup of it`
        : null,
  },
  "custody-key.backup-confirmed": {
    meaning: "the operator confirmed a backup of the custody key",
    facts: ["id", "label", "kcv", "note"],
    words: ({ fact }) => `backup of ${fact("label")} confirmed`,
  },
  "source.generated": {
    meaning: "a source key was generated",
    facts: [
      "unenforced",
      "keySpec",
      "custody",
      "kcv",
      "publicKeyFingerprint",
      "local",
      "alwaysSensitive",
      "neverExtractable",
      "keyGenMechanism",
    ],
    log: "source.generated",
  },
  "source.adopted": {
    meaning: "an existing key of the token was taken",
    facts: ["step", "custody", "was", "wasId", "keySpec", "local", "alwaysSensitive", "kcv"],
    words: ({ id, label, fact }) =>
      fact("step") === "done"
        ? `${fact("was") || "the key"} (${fact("wasId") || "no ID"}) is ${label} (${id}) now`
        : null,
  },
  "source.sealed": {
    meaning: "source key material was sealed into the vault",
    facts: [...SEALED_FACTS, "origin"],
    log: "source.sealed",
    told: ["under"],
    words: ({ label, fact }) =>
      fact("under") === "" ? null : `${label} sealed under ${fact("under")}, and seen to open to the same key`,
  },
  "source.resealed": {
    meaning: "source key material was sealed anew",
    facts: [...SEALED_FACTS, "from"],
    log: "source.resealed",
    told: ["under", "before"],
    words: ({ label, fact }) =>
      `${label} sealed under ${fact("under")}, and seen to open to the same key as under ${fact("before")}`,
  },
  "source.wrapped": {
    meaning: "source key material was wrapped for transport",
    facts: ["kmsKey", "account", "wrappingAlgorithm", "mechanisms", "wrappingKeyFingerprint", "digest"],
    told: ["bytes"],
    words: ({ fact }) => `wrapped in the token: ${fact("bytes")} bytes by ${fact("mechanisms")}`,
  },
  "source.locked": {
    meaning: "CKA_EXTRACTABLE was set to false for good",
    facts: ["extractable"],
    words: ({ id, label }) => `source key ${label} (${id}) locked: CKA_EXTRACTABLE is false for good`,
  },
  "source.destroyed": {
    meaning: "a source key was destroyed",
    facts: ["step", "custody", "object", "reason"],
    log: "source.destroyed",
    told: ["objectLabel"],
    words: ({ id, label, fact }) => {
      if (fact("step") !== "done") return null
      return fact("reason") === "sealed"
        ? `token object ${fact("objectLabel")} (${fact("object")}) destroyed; it is in the vault`
        : `source key ${label} (${id}) destroyed`
    },
  },
  "kms-key.intended": {
    meaning: "CreateKey is about to be called",
    facts: ["requestId", "keySpec", "keyUsage", "region"],
  },
  "kms-key.created": {
    meaning: "a KMS key was made",
    facts: ["requestId"],
    told: ["keySpec", "keyUsage"],
    log: "key.created",
    words: ({ keyArn }) => `KMS key ${keyArn}`,
  },
  "kms-key.taken": {
    meaning: "an existing KMS key was taken",
    facts: ["region"],
    log: "kms-key.taken",
    words: ({ keyArn, fact }) => (fact("region") === "" ? `KMS key ${keyArn} taken` : `replica ${keyArn}`),
  },
  "kms-key.replicating": { meaning: "ReplicateKey is about to be called", facts: ["region"] },
  "kms-key.replicated": {
    meaning: "a replica was made",
    facts: ["region"],
    log: "kms-key.replicated",
    words: ({ keyArn }) => `replica ${keyArn}`,
  },
  "kms-key.ending": {
    meaning: "a KMS key is about to be disabled, enabled or deleted, or to lose its key material",
    facts: ENDING_FACTS,
  },
  "kms-key.ending-failed": {
    meaning: "KMS refused that, or its answer is not known",
    facts: [...ENDING_FACTS, "code"],
    log: "kms-key.ending-failed",
  },
  "kms-key.disabled": {
    meaning: "a KMS key was disabled",
    facts: [...ENDED_FACTS, "again"],
    log: "kms-key.disabled",
    words: endedWords,
  },
  "kms-key.enabled": {
    meaning: "a KMS key was enabled",
    facts: ENDED_FACTS,
    log: "kms-key.enabled",
    words: endedWords,
  },
  "kms-key.deletion-scheduled": {
    meaning: "the deletion of a KMS key was scheduled",
    facts: ENDED_FACTS,
    log: "kms-key.deletion-scheduled",
    words: endedWords,
  },
  "kms-key.corrected": {
    meaning: "tags, description or policy of a KMS key were brought back to what is wanted",
    facts: ["fields"],
    log: "kms-key.corrected",
  },
  "alias.moved": {
    meaning: "an alias was given or moved",
    facts: ["alias", "region", "from", "found"],
    log: "alias.moved",
    words: ({ keyArn, fact }) => {
      if (fact("found") === "true") return null
      if (fact("from") !== "") return `alias ${fact("alias")} moved to ${keyArn}`
      return fact("region") === "" ? `alias ${fact("alias")}` : `alias ${fact("alias")} in ${fact("region")}`
    },
  },
  "import.intended": { meaning: "ImportKeyMaterial is about to be called", facts: IMPORT_FACTS },
  "import.done": {
    meaning: "KMS took the material",
    facts: [...IMPORT_FACTS, "keyMaterialId", "requestId", "keyExchange"],
    told: ["expirationModel"],
    log: "key.imported",
    words: ({ fact }) =>
      `imported${fact("keyMaterialId") === "" ? "" : ` as key material ${fact("keyMaterialId")}`}, ` +
      (fact("validTo") === "" ? "never to expire" : `valid to ${fact("validTo")}`),
  },
  "import.failed": {
    meaning: "KMS refused the material, or its answer is not known",
    facts: ["code"],
    log: "import.failed",
  },
  "import.proven": {
    meaning: "the proof of an import",
    facts: ["region", "kind", "result", "keyMaterialId", "validTo"],
    log: "key.proven",
    words: ({ fact }) =>
      fact("kind") === "none" ? "KMS accepted it; that is no proof yet" : `proof: ${fact("kind")} ${fact("result")}`,
  },
  "material.deleted": {
    meaning: "imported material was deleted from KMS",
    facts: ENDED_FACTS,
    log: "material.deleted",
    words: endedWords,
  },
  "rotation.requested": { meaning: "RotateKeyOnDemand was called", facts: ["keyMaterialId"] },
  "rotation.done": {
    meaning: "KMS was seen to have rotated",
    facts: ["keyMaterialId"],
    log: "rotation.done",
    words: ({ generation, fact }) =>
      `KMS has rotated to key material ${fact("keyMaterialId")}, generation ${generation}`,
  },
  "rotation.abandoned": {
    meaning: "a rotation that KMS had not made was given up",
    facts: ["step", "keyMaterialId"],
    log: "rotation.abandoned",
    words: ({ name, generation, fact }) =>
      fact("step") === "done" ? `the rotation of ${name} to generation ${generation} is given up` : null,
  },
  "key.replaced": {
    meaning: "a new KMS key took the place of another",
    facts: ["replaced"],
    log: "key.replaced",
    words: ({ name, fact }) =>
      `${fact("replaced")} is replaced; it stays as it is until it is retired: keyferry retire ${name}`,
  },
  "key.retired": { meaning: "a replaced KMS key was retired", facts: [], log: "key.retired" },
  recovered: {
    meaning: "what a later run found of something that was begun",
    facts: ["step", "found", "keyMaterialId", "requestId"],
    log: "recovered",
    words: ({ keyArn, fact }) => (fact("found") === "the KMS key" ? `KMS key ${keyArn}` : null),
  },
  "state.rebuilt": {
    meaning: "the inventory was rebuilt",
    facts: ["lost"],
    log: "state.rebuilt",
    words: ({ name, target, keyArn }) => `${name} (${target}): entry rebuilt for ${keyArn || "no KMS key"}`,
  },
  "state.imported": {
    meaning: "the state directory was made from an archive",
    facts: ["exportedAt", "digest"],
    words: ({ fact }) => `the state directory is that of ${fact("exportedAt")} now`,
  },
  "log.rotated": {
    meaning: "earlier lines of this log were moved to a file of their own",
    facts: ["file", "lines", "head"],
    words: ({ fact }) => `${fact("lines")} lines of the custody log are in ${fact("file")} now`,
  },
  "state.merged": {
    meaning: "a copy of the state directory was joined into this one; its custody log is kept beside this one",
    facts: ["entries", "sealed", "log", "lines", "head"],
    log: "state.merged",
  },
  "log.truncated": { meaning: "a torn last line of this log was cut off", facts: ["bytes", "digest"] },
} as const satisfies Record<string, EventRow>

/** An import that enables a KMS key which is disabled again does not look what state that gave. */
function endedWords({ keyArn, fact }: Telling): string | null {
  if (fact("keyState") === "") return null
  return `${keyArn} is ${fact("keyState")}${fact("deletionDate") === "" ? "" : `, to be deleted at ${fact("deletionDate")}`}`
}

export type CustodyEventName = keyof typeof CUSTODY_EVENTS

type Row<E extends CustodyEventName> = (typeof CUSTODY_EVENTS)[E]

/** Names of the facts of an event: of those that stand in the custody log, and of those that are only told. */
export type FactName<E extends CustodyEventName> =
  Row<E>["facts"][number] | (Row<E> extends { readonly told: readonly string[] } ? Row<E>["told"][number] : never)

/** The row of an event, whichever it is. */
export const eventRow = (event: CustodyEventName): EventRow => CUSTODY_EVENTS[event]

/** A line of the custody log, before it is chained. */
export interface CustodyEvent {
  readonly event: CustodyEventName
  readonly owner?: string
  readonly name?: string
  readonly target?: string
  readonly keyArn?: string
  readonly source?: Pick<SourceKeyIdentity, "generation"> & { readonly id: string; readonly label: string }
  readonly token?: TokenInfo
  /** Where KMS was asked; the endpoint is null for AWS' own. */
  readonly kms?: Readonly<
    Record<"partition" | "region", string> & Record<"account" | "endpoint" | "endpointOrigin", string | null>
  >
  readonly facts?: Readonly<Record<string, Fact>>
}
