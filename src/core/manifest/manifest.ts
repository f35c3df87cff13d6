import type { Binding, Policy, RenewBefore } from "./binding.js"
import type { InventoryEntry } from "../records/inventory.js"

/** A token by the name that the manifest gives it. */
export interface ManifestToken {
  /** RFC 7512, with module-path. */
  readonly uri: string
  /** `file:…`, `fd:…`, `env:…`, `exec:…` or `prompt`; null for the URI's, the environment's, or the prompt. */
  readonly pinSource: string | null
  /** Family of the token profile to use whatever the token says of itself; null to go by that. */
  readonly profile: string | null
  readonly libraryParameters: string | null
  /** Sessions lent at one time; null for the profile's number. */
  readonly sessions: number | null
}

/** KMS in one account and Region by the name that the manifest gives it. */
export interface Target {
  readonly region: string
  readonly roleArn: string | null
  /** AWS profile. */
  readonly profile: string | null
  readonly endpoint: string | null
  /** Null to go by the environment. */
  readonly fips: boolean | null
  /** URL of the proxy; null to go by the environment. */
  readonly proxy: string | null
  /** Requests a second by KMS operation, where the account's quotas are not AWS' own. */
  readonly quotas: Readonly<Record<string, number>>
}

/** One key of the manifest, its defaults filled in; a binding for each of its targets. */
export interface ManifestKey extends Omit<Binding, "owner" | "name" | "target" | "managed"> {
  readonly targets: readonly string[]
}

export interface AgentSettings {
  /** Cron expression, five fields. */
  readonly schedule: string
  readonly timeZone: string
  readonly jitterSeconds: number
  readonly allow: readonly AgentAction[]
  /** HOST:PORT of its pages; null for none. */
  readonly listen: string | null
}

export const AGENT_ACTIONS = ["provision", "rewrap", "rotate"] as const

export type AgentAction = (typeof AGENT_ACTIONS)[number]

/** What the operator wants: the configuration file, checked and with its defaults filled in. */
export interface Manifest {
  /** Owner tag of every KMS key, and part of every label. */
  readonly id: string
  readonly tokens: Readonly<Record<string, ManifestToken>>
  readonly targets: Readonly<Record<string, Target>>
  readonly keys: Readonly<Record<string, ManifestKey>>
  readonly policy: Policy
  readonly agent: AgentSettings | null
}

/** Owner of labels and tags where no manifest names another. */
export const DEFAULT_ID = "keyferry"

export const DEFAULT_EXPIRES_IN = "90d"

/** A third of its life is left when material is imported again: room for a month of failures with 90 days. */
export const DEFAULT_RENEW_BEFORE: RenewBefore = { kind: "percentage", percent: 33 }

/** Without a configuration file there is no stricter policy: SHA-1 in OAEP is safe for this use, and is stated. */
export const DEFAULT_POLICY: Policy = {
  minimumHash: "SHA-1",
  allowCustody: null,
  allowUnenforcedCustody: false,
  requireFingerprint: false,
}

/** A row for each key and each of its targets, in the manifest's order. */
export function bindingsOf({ id, keys }: Manifest): readonly Binding[] {
  return Object.entries(keys).flatMap(([name, { targets, ...key }]) =>
    targets.map((target) => ({ owner: id, name, target, ...key, managed: true })),
  )
}

/**
 * The binding of a key that was made by flags, from what the inventory remembers of them. `expiresIn` may then be a
 * time (RFC 3339) besides a duration and `never`.
 */
export function bindingOf(entry: InventoryEntry, managed = true): Binding {
  const { owner, name, target, keySpec, keyUsage, alias, custody, terms } = entry
  return {
    ...{ owner, name, target, keySpec, keyUsage, alias, custody, managed },
    token: null,
    wrapWithTrusted: entry.source.attributes?.wrapWithTrusted ?? false,
    wrappingAlgorithm: terms?.wrappingAlgorithm ?? "auto",
    wrappingKeySpec: terms?.wrappingKeySpec ?? "RSA_4096",
    expiresIn: terms?.expiresIn ?? DEFAULT_EXPIRES_IN,
    renewBefore: DEFAULT_RENEW_BEFORE,
    rotateEvery: null,
    description: null,
    tags: {},
    keyPolicy: null,
    prove: "accept",
    replicas: entry.multiRegion ? entry.replicas.map(({ region }) => region) : null,
  }
}
