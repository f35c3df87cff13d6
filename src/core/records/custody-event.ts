import type { SourceKeyIdentity } from "../key/source-key.js"
import type { TokenInfo } from "../token/token-info.js"

/**
 * What the custody log records: every change of state, said before it is tried where it cannot be undone. `facts` are
 * names, ARNs, digests and times; never key bytes, PINs or import tokens (invariant I7).
 */
export const CUSTODY_EVENTS = {
  "custody-key.generated": "a custody key was made in the token",
  "custody-key.destroyed": "a custody key was destroyed",
  "custody-key.backup-confirmed": "the operator confirmed a backup of the custody key",
  "source.generated": "a source key was generated",
  "source.adopted": "an existing key of the token was taken",
  "source.sealed": "source key material was sealed into the vault",
  "source.resealed": "source key material was sealed anew",
  "source.wrapped": "source key material was wrapped for transport",
  "source.locked": "CKA_EXTRACTABLE was set to false for good",
  "source.destroyed": "a source key was destroyed",
  "kms-key.intended": "CreateKey is about to be called",
  "kms-key.created": "a KMS key was made",
  "kms-key.taken": "an existing KMS key was taken",
  "kms-key.replicating": "ReplicateKey is about to be called",
  "kms-key.replicated": "a replica was made",
  "kms-key.ending": "a KMS key is about to be disabled, enabled or deleted, or to lose its key material",
  "kms-key.ending-failed": "KMS refused that, or its answer is not known",
  "kms-key.disabled": "a KMS key was disabled",
  "kms-key.enabled": "a KMS key was enabled",
  "kms-key.deletion-scheduled": "the deletion of a KMS key was scheduled",
  "kms-key.corrected": "tags, description or policy of a KMS key were brought back to what is wanted",
  "alias.moved": "an alias was given or moved",
  "import.intended": "ImportKeyMaterial is about to be called",
  "import.done": "KMS took the material",
  "import.failed": "KMS refused the material, or its answer is not known",
  "import.proven": "the proof of an import",
  "material.deleted": "imported material was deleted from KMS",
  "rotation.requested": "RotateKeyOnDemand was called",
  "rotation.done": "KMS was seen to have rotated",
  "key.replaced": "a new KMS key took the place of another",
  "key.retired": "a replaced KMS key was retired",
  recovered: "what a later run found of something that was begun",
  "state.rebuilt": "the inventory was rebuilt",
  "log.truncated": "a torn last line of this log was cut off",
} as const satisfies Record<string, string>

export type CustodyEventName = keyof typeof CUSTODY_EVENTS

export interface CustodyEvent {
  readonly event: CustodyEventName
  readonly owner?: string
  readonly name?: string
  readonly target?: string
  readonly keyArn?: string
  readonly source?: Pick<SourceKeyIdentity, "generation"> & { readonly id: string; readonly label: string }
  readonly token?: TokenInfo
  readonly facts?: Readonly<Record<string, string | number | boolean | null | readonly string[]>>
}
