import { existsSync } from "node:fs"
import { join } from "node:path"
import { REGION } from "../core/key/aws-name.js"
import { KeyferryError } from "../core/base/error.js"
import { parseDuration } from "../core/base/expiry.js"
import type { Policy } from "../core/manifest/binding.js"
import {
  DEFAULT_ID,
  DEFAULT_POLICY,
  type Manifest,
  type ManifestToken,
  type Target,
} from "../core/manifest/manifest.js"
import { parseTokenUri, type TokenUri } from "../core/token/token-uri.js"

/** What the command line, the configuration file and the environment say together, in that order of weight. */

export type Env = Readonly<Record<string, string | undefined>>

/** Flags that say which token, which KMS, which files. */
export interface Flags {
  readonly config?: string | undefined
  readonly stateDir?: string | undefined
  /** A duration: how long to wait for another process that has the state directory. */
  readonly lockTimeout?: string | undefined
  /** RFC 7512 URI, or the name that the configuration file gives a token. */
  readonly token?: string | undefined
  readonly pinSource?: string | undefined
  readonly retryPin?: boolean | undefined
  readonly target?: string | undefined
  readonly region?: string | undefined
  readonly profile?: string | undefined
  readonly roleArn?: string | undefined
  readonly endpointUrl?: string | undefined
  readonly fips?: boolean | undefined
  /** A duration: how long an answer of KMS may take. */
  readonly kmsTimeout?: string | undefined
  /** Name of a key, or names: the configuration file knows the token and the targets of one. */
  readonly name?: unknown
}

export interface Settings {
  readonly flags: Flags
  readonly env: Env
  /** Path of the configuration file; null without one. */
  readonly path: string | null
  readonly manifest: Manifest | null
  /** Owner of labels and tags. */
  readonly owner: string
  readonly policy: Policy
}

/** A token to open. */
export interface TokenSetting extends Omit<ManifestToken, "uri" | "pinSource"> {
  readonly uri: TokenUri
  readonly pinSource: string
}

/** KMS to open. */
export interface KmsSetting {
  /** The manifest's name of the target; null where flags and environment alone say it, and its name is the Region. */
  readonly name: string | null
  readonly region: string | undefined
  /** The account that the configuration pins; null where it does not. */
  readonly account: string | null
  readonly profile: string | undefined
  readonly roleArn: string | undefined
  readonly endpointUrl: string | undefined
  /** Who named the endpoint. */
  readonly endpointOrigin: string
  readonly fips: boolean | undefined
  readonly timeouts: { readonly requestMs?: number }
  readonly proxy: string | undefined
  /** Who requires a post-quantum key exchange. */
  readonly postQuantum: string | undefined
  readonly quotas: Readonly<Record<string, number>> | undefined
}

/** Who waits for longer than that for one answer waits for nothing. */
const LONGEST_ANSWER_SECONDS = 600

/** What is said without a configuration file, or instead of one that cannot be read. */
export function settingsWithoutFile(flags: Flags, env: Env): Settings {
  return { flags, env, path: null, manifest: null, owner: DEFAULT_ID, policy: DEFAULT_POLICY }
}

/**
 * Reads the configuration file of `--config` or KEYFERRY_CONFIG, never one of the current folder.
 *
 * @throws ERR_CONFIG_INVALID
 */
export async function readSettings(flags: Flags, env: Env): Promise<Settings> {
  const path = flags.config ?? env["KEYFERRY_CONFIG"]
  if (path === undefined || path === "") return settingsWithoutFile(flags, env)
  const { loadManifest } = await import("../config/load.js")
  const { profileFamilies } = await import("../pkcs11/profiles.js")
  const manifest = await loadManifest(path, profileFamilies())
  return { flags, env, path, manifest, owner: manifest.id, policy: manifest.policy }
}

/**
 * The token that the manifest calls `name`; for null that of `--token`, of the key that `--name` names, or the manifest's
 * only one, and without a manifest's, that of KEYFERRY_TOKEN. Null where there is none.
 *
 * @throws ERR_USAGE where the manifest has none of that name, or several and nothing says which; ERR_TOKEN_URI_INVALID
 */
