import { REGION } from "../core/key/aws-name.js"
import { KeyferryError } from "../core/base/error.js"
import { endpointOfSts, type NamedEndpoint, namedEndpoint, refuseUnsafe } from "./endpoint.js"
import { type AwsProfile, readProfile } from "./profile.js"
import { httpsProxy } from "./proxy.js"
import { type Candidate, countOf, firstOf, type SettingText, switchOf, variableText, wordOf } from "./setting-text.js"
import { certificateAuthorities } from "./transport.js"

/** What flags and a target of the configuration file say, and the environment that they override. */
export interface SettingSources {
  readonly region?: string | undefined
  readonly profile?: string | undefined
  /** `--endpoint-url` */
  readonly endpointUrl?: string | undefined
  /** Who named `endpointUrl`; `--endpoint-url` unless given. */
  readonly endpointOrigin?: string | undefined
  readonly fips?: boolean | undefined
  /** `process.env`: the SDK's own readers look there. */
  readonly env: NodeJS.ProcessEnv
}

/** All that AWS' environment variables and shared files say of the way to KMS, credentials apart. */
export interface AwsSettings {
  readonly profile: AwsProfile
  readonly region: string
  readonly endpoint: NamedEndpoint | null
  /** Whether endpoints of environment and profile are passed over. */
  readonly ignoresEndpoints: boolean
  readonly stsEndpoint: NamedEndpoint | null
  readonly fips: boolean
  readonly dualstack: boolean
  /** How often a request is sent at the most; null for keyferry's own numbers. */
  readonly attempts: number | null
  /** PEM; undefined for Node's own. */
  readonly ca: string | undefined
}

/** Attempts of AWS' retry mode `legacy`; the others leave it to keyferry. */
const LEGACY_ATTEMPTS = 5

/**
 * The one reader of AWS' settings: as the AWS CLI reads them, and what is not understood is refused by its name, with
 * nothing sent.
 *
 * @throws ERR_KMS_SETTING, ERR_KMS_REGION_*, ERR_KMS_PROFILE_UNKNOWN, ERR_KMS_ENDPOINT_REFUSED, ERR_INPUT_UNREADABLE
 */
export async function readAwsSettings(sources: SettingSources): Promise<AwsSettings> {
  const { env } = sources
  const profile = await readProfile(sources.profile, env)
  const setting = (variable: string, key: string): SettingText | null =>
    firstOf([variable, env[variable]], profileKey(profile, key))
  const isOn = (variable: string, key: string): boolean => switchOf(setting(variable, key)) ?? false

  const region = regionOf(sources, profile)
  const endpointSources = {
    flag: sources.endpointUrl,
    flagName: sources.endpointOrigin ?? "--endpoint-url",
    env,
    profile: profile.keys,
    profileWords: profile.words,
    services: profile.services,
    isIgnored: isOn("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"),
  }
  const endpoint = namedEndpoint("KMS", endpointSources)
  // single sign-on asks there by the SDK's own reading: nothing but TLS vouches for who gets the session
  for (const service of ["SSO", "SSO_OIDC"] as const) namedEndpoint(service, endpointSources)
  const fips = sources.fips ?? isOn("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")
  const dualstack = isOn("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")
  refuseUnsafe({ endpoint, fips }, env)
  httpsProxy(env)
  const mode = wordOf(setting("AWS_RETRY_MODE", "retry_mode"), ["legacy", "standard", "adaptive"])
  return {
    profile,
    region,
    endpoint,
    ignoresEndpoints: endpointSources.isIgnored,
    stsEndpoint: endpointOfSts(endpoint, namedEndpoint("STS", endpointSources)),
    fips,
    // one that is named has no second kind
    dualstack: dualstack && endpoint === null,
    attempts: countOf(setting("AWS_MAX_ATTEMPTS", "max_attempts")) ?? (mode === "legacy" ? LEGACY_ATTEMPTS : null),
    ca: await certificateAuthorities(setting("AWS_CA_BUNDLE", "ca_bundle")),
  }
}

const profileKey = ({ keys, words }: AwsProfile, key: string): Candidate => [`${key} of ${words}`, keys[key]]

/** By flag or target, the environment, or the profile. */
function regionOf({ region, env }: SettingSources, profile: AwsProfile): string {
  const setting = firstOf(
    ["--region", region],
    ["AWS_REGION", env["AWS_REGION"]],
    ["AWS_DEFAULT_REGION", env["AWS_DEFAULT_REGION"]],
    profileKey(profile, "region"),
  )
  if (setting === null) throw new KeyferryError("ERR_KMS_REGION_MISSING", "no AWS Region is given")
  if (REGION.test(setting.text)) return setting.text
  const quoted = /^[\w-]{1,40}$/.test(setting.text) ? ` '${setting.text}'` : ""
  throw new KeyferryError("ERR_KMS_REGION_INVALID", `${setting.origin}${quoted} is not the name of an AWS Region`)
}

/** Whether the instance's metadata service may be asked. @throws ERR_KMS_SETTING */
export function mayAskInstance(env: NodeJS.ProcessEnv): boolean {
  const name = "AWS_EC2_METADATA_DISABLED"
  return switchOf(firstOf([name, variableText(env, name)])) !== true
}
