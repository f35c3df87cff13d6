import { type Account } from "../key/aws-name.js"
import { partitionOf } from "../key/partition.js"
import type { Acceptances } from "./acceptances.js"
import type { AgentSettings } from "./agent-settings.js"
import type { Binding, Policy } from "./binding.js"
import type { KeySettings } from "./key-settings.js"
import type { PostgresSettings } from "./state-settings.js"

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
  /** Seconds that a call to it may take; null for any time. */
  readonly callTimeout: number | null
}

/** KMS in one account and Region by the name that the manifest gives it. */
export interface Target {
  readonly region: string
  /** The account that it is in, 12 digits; null for that of the first import. */
  readonly account: string | null
  readonly roleArn: string | null
  /** AWS profile. */
  readonly profile: string | null
  readonly endpoint: string | null
  /** Null to go by the environment. */
  readonly fips: boolean | null
  /** URL of the proxy; null to go by the environment. */
  readonly proxy: string | null
  readonly tls: {
    /** Whether nothing but a post-quantum key exchange is offered to KMS. */
    readonly requirePostQuantum: boolean
  } | null
  /** Requests a second by KMS operation, where the account's quotas are not AWS' own. */
  readonly quotas: Readonly<Record<string, number>>
}

/** One key of the manifest, its defaults filled in; a binding for each of its targets. */
export interface ManifestKey extends KeySettings {
  /** Null where the file names none: flags give it then. */
  readonly token: string | null
  readonly targets: readonly string[]
}

/** What the operator wants: the configuration file, checked and with its defaults filled in. */
export interface Manifest {
  /** Owner tag of every KMS key, and part of every label. */
  readonly id: string
  readonly tokens: Readonly<Record<string, ManifestToken>>
  readonly targets: Readonly<Record<string, Target>>
  readonly keys: Readonly<Record<string, ManifestKey>>
  readonly policy: Policy
  /** What `check` takes as it is, until when. */
  readonly accept: Acceptances
  /** Null where the file has no such section: then DEFAULT_AGENT holds. */
  readonly agent: AgentSettings | null
  /** The database that the state is in; null where it is in a state directory. */
  readonly postgres: PostgresSettings | null
}

/** Owner of labels and tags where no manifest names another. */
export const DEFAULT_ID = "keyferry"

/** Without a configuration file there is no stricter policy: SHA-1 in OAEP is safe for this use, and is stated. */
export const DEFAULT_POLICY: Policy = {
  minimumHash: "SHA-1",
  allowCustody: null,
  allowUnenforcedCustody: false,
  allowShortScalars: false,
  requireFingerprint: false,
}

/** A row for each key and each of its targets, in the manifest's order. */
export function bindingsOf({ id, keys }: Manifest): readonly Binding[] {
  return Object.entries(keys).flatMap(([name, { targets, ...key }]) =>
    targets.map((target) => ({ owner: id, name, target, ...key, managed: true })),
  )
}

/** The accounts of the targets that may hold a key's material; empty where the manifest leaves one of them open. */
export function pinnedAccounts(manifest: Manifest | null, name: string): readonly Account[] {
  const key = manifest !== null && Object.hasOwn(manifest.keys, name) ? manifest.keys[name] : undefined
  const names = key?.targets ?? Object.keys(manifest?.targets ?? {})
  const accounts = names.map((target) => {
    const { account = null, region = "" } = manifest?.targets[target] ?? {}
    return account === null ? null : { account, partition: partitionOf(region) }
  })
  return accounts.every((account) => account !== null) ? accounts : []
}
