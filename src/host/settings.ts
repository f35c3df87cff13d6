import { REGION } from "../core/key/aws-name.js"
import { KeyferryError } from "../core/base/error.js"
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

export interface TokenFlags {
  /** RFC 7512 URI, or the name that the configuration file gives a token. */
  readonly token?: string | undefined
  readonly pinSource?: string | undefined
  readonly retryPin?: boolean | undefined
  /** Name of a key, or names: the configuration file knows the token and the targets of one. */
  readonly name?: unknown
}

export interface KmsFlags {
  readonly target?: string | undefined
  readonly region?: string | undefined
  readonly profile?: string | undefined
  readonly roleArn?: string | undefined
  readonly endpointUrl?: string | undefined
  readonly fips?: boolean | undefined
  readonly name?: unknown
}

export interface CommonFlags {
  readonly config?: string | undefined
  readonly stateDir?: string | undefined
}

export interface Settings {
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
  readonly profile: string | undefined
  readonly roleArn: string | undefined
  readonly endpointUrl: string | undefined
  /** Who named the endpoint. */
  readonly endpointOrigin: string
  readonly fips: boolean | undefined
  readonly proxy: string | undefined
  readonly quotas: Readonly<Record<string, number>> | undefined
}

const read = new WeakMap<object, Promise<Settings>>()

/**
 * The configuration file of `--config` or KEYFERRY_CONFIG, never of the current folder; read once for a command line.
 *
 * @throws ERR_CONFIG_INVALID
 */
export function settingsOf(flags: CommonFlags, env: Env): Promise<Settings> {
  const known = read.get(flags)
  if (known !== undefined) return known
  const settings = load(flags.config ?? env["KEYFERRY_CONFIG"])
  read.set(flags, settings)
  return settings
}

async function load(path: string | undefined): Promise<Settings> {
  if (path === undefined || path === "") {
    return { path: null, manifest: null, owner: DEFAULT_ID, policy: DEFAULT_POLICY }
  }
  const { loadManifest } = await import("../config/load.js")
  const { profileFamilies } = await import("../pkcs11/profiles.js")
  const manifest = await loadManifest(path, profileFamilies())
  return { path, manifest, owner: manifest.id, policy: manifest.policy }
}

/**
 * The token of `--token`, of the key that `--name` names, or the manifest's only one; without a manifest's, that of
 * KEYFERRY_TOKEN. Null where there is none.
 *
 * @throws ERR_USAGE where the manifest has several and nothing says which, ERR_TOKEN_URI_INVALID
 */
export function tokenSetting(settings: Settings, flags: TokenFlags, env: Env): TokenSetting | null {
  const { manifest } = settings
  const given = flags.token
  if (given !== undefined && (manifest === null || given.toLowerCase().startsWith("pkcs11:"))) {
    return fromUri(given, flags, env)
  }
  const name = given ?? keyOf(manifest, flags)?.token ?? only("token", Object.keys(manifest?.tokens ?? {}))
  if (name !== null) return namedToken(settings, name, flags, env)
  const inherited = env["KEYFERRY_TOKEN"]
  return inherited === undefined || inherited === "" ? null : fromUri(inherited, flags, env)
}

/** The token of that name in the manifest. Throws ERR_USAGE where there is none. */
export function namedToken({ manifest }: Settings, name: string, flags: TokenFlags, env: Env): TokenSetting {
  const token = named("token", manifest?.tokens ?? {}, name)
  const uri = parseTokenUri(token.uri)
  return { ...token, uri, pinSource: flags.pinSource ?? token.pinSource ?? pinSourceOf(uri, env) }
}

const ONE_TOKEN = { token: "--token", pinSource: "--pin-source" } as const

/** A flag that names one token, or its PIN, is not for several of them: each would be shown the others' PIN. */
export function refuseForMany(
  { manifest }: Settings,
  flags: TokenFlags,
  unwanted: readonly (keyof typeof ONE_TOKEN)[],
): void {
  const names = Object.keys(manifest?.tokens ?? {})
  const given = unwanted.find((flag) => flags[flag] !== undefined)
  if (names.length < 2 || given === undefined) return
  const option = ONE_TOKEN[given]
  throw new KeyferryError("ERR_USAGE", `${option} is for one token, and the configuration file has ${names.length}`, {
    hint: `leave ${option} out: the file says of each of ${names.join(", ")} what it needs`,
  })
}

