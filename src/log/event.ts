/**
 * - `info`: a change of state
 * - `debug`: a step of a protocol
 */
type Level = "warn" | "info" | "debug"

interface EventRow {
  readonly level: Level
  /** The fields that are logged. What is not named here does not reach the log, whatever a caller hands in. */
  readonly fields: readonly string[]
}

/** Every event that is logged. */
export const EVENTS = {
  "run.started": { level: "debug", fields: ["command", "version"] },
  "run.failed": { level: "debug", fields: ["command", "error"] },
  "token.opened": {
    level: "debug",
    fields: ["label", "serial", "manufacturer", "model", "firmwareVersion", "library", "sessions"],
  },
  "self-test.done": {
    level: "debug",
    fields: [
      "keySpec",
      "wrappingAlgorithm",
      "wrappingKeySpec",
      "wrapPath",
      "mechanisms",
      "usable",
      "cached",
      "durationMs",
    ],
  },
  "custody.probed": { level: "debug", fields: ["custody", "enforced", "reason", "cached"] },
  "key.generated": { level: "info", fields: ["name", "sourceKeyId", "label", "keySpec", "custody", "durationMs"] },
  "key.destroyed": { level: "info", fields: ["name", "sourceKeyId", "label"] },
  "key.sealed": { level: "info", fields: ["sourceKeyId", "label", "custodyKey", "mechanism", "bytes", "durationMs"] },
  "key.unsealed": { level: "debug", fields: ["sourceKeyId", "label", "custodyKey", "durationMs"] },
  "key.locked": { level: "info", fields: ["sourceKeyId", "label", "attributes"] },
  "key.relabelled": { level: "info", fields: ["sourceKeyId", "label", "before"] },
  "custody-key.generated": { level: "info", fields: ["id", "label", "kcv", "attributes", "durationMs"] },
  "custody-key.destroyed": { level: "info", fields: ["id", "label"] },
  "key.created": { level: "info", fields: ["name", "target", "keyArn", "keySpec", "keyUsage", "requestId"] },
  "key.wrapped": {
    level: "debug",
    fields: [
      "name",
      "keyArn",
      "wrappingAlgorithm",
      "wrapPath",
      "mechanisms",
      "wrappingKeyFingerprint",
      "bytes",
      "durationMs",
    ],
  },
  "key.imported": {
    level: "info",
    fields: [
      "name",
      "target",
      "keyArn",
      "keyMaterialId",
      "wrappingAlgorithm",
      "expirationModel",
      "validTo",
      "generation",
      "requestId",
    ],
  },
  "key.proven": { level: "info", fields: ["name", "target", "keyArn", "kind", "result"] },
  "kms.call": { level: "debug", fields: ["operation", "durationMs", "requestId", "attempts", "error"] },
  warning: { level: "warn", fields: ["text"] },
} as const satisfies Record<string, EventRow>

export type EventName = keyof typeof EVENTS

/** The fields that an event may carry; how a value is shown is for `field.ts` to say. */
export type EventFields<N extends EventName> = Readonly<Partial<Record<(typeof EVENTS)[N]["fields"][number], unknown>>>
