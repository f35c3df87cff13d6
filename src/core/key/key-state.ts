/**
 * THE table of KMS' key states ("Key states of AWS KMS keys" of its developer guide): everything that keyferry decides
 * by the state of a KMS key is a column here, and no other file names a state.
 */

interface KeyStateRow {
  /**
   * `usable`: it does what it is for. `disabled`, and `empty`, which has no key material, answer nobody until somebody
   * acts. `dying`: only a cancelled deletion leads back. `creating` and `passing` end by themselves.
   */
  readonly phase: "usable" | "disabled" | "empty" | "dying" | "creating" | "passing"
  /** What ImportKeyMaterial does to it: its first material, the same again, the same again and enables it, nothing. */
  readonly takesImport: "first" | "again" | "enabling" | "never"
  /** Whether KMS, which is eventually consistent, may still refuse for an older state what this one allows. */
  readonly catchingUp: boolean
  /** Whether it answers ListKeyRotations. */
  readonly listsRotations: boolean
  /** The reason of the plan for which nothing can be done with it now; null where something can. */
  readonly blocks: "PENDING_DELETION" | "UNAVAILABLE" | "NOT_READY" | "STATE_UNKNOWN" | null
  /** What it is, to go on after its ARN. */
  readonly words: string
  /** What to do about it, where another state is wanted. */
  readonly hint: string
}

const NOTHING_WORKS = "nothing works with it any more; aws kms cancel-key-deletion keeps it"
const WAIT = "wait until it has passed, and run again"

const KEY_STATES = {
  Enabled: {
    phase: "usable",
    takesImport: "again",
    catchingUp: true,
    listsRotations: true,
    blocks: null,
    words: "holds key material already",
    hint: "name a key in PendingImport, or leave --key-id out to have one made; `keyferry key adopt --key-id` takes over a key whose material is in the token",
  },
  Disabled: {
    phase: "disabled",
    takesImport: "enabling",
    catchingUp: false,
    listsRotations: true,
    blocks: null,
    words: "is disabled, and an import would enable it again",
    hint: "enable it first, if that is what you want: an import would do so by itself",
  },
  PendingImport: {
    phase: "empty",
    takesImport: "first",
    catchingUp: true,
    listsRotations: true,
    blocks: null,
    words: "has no key material",
    hint: "it has no key material: nothing works with it until `keyferry recover NAME --yes` imports it again",
  },
  PendingDeletion: {
    phase: "dying",
    takesImport: "never",
    catchingUp: false,
    listsRotations: false,
    blocks: "PENDING_DELETION",
    words: "is pending deletion",
    hint: NOTHING_WORKS,
  },
  PendingReplicaDeletion: {
    phase: "dying",
    takesImport: "never",
    catchingUp: false,
    listsRotations: false,
    blocks: "PENDING_DELETION",
    words: "is pending deletion of its replicas",
    hint: NOTHING_WORKS,
  },
  Creating: {
    phase: "creating",
    takesImport: "never",
    catchingUp: true,
    listsRotations: false,
    blocks: "NOT_READY",
    words: "is still being created",
    hint: WAIT,
  },
  Updating: {
    phase: "passing",
    takesImport: "never",
    catchingUp: false,
    listsRotations: true,
    blocks: "NOT_READY",
    words: "is being updated",
    hint: WAIT,
  },
  Unavailable: {
    phase: "passing",
    takesImport: "never",
    catchingUp: false,
    listsRotations: true,
    blocks: "UNAVAILABLE",
    words: "is unavailable",
    hint: WAIT,
  },
} as const satisfies Record<string, KeyStateRow>

export type KeyPhase = KeyStateRow["phase"]

/** The row of a state as KMS spells it; one that this version does not know is waited for, and nothing is said to be well. */
export function keyStateRow(keyState: string): KeyStateRow {
  if (Object.hasOwn(KEY_STATES, keyState)) return KEY_STATES[keyState as keyof typeof KEY_STATES]
  return {
    phase: "passing",
    takesImport: "never",
    catchingUp: false,
    listsRotations: true,
    blocks: "STATE_UNKNOWN",
    words: `is in state ${keyState}, which this version of keyferry does not know`,
    hint: WAIT,
  }
}

export const phaseOf = ({ keyState }: { readonly keyState: string }): KeyPhase => keyStateRow(keyState).phase

/** Whether key material can be imported into it without changing whether it is enabled. */
export function takesMaterial({ keyState }: { readonly keyState: string }): boolean {
  const { takesImport } = keyStateRow(keyState)
  return takesImport === "first" || takesImport === "again"
}