function fromUri(text: string, flags: TokenFlags, env: Env): TokenSetting {
  const uri = parseTokenUri(text)
  const pinSource = flags.pinSource ?? env["KEYFERRY_PIN_SOURCE"] ?? pinSourceOf(uri, {})
  return { uri, pinSource, profile: null, libraryParameters: null, sessions: null }
}

/** A token of the manifest has its own PIN: the environment's is for one that says nothing. */
const pinSourceOf = (uri: TokenUri, env: Env): string => uri.pinSource ?? env["KEYFERRY_PIN_SOURCE"] ?? "prompt"

/**
 * The target of `--target`, of the key that `--name` names, of `--region`, or the manifest's only one; without a
 * manifest, flags and environment. Other flags override what the target says.
 *
 * @throws ERR_USAGE where the manifest has several and nothing says which
 */
export function kmsSetting(settings: Settings, flags: KmsFlags): KmsSetting {
  const { manifest } = settings
  const targets = manifest?.targets ?? {}
  if (manifest === null && flags.target !== undefined) {
    // without a manifest a target has its Region's name
    return fromFlags({ ...flags, region: flags.region ?? (REGION.test(flags.target) ? flags.target : undefined) })
  }
  if (flags.target !== undefined) return namedTarget(settings, flags.target, flags)
  const inRegion = Object.keys(targets).filter((name) => targets[name]?.region === flags.region)
  if (flags.region !== undefined && inRegion.length !== 1) return fromFlags(flags)
  const ofKey = keyOf(manifest, flags)?.targets
  const name = only("target", flags.region !== undefined ? inRegion : (ofKey ?? Object.keys(targets)))
  return name === null ? fromFlags(flags) : namedTarget(settings, name, flags)
}

/** The target of that name in the manifest, with what flags override. Throws ERR_USAGE where there is none. */
export function namedTarget({ manifest }: Settings, name: string, flags: KmsFlags = {}): KmsSetting {
  const target: Target = named("target", manifest?.targets ?? {}, name)
  const own = fromFlags(flags)
  return {
    name,
    region: target.region,
    profile: own.profile ?? target.profile ?? undefined,
    roleArn: own.roleArn ?? target.roleArn ?? undefined,
    endpointUrl: own.endpointUrl ?? target.endpoint ?? undefined,
    endpointOrigin: own.endpointUrl === undefined ? `target ${name}` : own.endpointOrigin,
    fips: own.fips ?? target.fips ?? undefined,
    proxy: target.proxy ?? undefined,
    quotas: Object.keys(target.quotas).length === 0 ? undefined : target.quotas,
  }
}

function fromFlags({ region, profile, roleArn, endpointUrl, fips }: KmsFlags): KmsSetting {
  return {
    ...{ name: null, region, profile, roleArn, endpointUrl },
    endpointOrigin: "--endpoint-url",
    // the switch that is not given leaves it to the environment
    fips: fips === true ? true : undefined,
    proxy: undefined,
    quotas: undefined,
  }
}

function keyOf(manifest: Manifest | null, { name }: { readonly name?: unknown }) {
  const keys = manifest?.keys ?? {}
  const [only = "", another] = [name].flat()
  return typeof only === "string" && another === undefined && Object.hasOwn(keys, only) ? keys[only] : undefined
}

function only(what: "token" | "target", names: readonly string[]): string | null {
  const [name = null, another] = names
  if (another === undefined) return name
  throw new KeyferryError("ERR_USAGE", `there are several ${what}s: ${names.join(", ")}`, {
    hint: `give --${what} NAME, one of the configuration file's`,
  })
}

function named<T>(what: "token" | "target", of: Readonly<Record<string, T>>, name: string): T {
  const found = Object.hasOwn(of, name) ? of[name] : undefined
  if (found !== undefined) return found
  const names = Object.keys(of).join(", ")
  throw new KeyferryError("ERR_USAGE", `there is no ${what} ${name} in the configuration file`, {
    hint: names === "" ? "give a configuration file with --config" : `name one of its ${what}s: ${names}`,
  })
}
