import { durationText, isTooLong, parseDuration } from "../base/expiry.js"
import { aliasName, LONGEST_DESCRIPTION, policyFault, policyText, REGION } from "../key/aws-name.js"
import { CUSTODY_NAMES } from "../key/custody.js"
import { isAlias, parseKeyArn } from "../key/key-arn.js"
import { KEY_SPEC_NAMES, KEY_USAGES, WRAPPING_KEY_SPEC_NAMES, type WrappingKeySpec } from "../key/key-spec.js"
import type { WantedAlgorithm } from "../key/negotiation.js"
import { WRAPPING_ALGORITHM_NAMES } from "../key/wrapping-algorithm.js"
import { canonicalPolicy } from "./policy-form.js"
import type { Setting, SettingsCommand } from "./setting.js"

/** A length of time by itself, or as a part of another. */
export type Span =
  | { readonly kind: "duration"; readonly seconds: number }
  /** 0 to 100. */
  | { readonly kind: "percentage"; readonly percent: number }

/** When material is to be imported again. */
export interface Renewal {
  /** So long before its end, or with so much of the time between import and expiry left. */
  readonly renewBefore: Span
  /** How long before that the first keys are due: a percentage is of the time from the import to then. */
  readonly renewSpread: Span
}

export const DEFAULT_EXPIRES_IN = "90d"
export const DEFAULT_WRAPPING_KEY_SPEC: WrappingKeySpec = "RSA_4096"

/** A third of its life is left when material is imported again: room for a month of failures with 90 days. */
const DEFAULT_RENEW_BEFORE: Span = { kind: "percentage", percent: 33 }
const DEFAULT_RENEW_SPREAD: Span = { kind: "percentage", percent: 10 }

const DURATION = "a duration such as 90d or 12h (s, m, h, d, w)"
const PERCENTAGE = /^[1-9]\d?%$/
const MOST_SPREAD = 50
const parseSpan = (text: string): Span =>
  text.endsWith("%")
    ? { kind: "percentage", percent: Number(text.slice(0, -1)) }
    : { kind: "duration", seconds: parseDuration(text) ?? 0 }
const spanWritten = (span: Span): string =>
  span.kind === "percentage" ? `${span.percent}%` : durationText(span.seconds)
const isDuration = (text: string): boolean => (parseDuration(text) ?? 0) > 0

/** A setting that is one of these names. */
const choice = <const Name extends string>(choices: readonly Name[]) => ({
  form: { kind: "choice", choices } as const,
  parse: (name: Name): Name => name,
})

const SWITCH = { form: { kind: "switch" }, parse: (on: boolean): boolean => on } as const

/**
 * Everything that can be asked of a key: ONE row a setting. Flags and their help, the file's schema and its page, what
 * `config check` prints, bindings, what `provision` is asked for, the conflict of a name and drift follow from the rows;
 * what settings have to do with each other is in settings-check.ts. A new setting is a row here, and its use.
 */