export function tokenSetting(settings: Settings, name: string | null = null): TokenSetting | null {
  const { manifest, flags, env } = settings
  if (flags.token !== undefined && (manifest === null || flags.token.toLowerCase().startsWith("pkcs11:"))) {
    return tokenOfUri(settings, flags.token)
  }
  const tokenNames = Object.keys(manifest?.tokens ?? {})
  const tokenName = flags.token ?? name ?? namedKey(settings)?.token ?? onlyName("token", tokenNames)
  if (tokenName !== null) return manifestToken(settings, tokenName)
  const inherited = env["KEYFERRY_TOKEN"]
  return inherited === undefined || inherited === "" ? null : tokenOfUri(settings, inherited)
}

function manifestToken({ manifest, flags, env }: Settings, name: string): TokenSetting {
  const token = rowNamed("token", manifest?.tokens ?? {}, name)
  const uri = parseTokenUri(token.uri)
  return { ...token, uri, pinSource: flags.pinSource ?? token.pinSource ?? pinSourceOf(uri, env, name) }
}

function tokenOfUri({ flags, env }: Settings, text: string): TokenSetting {
  const uri = parseTokenUri(text)
  const pinSource = flags.pinSource ?? env["KEYFERRY_PIN_SOURCE"] ?? uri.pinSource ?? credentialPin(env) ?? "prompt"
  return { uri, pinSource, profile: null, libraryParameters: null, sessions: null, callTimeout: null }
}

/** A token of the manifest has its own PIN: the environment's is for one that says nothing. */
const pinSourceOf = (uri: TokenUri, env: Env, name: string): string =>
  uri.pinSource ?? env["KEYFERRY_PIN_SOURCE"] ?? credentialPin(env, name) ?? "prompt"

/** A credential of systemd's LoadCredential: `pin.NAME` for a token of the manifest, or `pin`. */
function credentialPin(env: Env, name?: string): string | null {
  const folder = env["CREDENTIALS_DIRECTORY"] ?? ""
  if (!folder.startsWith("/")) return null
  const files = [...(name === undefined ? [] : [`pin.${name}`]), "pin"].map((file) => join(folder, file))
  const file = files.find((path) => existsSync(path))
  return file === undefined ? null : `file:${file}`
}

const FLAGS_OF_ONE_TOKEN = { token: "--token", pinSource: "--pin-source" } as const

/**
 * The same for a command over many keys, which have no one key whose token and target it would be.
 *
 * @throws ERR_USAGE for a flag that is for one token where there are several, or a target that is not in the manifest
 */
export function settingsForMany(settings: Settings): Settings {
  refuseForMany(settings, ["token", "pinSource"])
  if (settings.manifest !== null && settings.flags.target !== undefined) kmsSetting(settings)
  return { ...settings, flags: { ...settings.flags, name: undefined } }
}

/** A flag that names one token, or its PIN, is not for several of them: each would be shown the others' PIN. */
export function refuseForMany(
  { manifest, flags }: Settings,
  unwanted: readonly (keyof typeof FLAGS_OF_ONE_TOKEN)[],
): void {
  const tokenNames = Object.keys(manifest?.tokens ?? {})
  const flag = unwanted.find((name) => flags[name] !== undefined)
  if (tokenNames.length < 2 || flag === undefined) return
  const option = FLAGS_OF_ONE_TOKEN[flag]
  throw new KeyferryError(
    "ERR_USAGE",
    `${option} is for one token, and the configuration file has ${tokenNames.length}`,
    { hint: `leave ${option} out: the file says of each of ${tokenNames.join(", ")} what it needs` },
  )
}

/**
 * The target that the inventory or the manifest calls `name`; for null that of `--target`, of the key that `--name`
 * names, of `--region`, or the manifest's only one; without a manifest, flags and environment. Other flags override what
 * the target says.
 *
 * @throws ERR_USAGE where the manifest has several and nothing says which; ERR_CONFIG_INVALID where it has none of that
 * name
 */
export function kmsSetting(settings: Settings, name: string | null = null): KmsSetting {
  const { manifest, flags } = settings
  if (manifest === null) {
    // without a manifest a target has its Region's name
    const regionOfTarget = flags.target !== undefined && REGION.test(flags.target) ? flags.target : undefined
    return { ...kmsFlags(settings), region: flags.region ?? regionOfTarget }
  }
  if (name === null) return targetOfFlags(settings)
  if (Object.hasOwn(manifest.targets, name)) return manifestTarget(settings, name)
  throw new KeyferryError("ERR_CONFIG_INVALID", `no target of the configuration file is called ${name}`, {
    key: settings.path ?? "",
    hint: "name it under targets, as it was when the key was made",
  })
}

