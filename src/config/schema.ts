import { z } from "zod"
import { LONGEST_DESCRIPTION, REGION, ROLE_ARN } from "../core/key/aws-name.js"
import { CUSTODY_NAMES } from "../core/key/custody.js"
import { parseDuration } from "../core/base/expiry.js"
import { KEY_SPEC_NAMES, KEY_USAGES, WRAPPING_KEY_SPEC_NAMES } from "../core/key/key-spec.js"
import { AGENT_ACTIONS, DEFAULT_EXPIRES_IN, DEFAULT_ID } from "../core/manifest/manifest.js"
import { DEFAULT_QUOTAS } from "../core/plan/schedule.js"
import { NAME } from "../core/key/source-key.js"
import { WRAPPING_ALGORITHM_NAMES } from "../core/key/wrapping-algorithm.js"

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

const DURATION = "a duration such as 90d or 12h (s, m, h, d, w)"
const positive = (text: string): boolean => (parseDuration(text) ?? 0) > 0

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
  .refine((given) => Object.values(given).filter((value) => value !== undefined).length === 1, {
    error: "must name one source: file, fd, env, exec or prompt",
  })
  .meta({ description: "where the PIN comes from, never the PIN itself", minProperties: 1, maxProperties: 1 })

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
  })

const target = z.strictObject({
  region,
  roleArn: form("IAM role to assume", ROLE_ARN, "is not the ARN of an IAM role").optional(),
  profile: text("AWS profile", 256).optional(),
  endpoint: text("endpoint other than AWS' own of the Region; plain http to loopback only", 2048).optional(),
  fips: z.boolean().optional().meta({ description: "use the FIPS endpoint; default: by the environment" }),
  proxy: text("URL of the proxy; default: HTTPS_PROXY and NO_PROXY of the environment", 2048).optional(),
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

/** What `defaults` and every key may say. */
const SETTINGS = {
  token: name.optional().meta({ description: "name of the token; default: the only one" }),
  targets: names("names of the targets that hold the material; default: the only one").optional(),
  custody: z
    .enum(CUSTODY_NAMES)
    .optional()
    .meta({ description: "how the source key lives between imports", default: "sealed" }),
  wrapWithTrusted: z
    .boolean()
    .optional()
    .meta({ description: "CKA_WRAP_WITH_TRUSTED: only a trusted wrapping key takes it out", default: false }),
  wrappingAlgorithm: z
    .enum(["auto", ...WRAPPING_ALGORITHM_NAMES])
    .optional()
    .meta({ description: "auto takes the strongest that KMS takes and the token has proven", default: "auto" }),
  wrappingKeySpec: z
    .enum(WRAPPING_KEY_SPEC_NAMES)
    .optional()
    .meta({ description: "wrapping key that KMS lends", default: "RSA_4096" }),
  expiresIn: form(
    "how long KMS keeps the material: a duration under 365d, or never",
    /^(never|\d{1,9}[smhdw])$/,
    `must be ${DURATION}, or never`,
    (given) => given === "never" || positive(given),
  )
    .optional()
    .meta({ default: DEFAULT_EXPIRES_IN }),
  renewBefore: form(
    "when to import again: so long before the expiry, or with so much of the life left",
    /^(\d{1,9}[smhdw]|[1-9]\d?%)$/,
    `must be ${DURATION}, or a percentage from 1% to 99%`,
    (given) => positive(given) || /^[1-9]\d?%$/.test(given),
  )
    .optional()
    .meta({ default: "33%" }),
  rotateEvery: form(
    "how often to rotate to new material (symmetric keys; a default counts for those alone)",
    /^\d{1,9}[smhdw]$/,
    `must be ${DURATION}`,
    positive,
  ).optional(),
  description: z
    .string()
    .max(LONGEST_DESCRIPTION, { error: `is longer than ${LONGEST_DESCRIPTION} characters` })
    .optional()
    .meta({ description: "description of the KMS key" }),
  tags: z
    .record(z.string(), z.string())
    .optional()
    .meta({ description: "tags of the KMS key; a key's own are added to those of defaults" }),
  keyPolicy: z
    .union([z.record(z.string(), z.unknown()), z.string()], { error: "must be a mapping, or JSON text" })
    .optional()
    .meta({ description: "key policy, as a mapping or JSON text; default: KMS' own, and whatever is there" }),
  prove: z
    .enum(["full", "accept"])
    .optional()
    .meta({ description: "symmetric keys: full imports once more, pinned, as the proof", default: "accept" }),
} as const

const key = z.strictObject({
  keySpec: z.enum(KEY_SPEC_NAMES).meta({ description: "KMS key spec" }),
  keyUsage: z
    .enum(KEY_USAGES)
    .optional()
    .meta({ description: "KMS key usage; needed where the key spec allows several" }),
  alias: text("alias of the KMS key, one for each target", 256).optional(),
  multiRegion: z
    .strictObject({ replicas: z.array(region).meta({ description: "Regions of the replicas" }) })
    .optional()
    .meta({ description: "make a multi-Region key" }),
  ...SETTINGS,
})

const policy = z.strictObject({
  minimumHash: z.enum(["SHA-1", "SHA-256"]).default("SHA-1").meta({ description: "weakest OAEP hash to use" }),
  allowCustody: z
    .array(z.enum(CUSTODY_NAMES))
    .min(1, { error: "is an empty list" })
    .optional()
    .meta({ description: "custodies to permit; default: all" }),
  allowUnenforcedCustody: z
    .boolean()
    .default(false)
    .meta({ description: "take a custody that the token does not enforce, and say so" }),
  requireFingerprint: z.boolean().default(false).meta({ description: "wrap wants --expect-fingerprint" }),
})

const agent = z.strictObject({
  schedule: text("cron expression, five fields", 256).default("0 3 * * *"),
  timeZone: text("time zone of the schedule (IANA)", 64).default("UTC"),
  jitter: form(
    "longest random delay",
    /^\d{1,9}[smhdw]$/,
    `must be ${DURATION}`,
    (given) => parseDuration(given) !== undefined,
  ).default("15m"),
  allow: z.array(z.enum(AGENT_ACTIONS)).default(["rewrap"]).meta({ description: "what it may do by itself" }),
  listen: form(
    "HOST:PORT of its pages; default: none",
    /^(\[[0-9A-Fa-f:]+\]|[^\s:[\]]+):\d{1,5}$/,
    "must be HOST:PORT",
  ).optional(),
})

/** The whole file; `profiles` are the families of token profiles that there are. */
export function configSchema(profiles: readonly string[]) {
  return z
    .strictObject({
      version: z.literal(1, { error: "must be 1" }).meta({ description: "version of this format" }),
      id: name.default(DEFAULT_ID).meta({ description: "owner tag on every KMS key, and part of every label" }),
      tokens: z.record(name, token(profiles)).default({}).meta({ description: "tokens by name" }),
      targets: z.record(name, target).default({}).meta({ description: "accounts and Regions of KMS by name" }),
      defaults: z
        .strictObject(SETTINGS)
        .default({})
        .meta({ description: "settings of every key that does not say otherwise" }),
      keys: z.record(name, key).default({}).meta({ description: "keys by name" }),
      policy: policy.prefault({}).meta({ description: "what is permitted" }),
      agent: agent.optional().meta({ description: "the daemon" }),
    })
    .meta({ title: "keyferry configuration" })
}

export type ConfigFile = z.infer<ReturnType<typeof configSchema>>

/** JSON Schema (draft 2020-12) of the file, for editors. It cannot say what keys have to do with each other. */
export function jsonSchema(profiles: readonly string[]): object {
  return z.toJSONSchema(configSchema(profiles), { target: "draft-2020-12", io: "input", reused: "inline" })
}
