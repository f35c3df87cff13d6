import type { ExitName } from "../base/exit-code.js"

/** What a decision asks for. `none` leaves the key as it is, `blocked` cannot be done by keyferry alone. */
export type Action =
  | "none"
  | "provision"
  | "rewrap"
  | "rotate"
  | "finish-rotation"
  | "finish-replacement"
  | "replicate"
  | "correct"
  | "blocked"

interface ReasonRow {
  readonly action: Action
  /** Shown to the operator; `{word}` stands for a fact of the key. */
  readonly sentence: string
  /** What the operator can do, where keyferry does not do it. */
  readonly hint?: string
  /** Exit status of a run that met it: blocked rows only. */
  readonly exit?: ExitName
}

/** Every reason for a decision: one row a reason. Which of them decides where several apply is the order of CHAIN in plan.ts. */
const REASON_ROWS = {
  // what keeps keyferry from looking, or from touching the key
  ENTRY_UNREADABLE: {
    action: "blocked",
    sentence: "its entry of the inventory cannot be read: {fault}",
    hint: "restore that file from a backup, or have it written anew: `keyferry status --rebuild --overwrite`",
    exit: "DATAERR",
  },
  KMS_UNREACHABLE: {
    action: "blocked",
    sentence: "KMS could not be asked: {error}",
    hint: "check network, proxy and endpoint: `keyferry doctor`",
    exit: "UNAVAILABLE",
  },
  KMS_CREDENTIALS: { action: "blocked", sentence: "{key} was not looked at: {error}", exit: "NOPERM" },
  KMS_LATER: { action: "blocked", sentence: "KMS did not answer for now: {error}", exit: "TEMPFAIL" },
  KMS_DENIED: {
    action: "blocked",
    // which permission is lacking says the failure itself
    sentence: "KMS does not let these credentials look at {key}: {error}",
    exit: "NOPERM",
  },
  OTHER_ACCOUNT: {
    action: "blocked",
    sentence: "{key} was not looked at: {error}",
    hint: "give credentials of the key's account (--profile, --role-arn, the target's profile or roleArn)",
    exit: "CONFIG",
  },
  KMS_FAILED: { action: "blocked", sentence: "KMS could not be asked about {key}: {error}", exit: "UNAVAILABLE" },
  UNKNOWN_HERE: {
    action: "blocked",
    sentence: "KMS has {key} with the tags of this key, and this state directory does not know it",
    hint: "take it in: `keyferry status --rebuild` (with --overwrite where this state has an older key of that name), or `keyferry state merge DIR` from a copy of the state that knows it",
    exit: "DATAERR",
  },
  KEY_UNFIT: {
    action: "blocked",
    sentence: "{key}, its keyArn, cannot be filled: {field} {found}, not {wanted}",
    hint: "keyArn wants an EXTERNAL KMS key of the same spec and usage that waits for its first material, of a multi-Region key the primary; one that has, or had, its material from this token is taken in by `keyferry status --rebuild`",
    exit: "CONFIG",
  },
  NOTHING_YET: { action: "provision", sentence: "no KMS key holds its material yet" },
  ELSEWHERE: {
    action: "blocked",
    sentence: "the inventory has it in Region {found}, and its target is in {wanted} now",
    hint: "a KMS key does not move: name the target as it was, or give the key another name",
    exit: "CONFIG",
  },
  IDENTITY_CHANGED: {
    action: "blocked",
    sentence: "its KMS key has the {field} {found}, and {wanted} is wanted",
    hint: "that cannot be changed of a KMS key: give the new key another name, or undo the change",
    exit: "CONFIG",
  },
  UNFINISHED: { action: "provision", sentence: "its provisioning was begun and not finished" },
  KEY_GONE: {
    action: "blocked",
    sentence: "{key} does not exist any more",
    hint: "is this the right account, and the right endpoint? `keyferry doctor` says whose the credentials are. If it is, what was encrypted under the key is lost with it, and `keyferry provision` under another name makes a new one",
    exit: "DATAERR",
  },
  KEY_CLAIMED: {
    action: "blocked",
    sentence: "{key} says by its tags that it is {owner}'s",
    hint: "two configurations name one KMS key: take it out of one of them",
    exit: "CONFIG",
  },
  KEY_MISMATCH: {
    action: "blocked",
    sentence: "{key} is not what the inventory says: {field} {found}, not {wanted}",
    exit: "DATAERR",
  },
  PENDING_DELETION: {
    action: "blocked",
    sentence: "{key} is pending deletion{on}",
    hint: "aws kms cancel-key-deletion, and enable-key, keep it; otherwise take it out of the configuration",
    exit: "DATAERR",
  },
  UNAVAILABLE: { action: "blocked", sentence: "{key} is in state Unavailable", exit: "UNAVAILABLE" },
  NOT_READY: { action: "blocked", sentence: "{key} is in state {state}, which passes", exit: "TEMPFAIL" },
  STATE_UNKNOWN: {
    action: "blocked",
    sentence:
      "{key} is in state {state}, which this version of keyferry does not know: whether it is well cannot be told",
    hint: "what the state means is in AWS' guide, 'Key states of AWS KMS keys'; a later keyferry may know it",
    exit: "UNAVAILABLE",
  },
  FOREIGN_MATERIAL: {
    action: "blocked",
    sentence: "{key} holds key material {id}, which the inventory does not know",
    hint: "if another copy of this state rotated it, `keyferry state merge DIR` takes that in, or `keyferry status --rebuild --overwrite` where that copy is gone; else somebody else imported it: find out who before anything is done; `keyferry verify` compares",
    exit: "DATAERR",
  },
  PROOF_FAILED: {
    action: "blocked",
    sentence: "the proof of generation {generation} failed: {key} does not hold the token's key material",
    hint: "do not use this KMS key",
    exit: "PROOF",
  },
  SOURCE_MISSING: {
    action: "blocked",
    sentence: "the source key of generation {generation} ({id}) is gone; {loses}",
    hint: "restore the token or the vault from its backup, or replace the key while KMS has the material",
    exit: "DATAERR",
  },
  SOURCE_DAMAGED: {
    action: "blocked",
    sentence: "the sealed material of generation {generation} cannot be used: {note}; {loses}",
    hint: "restore that file from a backup, or replace the key while KMS has the material",
    exit: "DATAERR",
  },
  CANNOT_REIMPORT: {
    action: "blocked",
    sentence: "custody {custody} cannot import it again{lost}",
    hint: "`keyferry replace` makes a new key; what was encrypted under this one needs its material",
    exit: "DATAERR",
  },
  MATERIAL_DELETED: {
    action: "blocked",
    sentence: "its key material was deleted from {key} before its expiry",
    hint: "`keyferry recover NAME --yes` imports it again, if that is what you want",
    exit: "DATAERR",
  },
  FIXED_END_PASSED: {
    action: "blocked",
    sentence: "KMS has lost its key material, whose fixed end, {date}, has passed",
    hint: "`keyferry rewrap NAME --expires-in 90d` imports it again with another end, if that is what you want",
    exit: "DATAERR",
  },
  EXPIRY_SHORTER: {
    action: "blocked",
    sentence: "it expires {found}, and {wanted} is wanted, which is earlier: no run does that by itself",
    hint: "`keyferry apply --yes` does it, or `keyferry rewrap NAME`; otherwise set expiresIn as it was",
    exit: "CONFIG",
  },
  DISABLED: {
    action: "blocked",
    sentence: "it is due ({why}), and {key} is disabled: an import would enable it",
    hint: "`keyferry enable NAME`, or rewrap with --include-disabled, which disables it again at once",
    exit: "DATAERR",
  },

  // an entry that no binding names
  UNMANAGED: { action: "none", sentence: "the configuration does not name it: it is watched, not kept alive" },

  // work, most urgent first
  INTERRUPTED: { action: "rewrap", sentence: "an import of generation {generation} was not finished" },
  EXPIRED: { action: "rewrap", sentence: "its key material expired{on}" },
  DELETED: { action: "rewrap", sentence: "its key material was deleted, and is asked for" },
  DUE: { action: "rewrap", sentence: "its key material expires on {date}" },
  EXPIRY_DRIFT: { action: "rewrap", sentence: "it expires {found}, and {wanted} is wanted" },
  ASKED: { action: "rewrap", sentence: "asked for" },
  REPLICA_EMPTY: { action: "replicate", sentence: "KMS has a replica in {region} that was given no key material yet" },
  REPLICA_MISSING: { action: "replicate", sentence: "there is no replica in {region} yet" },
  REPLICA_NOT_IMPORTED: { action: "rewrap", sentence: "the replica in {region} has no key material yet" },
  ROTATION_STAGED: { action: "finish-rotation", sentence: "the rotation to generation {generation} is not finished" },
  ROTATION_ASKED: {
    action: "finish-rotation",
    sentence: "a rotation was asked for on {date}, and is not begun",
    hint: "`keyferry rotate NAME`, `rewrap` and `apply` finish it; `keyferry rotate --abandon NAME` gives it up",
  },
  REPLACEMENT_STAGED: { action: "finish-replacement", sentence: "a replacement was begun and is not finished" },
  REPLACEMENT_ASKED: {
    action: "finish-replacement",
    sentence: "a replacement was asked for on {date}, and is not begun",
  },
  REPLICA_UNSEEN: {
    action: "blocked",
    sentence: "the replica in {region} could not be looked at: {error}",
    exit: "UNAVAILABLE",
  },
  ROTATIONS_EXHAUSTED: {
    action: "blocked",
    sentence: "its rotation is due, and KMS permits no more than 25 of one key",
    hint: "`keyferry replace` makes a new KMS key and moves the alias to it",
    exit: "DATAERR",
  },
  ROTATION_DUE: { action: "rotate", sentence: "its key material is in use since {date}" },
  DRIFT: { action: "correct", sentence: "of {key} the {fields} not as wanted" },
  ALIAS_TAKEN: {
    action: "blocked",
    sentence: "{alias} names another KMS key, {holder}",
    hint: "it has not the tags of NAME, or they may not be seen: choose another alias",
    exit: "DATAERR",
  },

  // nothing to do
  FIXED_END: {
    action: "none",
    sentence: "it was given a fixed end, {date}",
    hint: "`keyferry rewrap NAME --expires-in 90d` gives it another",
  },
  ONCE_ONLY: { action: "none", sentence: "custody {custody} imports only once, and it never expires" },
  NEVER_EXPIRES: { action: "none", sentence: "it never expires" },
  NOT_LOST: { action: "none", sentence: "KMS has its key material" },
  NOT_DUE: { action: "none", sentence: "it is not due before {date}" },
} as const satisfies Record<string, ReasonRow>

