import { parseDuration } from "../core/base/expiry.js"
import * as z from "zod"
import { ACCOUNT, REGION, ROLE_ARN, tagFault } from "../core/key/aws-name.js"
import { CUSTODY_NAMES } from "../core/key/custody.js"
import { type KeySpec, whyNotCarried } from "../core/key/key-spec.js"
import { NAME } from "../core/key/source-key.js"
import {
  KEY_SETTINGS,
  SETTING_NAMES,
  type SettingName,
  settingOf,
  type WrittenSettings,
} from "../core/manifest/key-settings.js"
import { ACCEPTANCE, acceptanceEnd } from "../core/manifest/acceptances.js"
import { isAcceptance } from "../core/plan/acceptance.js"
import { DEFAULT_ID, DEFAULT_POLICY } from "../core/manifest/manifest.js"
import type { Form, Setting } from "../core/manifest/setting.js"
import { DEFAULT_QUOTAS } from "../core/plan/schedule.js"
import { agentShape } from "./agent.js"
import { stateShape } from "./state.js"

/** The shape of the configuration file: every key there is. What keys have to do with each other is in resolve.ts. */

/** Text of one form. The pattern goes into the JSON Schema; `fits`, where given, is stricter. */
function form(
  description: string,
  pattern: RegExp,
  fault: string,
  fits: (text: string) => boolean = (text) => pattern.test(text),
) {
  return z.string().meta({ description, pattern: pattern.source }).refine(fits, { error: fault, abort: true })
}

const name = form(
  "name: 1 to 63 letters, digits, dots, underscores and hyphens",
  NAME,
  "is no name: 1 to 63 letters, digits, dots, underscores and hyphens, the first a letter or digit",
)
const region = form("AWS Region", REGION, "is not the name of an AWS Region")
const text = (description: string, longest: number) =>
  z
    .string()
    .min(1, { error: "is empty" })
    .max(longest, { error: `is longer than ${longest} characters` })
    .meta({
      description,
    })
const names = (description: string) =>
  z.array(name, { error: "must be a list of names" }).min(1, { error: "is an empty list" }).meta({ description })

