import type { KeyDescription } from "../key/key-description.js"

/** What takes settings by flags; the configuration file gives them all to `provision`. */
export type SettingsCommand = "provision" | "replace" | "key generate" | "params"

/** How a setting is written, from which its flag, its part of the file's schema and the words of its page follow. */
export type Form =
  /** One of these names. */
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  /** Text; the pattern goes into the JSON Schema. */
  | { readonly kind: "text"; readonly pattern?: RegExp }
  /** A whole number within these bounds. */
  | { readonly kind: "number"; readonly least: number; readonly most: number }
  /** Flag alone, or true and false. */
  | { readonly kind: "switch" }
  /** A flag that may be repeated, or a list. */
  | { readonly kind: "list" }
  /** `KEY=VALUE` as often as given, or a mapping; the keys of `defaults` and of a key are joined. */
  | { readonly kind: "tags" }
  /** Path of a file or JSON text, or a mapping or JSON text. */
  | { readonly kind: "json" }

/** A KMS key as it was seen; null where that was not asked for. */
export interface SeenKmsKey {
  readonly description: Pick<KeyDescription, "description">
  readonly policy: string | null
}

/** How a KMS key that is not as wanted is told and set right. */
export interface DriftRule {
  /** Its name in the results of `plan` and `status`. */
  readonly field: "alias" | "tags" | "description" | "policy" | "expiry"
  /** KMS operation that sets it right. */
  readonly correctedBy: string
  /** The KMS key's, written as the binding's; without it `core/plan/drift.ts` knows how to compare. */
  readonly read?: (key: SeenKmsKey) => string | null
  /** Text that is compared in the place of the setting's own, where it can be written in several ways. */
  readonly canonical?: (text: string) => string
}

/**
 * One thing that can be asked of a key: a row of KEY_SETTINGS. `Written` is its form in the file, into which a flag's is
 * brought; `Value` what a binding holds.
 */
export interface Setting<Written, Value> {
  /** Without its dashes; null where the file alone has it. */
  readonly flag: string | null
  /** In help, in the JSON Schema and in the documentation. */
  readonly words: string
  readonly form: Form
  /** Commands that take it. */
  readonly commands: readonly SettingsCommand[]
  /** Whether the file has it for a key alone or in `defaults` too; null where the file says it otherwise. */
  readonly file: "key" | "key and defaults" | null
  /** What stands where nothing is said; undefined where something must be said, or follows from the rest. */
  readonly absent: unknown
  readonly parse: (written: Written) => unknown
  /** As `parse` takes it back; the value itself unless given. */
  readonly write?: (value: Value) => unknown
  /** What is wrong with it, to follow its name: `is no alias`; undefined where it is right. */
  readonly fault?: (written: Written) => string | undefined
  /** What besides is wrong in a file, which outlives the day on which a flag is given. */
  readonly fileFault?: (written: Written) => string | undefined
  /** A name stands for a key of this: under the same name nothing else is taken. The words for it. */
  readonly identity?: string
  /** Whether KMS itself cannot change it once the KMS key is made. */
  readonly fixed?: boolean
  readonly drift?: DriftRule
}
