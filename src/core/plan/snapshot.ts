import type { Binding } from "../manifest/binding.js"
import type { DriftRule } from "../manifest/setting.js"
import type { ErrorCode } from "../base/error.js"
import type { ExitName } from "../base/exit-code.js"
import type { ImportTerms } from "../ports/kms.js"
import type { KeyDescription } from "../key/key-description.js"
import { keyStateRow } from "../key/key-state.js"
import type { KeyRotation } from "../key/rotation.js"
import type { InventoryEntry } from "../records/inventory.js"
import type { Unfinished } from "../records/operation.js"
import type { Action, ReasonCode, WarningCode } from "./reason.js"

/** One KMS key as it was seen. */
export type KeyView =
  /** No KMS key is recorded for that Region. */
  { readonly seen: "nothing"; readonly region: string } | FailedView | SeenKey

/** Whether KMS says a key state that this version does not know, so that it is not known whether the key is well. */
export const isOfUnknownState = (view: KeyView): boolean =>
  view.seen === "key" && keyStateRow(view.description.keyState).blocks === "STATE_UNKNOWN"

interface FailedView {
  readonly seen: "failed"
  readonly region: string
  readonly keyArn: string
  readonly code: ErrorCode
  readonly exit: ExitName
  readonly error: string
  readonly hint: string
}

/** Whether KMS was asked, and knows no such key. */
export const isGone = (view: KeyView): boolean => view.seen === "failed" && view.code === "ERR_KMS_KEY_NOT_FOUND"

/** Whether it is not known what the KMS key is like, or whether there is one. */
export const isUnseen = (view: KeyView): view is FailedView => view.seen === "failed" && !isGone(view)

export interface SeenKey {
  readonly seen: "key"
  readonly region: string
  readonly keyArn: string
  readonly description: KeyDescription
  /** Null where it was not asked: asymmetric and HMAC keys, and where DescribeKey says all. */
  readonly rotations: readonly KeyRotation[] | null
  /** Null where they were not asked for. */
  readonly tags: Readonly<Record<string, string>> | null
  /** The key policy; null where it was not asked for. */
  readonly policy: string | null
}

/** What the token and the vault have of one generation. */
export interface SourceView {
  readonly generation: number
  /** `unknown` where the token was not asked. */
  readonly state: "present" | "missing" | "damaged" | "unknown"
  /** In words: what is wrong with it, or which other token has it. */
  readonly note: string | null
}

/** One binding as it was found: all that a decision depends on. */
export interface Snapshot {
  readonly binding: Binding
  /** What the KMS key is to its name: the one in force, or one whose place another took. */
  readonly role: "current" | "former"
  readonly entry: InventoryEntry | null
  /** Why the entry of the inventory cannot be read; null where it can, or where there is none. */
  readonly damage: string | null
  /**
   * ARN of a KMS key with the tags of this owner and name that this state directory does not know: any where there is no
   * entry; else one that has taken this key's place, by its alias or by its tags. Null where there is none.
   */
  readonly unknownKey: string | null
  /** What commands that did not come to their end want of it. */
  readonly unfinished: Unfinished
  /** Of the binding's target. */
  readonly region: string
  readonly key: KeyView
  readonly replicas: readonly KeyView[]
  readonly sources: readonly SourceView[]
  /** Tags that the KMS key is to carry: whose it is, and the binding's own. */
  readonly wantedTags: Readonly<Record<string, string>>
  /** Owner that the KMS key's tags name, where it is not the binding's. */
  readonly claimedBy: string | null
  /** ID of the KMS key that the wanted alias names; null if it names none, undefined where it was not asked. */
  readonly aliasHolder: string | null | undefined
  readonly now: Date
  /** 0 to 1: the key's own place in the spread (jitterOf). */
  readonly jitter: number
}

export interface PlanOptions {
  /** Imports what is not due: `all` passes over what cannot be imported again, `named` says so. */
  readonly force?: "all" | "named" | null
  /** Imports what KMS has lost, and nothing that it still has; what was deleted where a person has said so. */
  readonly recover?: { readonly deleted: boolean } | null
  /** Imports into a disabled key, which enables it; the executor disables it again. */
  readonly includeDisabled?: boolean
  /** A person has said that material may end earlier than it would by itself; who names the key has said so too. */
  readonly shorten?: boolean
  /** Instead of the binding's. */
  readonly expiresIn?: string | null
  /** Imports once more where that makes a proof. */
  readonly prove?: "full" | "accept" | null
}

/** One import that is due. */
export interface PlannedImport {
  readonly region: string
  readonly keyArn: string
  readonly generation: number
  /** Null for keys that are not symmetric, which take neither, and where KMS never named the material. */
  readonly importType: ImportTerms["importType"] | null
  readonly keyMaterialId: string | null
}

export interface Drift {
  readonly field: DriftRule["field"]
  readonly region: string
  readonly wanted: string
  readonly found: string
  /** Whether `apply` sets it right: not an alias that is somebody else's; an expiry by an import. */
  readonly correctable: boolean
}

export interface Warning {
  readonly code: WarningCode
  readonly message: string
}

/** What is to be done for one KMS key, and why. Plain data: `--json` prints it. */
export interface Decision {
  readonly action: Action
  readonly reason: ReasonCode
  readonly message: string
  readonly hint: string | null
  readonly imports: readonly PlannedImport[]
  /** What comes next if nothing changes, and when; null for nothing. RFC 3339 UTC. */
  readonly next: { readonly action: Action; readonly at: string } | null
  readonly warnings: readonly Warning[]
  readonly drift: readonly Drift[]
  /** When KMS loses its first material if it cannot be imported again; null for never. */
  readonly forecast: { readonly diesAt: string } | null
  /** KMS requests that the action takes, by operation. */
  readonly costs: Readonly<Record<string, number>>
}