const pin = z
  .strictObject({
    file: form("absolute path of the PIN file", /^\//, "must be an absolute path").optional(),
    fd: z.int().min(0).max(999_999).optional().meta({ description: "file descriptor that gives the PIN" }),
    env: form(
      "environment variable that holds the PIN",
      /^[A-Za-z_]\w*$/,
      "is no name of an environment variable",
    ).optional(),
    exec: text("shell command that prints the PIN", 4096).optional(),
    prompt: z.literal(true).optional().meta({ description: "ask on the terminal" }),
  })
  .refine((sources) => Object.values(sources).filter((value) => value !== undefined).length === 1, {
    error: "must name one source: file, fd, env, exec or prompt",
  })
  .meta({ description: "where the PIN comes from, never the PIN itself", minProperties: 1, maxProperties: 1 })

const CALL_TIMEOUT = /^[1-9][0-9]{0,5}[smh]$/

const token = (profiles: readonly string[]) =>
  z.strictObject({
    uri: text("RFC 7512 URI of the token, with module-path", 4096),
    pin: pin.optional(),
    profile: z.enum(profiles).optional().meta({
      description: "family of the token profile, where it is not to be chosen by what the token says of itself",
    }),
    libraryParameters: text("what the module wants at C_Initialize (NSS)", 4096).optional(),
    sessions: z
      .int()
      .min(1)
      .max(256)
      .optional()
      .meta({ description: "sessions used at one time; default: the profile's" }),
    callTimeout: form(
      "how long a call to the token may take, such as 30s: one that takes longer ends the run (ERR_TOKEN_HANGS); default: any time",
      CALL_TIMEOUT,
      "is no time such as 30s or 5m, up to a day",
      (time) => CALL_TIMEOUT.test(time) && (parseDuration(time) ?? Infinity) <= 86_400,
    ).optional(),
  })

const target = z.strictObject({
  region,
  account: form(
    "AWS account, 12 digits in quotes: no other's credentials are used; default: that of the first import",
    ACCOUNT,
    "is not the number of an AWS account: 12 digits, in quotes",
  ).optional(),
  roleArn: form("IAM role to assume", ROLE_ARN, "is not the ARN of an IAM role").optional(),
  profile: text("AWS profile", 256).optional(),
  endpoint: text("endpoint other than AWS' own of the Region; plain http to loopback only", 2048).optional(),
  fips: z.boolean().optional().meta({ description: "use the FIPS endpoint; default: by the environment" }),
  proxy: text("URL of the proxy; default: HTTPS_PROXY and NO_PROXY of the environment", 2048).optional(),
  tls: z
    .strictObject({
      requirePostQuantum: z.boolean().default(false).meta({
        description:
          "speak to KMS by TLS 1.3 with X25519MLKEM768 alone, which Node.js 24 has; without it that is used where both sides have it",
      }),
    })
    .optional()
    .meta({ description: "of the connection to KMS" }),
  quotas: z
    .record(
      form("KMS operation", /^[A-Z][A-Za-z]+$/, "is no operation of KMS that has a quota here", (operation) =>
        Object.hasOwn(DEFAULT_QUOTAS, operation),
      ),
      z.number().positive({ error: "must be more than 0" }).max(100_000, { error: "is more than 100000" }),
    )
    .optional()
    .meta({ description: "requests a second by KMS operation, where the account's quotas are not AWS' own" }),
})

/** The shape of a setting by the form in which it is written. */
const SHAPES: { readonly [Kind in Form["kind"]]: (form: Extract<Form, { readonly kind: Kind }>) => z.ZodType } = {
  choice: ({ choices }) =>
    z.enum(choices as readonly [string, ...string[]], {
      error: ({ input }) => {
        const why = typeof input === "string" ? whyNotCarried(input) : undefined
        return why === undefined ? undefined : `must be one of ${choices.join(", ")}: ${why}`
      },
    }),
  text: () => z.string(),
  number: ({ least, most }) => z.int().min(least).max(most),
  switch: () => z.boolean(),
  list: () => z.array(z.string()),
  tags: () => z.record(z.string(), z.string()).superRefine(checkTags),
  json: () => z.union([z.record(z.string(), z.unknown()), z.string()], { error: "must be a mapping, or JSON text" }),
}

/** A fault of a tag stands under the tag's name. */
function checkTags(tags: Readonly<Record<string, string>>, context: z.RefinementCtx): void {
  for (const [tag, value] of Object.entries(tags)) {
    const message = tagFault(tag, value)
    if (message !== undefined) context.addIssue({ code: "custom", message, path: [tag] })
  }
}

/** What the file takes for one setting, by its row of KEY_SETTINGS. */
function settingShape(name: SettingName): z.ZodType {
  const { form, words, absent, write = (value: unknown) => value, fault, fileFault } = settingOf(name)
  const shape = (SHAPES[form.kind] as (form: Form) => z.ZodType)(form)
  const checked = shape.superRefine((written, context) => {
    const message = fault?.(written) ?? fileFault?.(written)
    if (message !== undefined) context.addIssue({ code: "custom", message })
  })
  const isMeant = absent !== undefined && absent !== null && form.kind !== "tags"
  return checked.meta({
    description: form.kind === "tags" ? `${words}; a key's own are added to those of defaults` : words,
    ...(isMeant ? { default: write(absent) } : {}),
    ...(form.kind === "text" && form.pattern !== undefined ? { pattern: form.pattern.source } : {}),
  })
}

function settingShapes(places: readonly Setting<unknown, unknown>["file"][]): Readonly<Record<string, z.ZodType>> {
  const names = SETTING_NAMES.filter((name) => name !== "keySpec" && places.includes(settingOf(name).file))
  return Object.fromEntries(names.map((name) => [name, settingShape(name).optional()]))
}

/** Where a key is to be. */
const PLACE = {
  token: name.optional().meta({ description: "name of the token; default: the only one" }),
  targets: names("names of the targets that hold the material; default: the only one").optional(),
} as const

const defaults = z.strictObject({ ...PLACE, ...settingShapes(["key and defaults"]) })

const key = z.strictObject({
  keySpec: settingShape("keySpec"),
  multiRegion: z
    .strictObject({ replicas: z.array(region).meta({ description: KEY_SETTINGS.replicas.words }) })
    .optional()
    .meta({ description: KEY_SETTINGS.multiRegion.words }),
  ...PLACE,
  ...settingShapes(["key", "key and defaults"]),
})

const policy = z.strictObject({
  minimumHash: z
    .enum(["SHA-1", "SHA-256"])
    .default(DEFAULT_POLICY.minimumHash)
    .meta({ description: "weakest OAEP hash to use" }),
  allowCustody: z
    .array(z.enum(CUSTODY_NAMES))
    .min(1, { error: "is an empty list" })
    .optional()
    .meta({ description: "custodies to permit; default: all" }),
  allowUnenforcedCustody: z
    .boolean()
    .default(DEFAULT_POLICY.allowUnenforcedCustody)
    .meta({ description: "take a custody that the token does not enforce, and say so" }),
  allowShortScalars: z.boolean().default(DEFAULT_POLICY.allowShortScalars).meta({
    description:
      "import EC keys that the token gives out with a scalar shorter or longer than RFC 5915 has; what KMS makes of them is not known",
  }),
  requireFingerprint: z
    .boolean()
    .default(DEFAULT_POLICY.requireFingerprint)
    .meta({ description: "wrap wants --expect-fingerprint" }),
})

const accept = z
  .record(
    form(
      "REASON:NAME, as `check` names them",
      ACCEPTANCE,
      "is no acceptance: REASON:NAME, as `check` names what it finds",
      isAcceptance,
    ),
    form(
      "last day (2027-01-31), or a time (RFC 3339)",
      /^\d{4}-\d\d-\d\d(T.+)?$/,
      "is no day such as 2027-01-31, and no time (RFC 3339)",
      (end) => acceptanceEnd(end) !== undefined,
    ),
  )
  .default({})
  .meta({ description: "what `check` is silent about: REASON:NAME, and the last day of it, or a time" })

/** The whole file; `profiles` are the families of token profiles that there are. */
export function configSchema(profiles: readonly string[]) {
  return z
    .strictObject({
      version: z.literal(1, { error: "must be 1" }).meta({ description: "version of this format" }),
      id: name.default(DEFAULT_ID).meta({ description: "owner tag on every KMS key, and part of every label" }),
      tokens: z.record(name, token(profiles)).default({}).meta({ description: "tokens by name" }),
      targets: z.record(name, target).default({}).meta({ description: "accounts and Regions of KMS by name" }),
      defaults: defaults.default({}).meta({ description: "settings of every key that does not say otherwise" }),
      keys: z.record(name, key).default({}).meta({ description: "keys by name" }),
      policy: policy.prefault({}).meta({ description: "what is permitted" }),
      accept,
      agent: agentShape.optional(),
      state: stateShape.optional(),
    })
    .meta({ title: "keyferry configuration" })
}

interface Place {
  readonly token?: string | undefined
  readonly targets?: readonly string[] | undefined
}

/** What `defaults` say, and what a key says where `defaults` can say it too. */
export type FileSettings = Omit<WrittenSettings, "multiRegion" | "replicas"> & Place

/** A key of the file. */
export type FileKey = FileSettings & {
  readonly keySpec: KeySpec
  readonly multiRegion?: { readonly replicas: readonly string[] } | undefined
}

/** A file whose shape is right. */
export type ConfigFile = Omit<z.infer<ReturnType<typeof configSchema>>, "defaults" | "keys"> & {
  readonly defaults: FileSettings
  readonly keys: Readonly<Record<string, FileKey>>
}

/** JSON Schema (draft 2020-12) of the file, for editors. It cannot say what keys have to do with each other. */
export function jsonSchema(profiles: readonly string[]): object {
  return z.toJSONSchema(configSchema(profiles), { target: "draft-2020-12", io: "input", reused: "inline" })
}
