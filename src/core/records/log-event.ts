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

/** Every event that is logged, with the fields that are sent with it; those of the custody log that are logged keep their name there. */
export const EVENTS = {
  "run.started": { level: "debug", fields: ["command", "version"] },
  "run.failed": { level: "debug", fields: ["command", "error"] },
  "token.opened": {
    level: "debug",
    fields: ["label", "serial", "manufacturer", "model", "firmwareVersion", "library"],
  },
  "self-test.done": {
    level: "debug",
    fields: ["keySpec", "wrappingAlgorithm", "wrappingKeySpec", "wrapPath", "mechanisms", "usable", "durationMs"],
  },
  "custody.probed": { level: "debug", fields: ["custody", "enforced", "reason"] },
  // calls to the token: a copy that was unsealed for an import, and a throw-away key, are made and destroyed all the time
  "key.generated": { level: "debug", fields: ["sourceKeyId", "label", "keySpec", "custody", "durationMs"] },
  "key.destroyed": { level: "debug", fields: ["sourceKeyId", "label"] },
  "key.sealed": { level: "debug", fields: ["sourceKeyId", "label", "custodyKey", "mechanism", "bytes", "durationMs"] },
  "key.unsealed": { level: "debug", fields: ["sourceKeyId", "label", "custodyKey", "durationMs"] },
  "key.locked": { level: "info", fields: ["sourceKeyId", "label", "attributes"] },
  "key.relabelled": { level: "info", fields: ["sourceKeyId", "label", "before"] },
  "custody-key.generated": { level: "info", fields: ["id", "label", "kcv", "attributes", "durationMs"] },
  "custody-key.destroyed": { level: "info", fields: ["id", "label"] },
  "source.generated": { level: "info", fields: ["name", "generation", "keySpec", "custody"] },
  "source.sealed": { level: "info", fields: ["name", "generation", "keySpec", "custodyKey", "mechanism"] },
  "source.resealed": { level: "info", fields: ["name", "generation", "keySpec", "custodyKey", "mechanism"] },
  "source.destroyed": { level: "info", fields: ["name", "generation", "step", "custody", "reason"] },
  "key.created": { level: "info", fields: ["name", "target", "keyArn", "keySpec", "keyUsage"] },
  "key.wrapped": {
    level: "debug",
    fields: ["name", "wrappingAlgorithm", "wrapPath", "mechanisms", "wrappingKeyFingerprint", "bytes", "durationMs"],
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
  "import.attempt": {
    level: "info",
    fields: ["name", "target", "keyArn", "attempt", "error", "remedy", "waitMs"],
  },
  "import.failed": { level: "warn", fields: ["name", "target", "keyArn", "generation", "code"] },
  "kms-key.taken": { level: "info", fields: ["name", "target", "keyArn"] },
  "kms-key.replicated": { level: "info", fields: ["name", "target", "keyArn", "region"] },
  "kms-key.ending-failed": { level: "warn", fields: ["name", "target", "keyArn", "operation", "code"] },
  "kms-key.disabled": { level: "info", fields: ["name", "target", "keyArn"] },
  "kms-key.enabled": { level: "info", fields: ["name", "target", "keyArn"] },
  "kms-key.deletion-scheduled": { level: "info", fields: ["name", "target", "keyArn", "deletionDate"] },
  "kms-key.corrected": { level: "info", fields: ["name", "target", "keyArn", "fields"] },
  "material.deleted": { level: "info", fields: ["name", "target", "keyArn", "keyMaterialIds"] },
  "alias.moved": { level: "info", fields: ["name", "target", "keyArn", "alias"] },
  "rotation.done": { level: "info", fields: ["name", "target", "keyArn", "keyMaterialId", "generation"] },
  "rotation.abandoned": { level: "info", fields: ["name", "target", "keyArn", "keyMaterialId", "generation", "step"] },
  "key.replaced": { level: "info", fields: ["name", "target", "keyArn", "replaced"] },
  "key.retired": { level: "info", fields: ["name", "target", "keyArn"] },
  recovered: { level: "info", fields: ["name", "target", "keyArn", "step", "found"] },
  "state.rebuilt": { level: "info", fields: ["name", "target", "keyArn", "lost"] },
  "state.merged": { level: "info", fields: ["entries", "sealed"] },
  "kms.call": { level: "debug", fields: ["target", "operation", "durationMs", "requestId", "attempts", "error"] },
  "lock.awaited": { level: "info", fields: ["holder"] },
  "lock.passed-on": { level: "info", fields: [] },
  "lock.taken-again": { level: "info", fields: ["durationMs"] },
  "agent.started": { level: "info", fields: ["version", "schedule", "timeZone", "allow"] },
  "agent.listens": { level: "info", fields: ["url"] },
  "agent.reloaded": { level: "info", fields: ["schedule", "timeZone", "allow"] },
  "agent.reload-refused": { level: "warn", fields: ["code", "message"] },
  "agent.waits": { level: "info", fields: ["next", "because"] },
  "agent.stopping": { level: "info", fields: ["signal"] },
  "agent.stopped": { level: "info", fields: [] },
  "round.began": { level: "debug", fields: ["trigger"] },
  "round.paused": { level: "info", fields: ["until"] },
  "round.row": { level: "info", fields: ["name", "target", "keyArn", "outcome", "reason", "message"] },
  "round.backoff": { level: "warn", fields: ["name", "target", "failures", "retryAt", "reason"] },
  "round.ended": {
    level: "info",
    fields: ["trigger", "outcome", "keys", "done", "failed", "blocked", "waiting", "status", "durationMs"],
  },
  "round.failed": { level: "warn", fields: ["trigger", "code", "message", "durationMs"] },
  "plan.ended": { level: "info", fields: ["keys", "queued", "durationMs"] },
  "token.elsewhere": { level: "info", fields: ["token", "code", "message"] },
  "jobs.trouble": { level: "warn", fields: ["message"] },
  "notification.sent": { level: "info", fields: ["id", "kind", "reason", "name", "target", "receiver"] },
  "notification.failed": { level: "warn", fields: ["id", "kind", "reason", "name", "target", "receiver", "error"] },
  warning: { level: "warn", fields: ["text"] },
} as const satisfies Record<string, EventRow>

/** Where KMS is asked, in every event that is about a target, and which run of an agent it was. */
export const PLACE_FIELDS = ["run", "account", "partition", "region", "endpoint", "endpointOrigin"] as const

export type EventName = keyof typeof EVENTS

/** The fields that an event may carry. */
export type EventFields<N extends EventName> = Readonly<Partial<Record<(typeof EVENTS)[N]["fields"][number], unknown>>>
