import { KEY_SETTINGS } from "../../core/manifest/key-settings.js"
import type { OptionTable } from "../command.js"

/** Options that several commands take: one wording each. */

export const GENERAL = {
  output: {
    alias: "o",
    choices: ["text", "wide", "json"],
    requiresArg: true,
    default: "text",
    describe: "form of the result on stdout; wide has every column in full",
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
  "lock-timeout": {
    type: "string",
    requiresArg: true,
    describe:
      "how long to wait while another process has the state directory: 5m, or 0 [30s for a scheduled run, 10m as one, else 0]",
    group: "General:",
  },
  verbose: {
    type: "boolean",
    default: false,
    describe: "log protocol steps to stderr, stack traces with errors",
    group: "General:",
  },
  quiet: {
    alias: "q",
    type: "boolean",
    default: false,
    describe: "say only errors and warnings; with nothing to do, nothing",
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
  "kms-timeout": {
    type: "string",
    requiresArg: true,
    describe: "how long an answer may take, its last byte included: 2m [30s]",
    group: "AWS KMS:",
  },
} as const satisfies OptionTable

export const METRICS_FILE = {
  "metrics-file": {
    type: "string",
    requiresArg: true,
    describe: "leave metrics of run and keys in this file, for node_exporter [of an agent: agent.metricsFile]",
  },
} as const satisfies OptionTable

export const NAME = { type: "string", requiresArg: true, describe: "name of the key with keyferry" } as const

export const KEY_SPEC = { choices: KEY_SETTINGS.keySpec.form.choices, describe: KEY_SETTINGS.keySpec.words } as const

/** Which source key of a name. */
export const SOURCE_KEY = {
  generation: { type: "string", requiresArg: true, describe: "generation of the source key; default: the newest" },
  id: { type: "string", requiresArg: true, describe: "CKA_ID in hex, where several keys claim the name" },
} as const satisfies OptionTable

/** What a custody that can import only once asks for. */
export const IMPORT_ONCE = {
  "accept-no-reimport": {
    type: "boolean",
    default: false,
    describe: "understood: custody locked and session can import only once, with --expires-in never",
  },
} as const satisfies OptionTable

const { wrappingAlgorithm, wrappingKeySpec, expiresIn, prove } = KEY_SETTINGS

export const WRAPPING = {
  "wrapping-algorithm": {
    choices: wrappingAlgorithm.form.choices,
    default: wrappingAlgorithm.absent,
    describe: wrappingAlgorithm.words,
  },
  "wrapping-key-spec": {
    choices: wrappingKeySpec.form.choices,
    default: wrappingKeySpec.absent,
    describe: wrappingKeySpec.words,
  },
} as const satisfies OptionTable

export const EXPIRES_IN = {
  type: "string",
  requiresArg: true,
  default: expiresIn.absent,
  describe: expiresIn.words,
} as const

/** How a key is imported again or anew; what is not given is as it was the last time. */
export const REWRAPPING = {
  "expires-in": { type: "string", requiresArg: true, describe: `${expiresIn.words} [as before]` },
  "wrapping-algorithm": {
    choices: wrappingAlgorithm.form.choices,
    describe: `${wrappingAlgorithm.words} [as before]`,
  },
  "wrapping-key-spec": { choices: wrappingKeySpec.form.choices, describe: `${wrappingKeySpec.words} [as before]` },
  prove: { choices: prove.form.choices, default: prove.absent, describe: prove.words },
} as const satisfies OptionTable