function targetOfFlags(settings: Settings): KmsSetting {
  const { manifest, flags } = settings
  const targets = manifest?.targets ?? {}
  if (flags.target !== undefined) return manifestTarget(settings, flags.target)
  const inRegion = Object.keys(targets).filter((target) => targets[target]?.region === flags.region)
  if (flags.region !== undefined && inRegion.length !== 1) {
    // which of several is meant is not said: what one of them requires of the connection holds
    const [postQuantum] = inRegion.flatMap((name) => manifestTarget(settings, name).postQuantum ?? [])
    return { ...kmsFlags(settings), postQuantum }
  }
  const keyTargets = namedKey(settings)?.targets
  const target = onlyName("target", flags.region !== undefined ? inRegion : (keyTargets ?? Object.keys(targets)))
  return target === null ? kmsFlags(settings) : manifestTarget(settings, target)
}

function manifestTarget(settings: Settings, name: string): KmsSetting {
  const target: Target = rowNamed("target", settings.manifest?.targets ?? {}, name)
  const flags = kmsFlags(settings)
  return {
    name,
    region: target.region,
    account: target.account,
    profile: flags.profile ?? target.profile ?? undefined,
    roleArn: flags.roleArn ?? target.roleArn ?? undefined,
    endpointUrl: flags.endpointUrl ?? target.endpoint ?? undefined,
    endpointOrigin: flags.endpointUrl === undefined ? `target ${name}` : flags.endpointOrigin,
    fips: flags.fips ?? target.fips ?? undefined,
    timeouts: flags.timeouts,
    proxy: target.proxy ?? undefined,
    postQuantum: target.tls?.requirePostQuantum === true ? `tls.requirePostQuantum of target ${name}` : undefined,
    quotas: Object.keys(target.quotas).length === 0 ? undefined : target.quotas,
  }
}

function kmsFlags({ flags }: Settings): KmsSetting {
  return {
    name: null,
    region: flags.region,
    account: null,
    profile: flags.profile,
    roleArn: flags.roleArn,
    endpointUrl: flags.endpointUrl,
    endpointOrigin: "--endpoint-url",
    // the switch that is not given leaves it to the environment
    fips: flags.fips === true ? true : undefined,
    timeouts: flags.kmsTimeout === undefined ? {} : { requestMs: answerMs(flags.kmsTimeout) },
    proxy: undefined,
    postQuantum: undefined,
    quotas: undefined,
  }
}

/** Milliseconds. @throws ERR_USAGE */
function answerMs(kmsTimeout: string): number {
  const seconds = parseDuration(kmsTimeout) ?? 0
  if (seconds >= 1 && seconds <= LONGEST_ANSWER_SECONDS) return seconds * 1000
  throw new KeyferryError("ERR_USAGE", `--kms-timeout '${kmsTimeout}' is no duration from 1s to 10m`, {
    hint: "give it like 30s or 2m",
  })
}

/** The manifest's key that `--name` names, where that is one. */
function namedKey({ manifest, flags }: Settings) {
  const keys = manifest?.keys ?? {}
  const [keyName = "", second] = [flags.name].flat()
  const single = typeof keyName === "string" && second === undefined
  return single && Object.hasOwn(keys, keyName) ? keys[keyName] : undefined
}

function onlyName(kind: "token" | "target", names: readonly string[]): string | null {
  const [name = null, second] = names
  if (second === undefined) return name
  throw new KeyferryError("ERR_USAGE", `there are several ${kind}s: ${names.join(", ")}`, {
    hint: `give --${kind} NAME, one of the configuration file's`,
  })
}

function rowNamed<Row>(kind: "token" | "target", rows: Readonly<Record<string, Row>>, name: string): Row {
  const row = Object.hasOwn(rows, name) ? rows[name] : undefined
  if (row !== undefined) return row
  const names = Object.keys(rows).join(", ")
  throw new KeyferryError("ERR_USAGE", `there is no ${kind} ${name} in the configuration file`, {
    hint: names === "" ? "give a configuration file with --config" : `name one of its ${kind}s: ${names}`,
  })
}
