import { CUSTODY_NAMES } from "../../core/key/custody.js"
import { KEY_SPEC_NAMES, WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import type { OptionTable } from "../command.js"

/** Options that several commands take: one wording each. */

export const GENERAL = {
  output: {
    choices: ["text", "json"],
    requiresArg: true,
    default: "text",
    describe: "form of the result on stdout",
    group: "General:",
  },
  json: { type: "boolean", default: false, describe: "short for --output json", group: "General:" },
  config: {
    type: "string",
    requiresArg: true,
    describe: "configuration file: tokens, targets, keys, policy [KEYFERRY_CONFIG]",
    group: "General:",
  },
  "state-dir": {
    type: "string",
    requiresArg: true,
    describe: "state directory [KEYFERRY_STATE_DIR, STATE_DIRECTORY, XDG state folder]",
    group: "General:",
  },
  verbose: {
    type: "boolean",
    default: false,
    describe: "log protocol steps to stderr, stack traces with errors",
    group: "General:",
  },
  "log-format": {
    choices: ["text", "json"],
    requiresArg: true,
    default: "text",
    describe: "form of the log on stderr",
    group: "General:",
  },
} as const satisfies OptionTable

export const TOKEN = {
  token: {
    type: "string",
    requiresArg: true,
    describe: "RFC 7512 URI of the token, with module-path and pin-source; or its name in --config [KEYFERRY_TOKEN]",
    group: "Token:",
  },
  "pin-source": {
    type: "string",
    requiresArg: true,
    describe: "file:PATH, fd:N, env:NAME, exec:COMMAND or prompt [KEYFERRY_PIN_SOURCE]",
    group: "Token:",
  },
  "retry-pin": {
    type: "boolean",
    default: false,
    describe: "present a PIN once more that the token refused before",
    group: "Token:",
  },
} as const satisfies OptionTable

export const KMS = {
  target: { type: "string", requiresArg: true, describe: "target, by its name in --config", group: "AWS KMS:" },
  region: { type: "string", requiresArg: true, describe: "AWS Region [AWS_REGION, profile]", group: "AWS KMS:" },
  profile: { type: "string", requiresArg: true, describe: "AWS profile [AWS_PROFILE]", group: "AWS KMS:" },
  "role-arn": { type: "string", requiresArg: true, describe: "IAM role to assume", group: "AWS KMS:" },
  "endpoint-url": {
    type: "string",
    requiresArg: true,
    describe: "endpoint other than AWS' own of the Region; plain http to loopback only",
    group: "AWS KMS:",
  },
  fips: { type: "boolean", default: false, describe: "use the FIPS endpoint", group: "AWS KMS:" },
} as const satisfies OptionTable

export const NAME = { type: "string", requiresArg: true, describe: "name of the key with keyferry" } as const

export const KEY_SPEC = { choices: KEY_SPEC_NAMES, describe: "KMS key spec" } as const

/** Which source key of a name. */
export const SOURCE_KEY = {
  generation: { type: "string", requiresArg: true, describe: "generation of the source key; default: the newest" },
  id: { type: "string", requiresArg: true, describe: "CKA_ID in hex, where several keys claim the name" },
} as const satisfies OptionTable

export const CUSTODY = {
  choices: CUSTODY_NAMES,
  default: "sealed",
  describe: "how the source key lives between imports: as ciphertext alone, or in the token",
} as const

/** What custody that can import only once asks for. */
export const IMPORT_ONCE = {
  "accept-no-reimport": {
    type: "boolean",
    default: false,
    describe: "understood: custody locked and session can import only once, with --expires-in never",
  },
  "local-use": {
    type: "boolean",
    default: false,
    describe: "custody locked: the key may also be used in the token, as its key usage says",
  },
} as const satisfies OptionTable

export const WRAPPING = {
  "wrapping-algorithm": {
    choices: ["auto", ...WRAPPING_ALGORITHM_NAMES],
    default: "auto",
    describe: "auto takes the strongest that KMS takes and the token has proven",
  },
  "wrapping-key-spec": {
    choices: WRAPPING_KEY_SPEC_NAMES,
    default: "RSA_4096",
    describe: "wrapping key that KMS lends",
  },
} as const satisfies OptionTable

export const KMS_KEY = {
  "key-usage": {
    choices: ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"],
    describe: "KMS key usage; needed where the key spec allows several",
  },
  description: { type: "string", requiresArg: true, describe: "description of the KMS key" },
  tag: {
    type: "string",
    array: true,
    requiresArg: true,
    describe: "tag of the KMS key, KEY=VALUE; may be given again",
  },
  "multi-region": { type: "boolean", default: false, describe: "make a multi-Region primary key" },
} as const satisfies OptionTable

export const EXPIRES_IN = {
  type: "string",
  requiresArg: true,
  default: "90d",
  describe: "how long KMS keeps the material: a duration under 365d, a time (RFC 3339), or never",
} as const

/** How a key is imported again or anew; what is not given is as it was the last time. */
export const REWRAPPING = {
  "expires-in": {
    type: "string",
    requiresArg: true,
    describe: "how long KMS keeps the material: a duration under 365d, a time (RFC 3339), or never [as before]",
  },
  "wrapping-algorithm": {
    choices: ["auto", ...WRAPPING_ALGORITHM_NAMES],
    describe: "auto takes the strongest that KMS takes and the token has proven [as before]",
  },
  "wrapping-key-spec": { choices: WRAPPING_KEY_SPEC_NAMES, describe: "wrapping key that KMS lends [as before]" },
  prove: {
    choices: ["accept", "full"],
    default: "accept",
    describe: "symmetric keys: full imports once more, pinned, as the proof (one more GetParametersForImport)",
  },
} as const satisfies OptionTable