export const KEY_SETTINGS = {
  keySpec: {
    ...choice(KEY_SPEC_NAMES),
    flag: "key-spec",
    words: "KMS key spec",
    commands: ["provision", "key generate", "params"],
    file: "key",
    absent: undefined,
    identity: "key spec",
    fixed: true,
  },
  keyUsage: {
    ...choice(KEY_USAGES),
    flag: "key-usage",
    words: "KMS key usage; needed where the key spec allows several",
    commands: ["provision", "params"],
    file: "key",
    absent: undefined,
    identity: "key usage",
    fixed: true,
  },
  alias: {
    form: { kind: "text" },
    flag: "alias",
    words: "alias of the KMS key, one for each target",
    commands: ["provision"],
    file: "key",
    absent: null,
    parse: (alias: string): string => aliasName(alias) ?? alias,
    fault: (alias: string) =>
      aliasName(alias) === undefined
        ? "is no alias: alias/ and letters, digits, slashes, underscores, hyphens; alias/aws/ is reserved"
        : undefined,
    identity: "alias",
    drift: { field: "alias", correctedBy: "UpdateAlias" },
  },
  keyArn: {
    form: { kind: "text" },
    flag: null,
    words: "ARN of an EXTERNAL KMS key that Terraform or a person made: its policy, alias and tags are theirs",
    commands: [],
    file: "key",
    absent: null,
    parse: (arn: string): string => arn,
    fault: (arn: string) => {
      if (isAlias(arn)) return "is an alias, which may name another key tomorrow: give the key's own ARN"
      return parseKeyArn(arn) === undefined ? "is not the ARN of a KMS key" : undefined
    },
  },
  tagKey: {
    ...SWITCH,
    flag: null,
    words: "whether a KMS key of keyArn gets keyferry's own tags, by which a lost state is found again",
    commands: ["provision"],
    file: "key",
    absent: true,
  },
  custody: {
    ...choice(CUSTODY_NAMES),
    flag: "custody",
    words: "how the source key lives between imports: as ciphertext alone, or in the token",
    commands: ["provision", "key generate", "params"],
    file: "key and defaults",
    absent: "sealed",
    identity: "custody",
  },
  localUse: {
    ...SWITCH,
    flag: "local-use",
    words: "custody locked: the key may also be used in the token, as its key usage says",
    commands: ["provision", "replace", "key generate"],
    file: "key and defaults",
    absent: false,
  },
  wrapWithTrusted: {
    ...SWITCH,
    flag: null,
    words: "CKA_WRAP_WITH_TRUSTED: only a trusted wrapping key takes it out; this version refuses true",
    commands: ["provision"],
    file: "key and defaults",
    absent: false,
    // a setting that would be passed over is worse than none: nothing marks a wrapping key as trusted yet
    fault: (on: boolean) => (on ? "is not honoured by this version: leave it out" : undefined),
  },
  wrappingAlgorithm: {
    ...choice<WantedAlgorithm>(["auto", ...WRAPPING_ALGORITHM_NAMES]),
    flag: "wrapping-algorithm",
    words: "auto takes the strongest that KMS takes and the token has proven",
    commands: ["provision", "replace", "key generate", "params"],
    file: "key and defaults",
    absent: "auto",
  },
  wrappingKeySpec: {
    ...choice(WRAPPING_KEY_SPEC_NAMES),
    flag: "wrapping-key-spec",
    words: "wrapping key that KMS lends",
    commands: ["provision", "replace", "key generate", "params"],
    file: "key and defaults",
    absent: DEFAULT_WRAPPING_KEY_SPEC,
  },
  expiresIn: {
    form: { kind: "text", pattern: /^(never|\d{1,9}[smhdw])$/ },
    flag: "expires-in",
    words: "how long KMS keeps the material: a duration under 365d, a time (RFC 3339; not in a file), or never",
    commands: ["provision", "replace"],
    file: "key and defaults",
    absent: DEFAULT_EXPIRES_IN,
    parse: (text: string): string => text,
    fileFault: (text: string) => {
      if (text !== "never" && !isDuration(text)) return `must be ${DURATION}, or never`
      return isTooLong(text) ? "is 365 days or more, which KMS refuses" : undefined
    },
    drift: { field: "expiry", correctedBy: "ImportKeyMaterial" },
  },
  renewBefore: {
    form: { kind: "text", pattern: /^(\d{1,9}[smhdw]|[1-9]\d?%)$/ },
    flag: null,
    words: "when to import again: so long before the expiry, or with so much of the life left",
    commands: [],
    file: "key and defaults",
    absent: DEFAULT_RENEW_BEFORE,
    parse: parseSpan,
    write: spanWritten,
    fault: (text: string) =>
      isDuration(text) || PERCENTAGE.test(text) ? undefined : `must be ${DURATION}, or a percentage from 1% to 99%`,
  },
  renewSpread: {
    form: { kind: "text", pattern: /^(\d{1,9}[smhdw]|\d\d?%)$/ },
    flag: null,
    words:
      "over how long before renewBefore keys come due, each at a place of its own: a duration, or a part of the time from import to then",
    commands: [],
    file: "key and defaults",
    absent: DEFAULT_RENEW_SPREAD,
    parse: parseSpan,
    write: spanWritten,
    fault: (text: string) =>
      parseDuration(text) !== undefined || (/^\d\d?%$/.test(text) && Number(text.slice(0, -1)) <= MOST_SPREAD)
        ? undefined
        : `must be ${DURATION}, 0s for none, or a percentage from 0% to ${MOST_SPREAD}%`,
  },
  rotateEvery: {
    form: { kind: "text", pattern: /^\d{1,9}[smhdw]$/ },
    flag: null,
    words: "how often to rotate to new material (symmetric keys; a default counts for those alone)",
    commands: [],
    file: "key and defaults",
    absent: null,
    /** Seconds. */
    parse: (text: string): number => parseDuration(text) ?? 0,
    write: durationText,
    fault: (text: string) => (isDuration(text) ? undefined : `must be ${DURATION}`),
  },
  priority: {
    form: { kind: "number", least: 1, most: 1000 },
    flag: null,
    words: "what `recover` brings back first: 1 before 2; keys without one come last",
    commands: [],
    file: "key",
    absent: null,
    parse: (priority: number): number => priority,
  },
  description: {
    form: { kind: "text" },
    flag: "description",
    words: "description of the KMS key",
    commands: ["provision", "replace", "params"],
    file: "key and defaults",
    absent: null,
    parse: (text: string): string => text,
    fault: (text: string) =>
      text.length > LONGEST_DESCRIPTION ? `is longer than ${LONGEST_DESCRIPTION} characters` : undefined,
    drift: {
      field: "description",
      correctedBy: "UpdateKeyDescription",
      read: ({ description }) => description.description,
    },
  },
  tags: {
    form: { kind: "tags" },
    flag: "tag",
    words: "tags of the KMS key",
    commands: ["provision", "replace", "params"],
    file: "key and defaults",
    absent: {},
    parse: (tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> => tags,
    drift: { field: "tags", correctedBy: "TagResource" },
  },
  keyPolicy: {
    form: { kind: "json" },
    flag: "key-policy",
    words: "key policy of the KMS key; default: KMS' own, and whatever is there",
    commands: ["provision", "replace", "params"],
    file: "key and defaults",
    absent: null,
    parse: (policy: string | object): string => policyText(policy),
    write: (text: string): string | object => JSON.parse(text) as object,
    fault: policyFault,
    drift: { field: "policy", correctedBy: "PutKeyPolicy", read: ({ policy }) => policy, canonical: canonicalPolicy },
  },
  prove: {
    ...choice(["accept", "full"]),
    flag: "prove",
    words: "symmetric keys: full imports once more, pinned, as the proof (one more GetParametersForImport)",
    commands: ["provision", "replace"],
    file: "key and defaults",
    absent: "accept",
  },
  multiRegion: {
    ...SWITCH,
    flag: "multi-region",
    words: "make a multi-Region key",
    commands: ["provision", "params"],
    // the file says this and the next in one: `multiRegion: { replicas: [Region] }`
    file: null,
    absent: false,
    identity: "multi-Region",
  },
  replicas: {
    form: { kind: "list" },
    flag: "replica",
    words: "Regions of the replicas of a multi-Region key",
    commands: ["provision"],
    file: null,
    absent: [],
    parse: (regions: readonly string[]): readonly string[] => [...new Set(regions)],
    fault: (regions: readonly string[]) => {
      const unnamed = regions.find((region) => !REGION.test(region))
      return unnamed === undefined ? undefined : `'${unnamed}' is not the name of an AWS Region`
    },
  },
} as const satisfies Readonly<Record<string, Setting<never, never>>>

type Settings = typeof KEY_SETTINGS

export type SettingName = keyof Settings

export const SETTING_NAMES = Object.keys(KEY_SETTINGS) as readonly SettingName[]

/** The row of a name as what walks over all rows sees it: written form and value are then the row's own business. */
export const settingOf = (name: SettingName): Setting<unknown, unknown> =>
  KEY_SETTINGS[name] as Setting<unknown, unknown>

/** A setting as it is written in the file; flags are brought into the same form. */
export type Written<Name extends SettingName> = Parameters<Settings[Name]["parse"]>[0]

/** What was written, of as many settings as were. */
export type WrittenSettings = { readonly [Name in SettingName]?: Written<Name> | undefined }

type Absent<Name extends SettingName> = Settings[Name]["absent"]

/** What is asked of a key: every setting with its value. */
export type KeySettings = {
  readonly [Name in SettingName]: ReturnType<Settings[Name]["parse"]> | (Absent<Name> extends null ? null : never)
}

type Naming<Column extends object> = {
  [Name in SettingName]: Settings[Name] extends Column ? Name : never
}[SettingName]

/** Settings of which a name stands for one value each. */
export type IdentityName = Naming<{ readonly identity: string }>

type NameFor<Command extends SettingsCommand> = {
  [Name in SettingName]: Command extends Settings[Name]["commands"][number] ? Name : never
}[SettingName]

/** The settings that a command takes. */
export type SettingsFor<Command extends SettingsCommand> = Pick<KeySettings, NameFor<Command>>

/** The same for a key that there is: null for what is to be as it was. */
export type ChangesFor<Command extends SettingsCommand> = {
  readonly [Name in NameFor<Command>]: KeySettings[Name] | null
}

/** Of more settings those that a command takes. */
export function settingsFor<Command extends SettingsCommand>(
  command: Command,
  settings: KeySettings,
): SettingsFor<Command> {
  const names = SETTING_NAMES.filter((name) => settingOf(name).commands.includes(command))
  return Object.fromEntries(names.map((name) => [name, settings[name]])) as SettingsFor<Command>
}

/** Rows of the settings that make up what a name stands for. */
export const IDENTITY_NAMES = SETTING_NAMES.filter(
  (name) => settingOf(name).identity !== undefined,
) as readonly IdentityName[]

/** What stands where nothing is said, of every setting that has such a value. */
export const DEFAULT_SETTINGS = Object.fromEntries(
  SETTING_NAMES.map((name) => [name, settingOf(name).absent]).filter(([, absent]) => absent !== undefined),
) as unknown as Omit<KeySettings, "keySpec" | "keyUsage">