export type ReasonCode = keyof typeof REASON_ROWS

export const REASONS: Readonly<Record<ReasonCode, ReasonRow>> = REASON_ROWS

/** What the operator should know beside the decision. */
const WARNING_ROWS = {
  DISABLED: "{key} is disabled",
  SOURCE_GONE: "the source key of generation {generation} ({id}) is gone: KMS alone has this material",
  SOURCE_UNUSABLE: "the sealed material of generation {generation} cannot be used: {note}; KMS alone has it",
  SOURCE_ELSEWHERE: "the source key of generation {generation} ({id}) is not in the token that is given: {note}",
  UNMANAGED_EXPIRES: "the configuration does not name it, and KMS loses its material on {date}",
  UNMANAGED_LOST: "the configuration does not name it, and its key material is gone from KMS",
  SHORTER: "its new expiry, {wanted}, is earlier than its present one, {found}",
  RENEW_BEFORE_TOO_LONG:
    "renewBefore is longer than what it is imported for: it is imported again after a tenth of that",
  ROTATIONS_FEW: "{used} of the 25 rotations that KMS permits of one key are used",
  ROTATE_NOT_POSSIBLE: "a {keySpec} key cannot be rotated: `keyferry replace` makes a new one",
  CUSTODY_DIFFERS: "its custody is {found}, and {wanted} is wanted: `keyferry key reseal`",
  REPLICA_UNWANTED: "the replica in {region} is not wanted any more: it is kept alive until it is deleted",
  REPLICA_STATE: "the replica in {region} is {state}",
  REPLACEMENT_BEGUN:
    "a replacement was begun and not finished: `keyferry replace NAME`, `rewrap` and `apply` go on with it",
  FORMER_KEPT: "{key} was replaced on {date} and is kept alive until `keyferry retire`",
} as const satisfies Record<string, string>

export type WarningCode = keyof typeof WARNING_ROWS

export const WARNINGS: Readonly<Record<WarningCode, string>> = WARNING_ROWS

export type Facts = Readonly<Record<string, string | number>>

/** The sentence with its facts. */
export function filled(sentence: string, facts: Facts): string {
  return sentence.replace(/\{(\w+)\}/g, (placeholder, word: string) => String(facts[word] ?? placeholder))
}
