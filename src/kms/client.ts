import { KMSClient, type KMSClientConfig } from "@aws-sdk/client-kms"
import type { STSClient } from "@aws-sdk/client-sts"
import { loadSharedConfigFiles } from "@smithy/core/config"
import { isLoopback, REGION } from "../core/key/aws-name.js"
import { KeyferryError } from "../core/base/error.js"
import type { Quotas } from "../core/plan/schedule.js"
import { endpointOfSts, type NamedEndpoint, namedEndpoint, type ProfileSettings, refuseUnsafe } from "./endpoint.js"
import { createPacer, type Pacer } from "./pacing.js"
import { retryMiddleware, RETRY_PLACE } from "./retry.js"
import { certificateAuthorities, DEFAULT_TIMEOUTS, requestHandler, SILENT, type Timeouts } from "./transport.js"

/** How KMS is reached: the command line's flags, and the environment that they override. */
export interface KmsOptions {
  readonly region?: string | undefined
  readonly profile?: string | undefined
  readonly roleArn?: string | undefined
  /** `--endpoint-url` */
  readonly endpointUrl?: string | undefined
  /** Who named `endpointUrl`; `--endpoint-url` unless given. */
  readonly endpointOrigin?: string | undefined
  /** URL of the proxy, whatever the environment says. */
  readonly proxy?: string | undefined
  readonly fips?: boolean | undefined
  /** `process.env`: the SDK's credential chain reads that for itself. */
  readonly env: NodeJS.ProcessEnv
  readonly timeouts?: Timeouts | undefined
  /** The process' own; a client without one keeps a pace for itself. */
  readonly pacer?: Pacer | undefined
  /** Whose quotas are used: the account, where it is known. Clients with the same key share its buckets. */
  readonly quotaKey?: string | undefined
  /**
   * In place of AWS' defaults: requests a second by operation, each more than 0. Without any, an endpoint on loopback is
   * not paced at all.
   */
  readonly quotas?: Quotas | undefined
}

export interface AwsClients {
  readonly region: string
  readonly endpoint: NamedEndpoint | null
  readonly kms: KMSClient
  /** Loaded when first asked for. */
  readonly sts: () => Promise<STSClient>
}

/**
 * Makes the clients of one account and Region. Nothing is sent, and credentials are not looked for yet.
 *
 * @throws ERR_KMS_REGION_MISSING, ERR_KMS_REGION_INVALID, ERR_KMS_PROFILE_UNKNOWN, ERR_KMS_ENDPOINT_REFUSED,
 *   ERR_INPUT_UNREADABLE
 */
export async function openClients(options: KmsOptions): Promise<AwsClients> {
  const { env, timeouts = DEFAULT_TIMEOUTS } = options
  const { name: profileName, settings, services } = await profileSettings(options)
  const region = namedRegion(options, settings)

  const sources = {
    flag: options.endpointUrl,
    flagName: options.endpointOrigin ?? "--endpoint-url",
    env,
    profile: settings,
    services,
  }
  const endpoint = namedEndpoint("KMS", sources)
  const fips = options.fips ?? (env["AWS_USE_FIPS_ENDPOINT"] ?? settings["use_fips_endpoint"]) === "true"
  refuseUnsafe(endpoint, fips, env)
  const stsEndpoint = endpointOfSts(endpoint, namedEndpoint("STS", sources))

  const ca = await certificateAuthorities(env["AWS_CA_BUNDLE"] ?? settings["ca_bundle"])
  const common = {
    region,
    requestHandler: requestHandler({ env, timeouts, ca, proxy: options.proxy }),
    ...(profileName === undefined ? {} : { profile: profileName }),
    logger: SILENT,
    maxAttempts: 3,
    retryMode: "standard",
    defaultsMode: "standard",
    ignoreConfiguredEndpointUrls: true,
    // the stack is complete before the first request, and resolving it anew takes a millisecond of each
    cacheMiddleware: true,
  } as const
  const stsConfig = {
    ...common,
    // STS has FIPS endpoints in the United States only
    useFipsEndpoint: fips && stsEndpoint === null && region.startsWith("us-"),
    ...(stsEndpoint === null ? {} : { endpoint: stsEndpoint.url }),
  }
  const credentials = await roleCredentials(options.roleArn, stsConfig)

  const kms = new KMSClient({
    ...common,
    useFipsEndpoint: fips,
    ...(endpoint === null ? {} : { endpoint: endpoint.url }),
    ...(credentials === undefined ? {} : { credentials }),
  })
  const { pacer = createPacer(), quotaKey = quotaKeyOf(options, endpoint), quotas } = options
  // what listens on this machine is no AWS, and has quotas only if the target says so
  const free = quotas === undefined && endpoint !== null && isLoopback(new URL(endpoint.url).hostname)
  const pace = (operation: string) => (free ? undefined : pacer.turn(quotaKey, region, operation, quotas))
  kms.middlewareStack.add(retryMiddleware(Number(env["AWS_MAX_ATTEMPTS"]) || Infinity, pace), RETRY_PLACE)

  let sts: Promise<STSClient> | undefined
  return {
    region,
    endpoint,
    kms,
    sts: () =>
      (sts ??= import("@aws-sdk/client-sts").then(
        ({ STSClient }) => new STSClient({ ...stsConfig, credentials: kms.config.credentials }),
      )),
  }
}

/** The account of the role, or what else tells one account from another; each endpoint of one's own counts for itself. */
function quotaKeyOf({ roleArn, profile, env }: KmsOptions, endpoint: NamedEndpoint | null): string {
  const account = roleArn?.split(":")[4] ?? profile ?? env["AWS_PROFILE"] ?? "default"
  return endpoint === null ? account : `${account} ${endpoint.url}`
}

/** The Region by flag or target, the environment, or the profile. */
function namedRegion({ region, env }: KmsOptions, settings: ProfileSettings): string {
  const candidates: readonly (readonly [origin: string, name: string | undefined])[] = [
    ["--region", region],
    ["AWS_REGION", env["AWS_REGION"]],
    ["AWS_DEFAULT_REGION", env["AWS_DEFAULT_REGION"]],
    ["region of the AWS profile", settings["region"]],
  ]
  const [origin, name] = candidates.find(([, value]) => value !== undefined) ?? []
  if (name === undefined || name === "") throw new KeyferryError("ERR_KMS_REGION_MISSING", "no AWS Region is given")
  if (REGION.test(name)) return name
  throw new KeyferryError("ERR_KMS_REGION_INVALID", `${origin ?? ""} '${name}' is not the name of an AWS Region`)
}

/** The profile that applies, by flag, AWS_PROFILE or `default`, with its settings from the shared configuration file. */
async function profileSettings({ profile, env }: KmsOptions): Promise<{
  name: string | undefined
  settings: ProfileSettings
  services: ProfileSettings
}> {
  const { configFile, credentialsFile } = await loadSharedConfigFiles()
  if (profile !== undefined && configFile[profile] === undefined && credentialsFile[profile] === undefined) {
    throw new KeyferryError("ERR_KMS_PROFILE_UNKNOWN", `there is no AWS profile '${profile}'`)
  }
  const settings: ProfileSettings = configFile[profile ?? env["AWS_PROFILE"] ?? "default"] ?? {}
  const section = settings["services"]
  return { name: profile, settings, services: section === undefined ? {} : (configFile[`services.${section}`] ?? {}) }
}

/** Credentials of a role, assumed with those of the default chain; undefined for the default chain itself. */
async function roleCredentials(
  roleArn: string | undefined,
  clientConfig: object,
): Promise<KMSClientConfig["credentials"]> {
  if (roleArn === undefined) return undefined
  const { fromTemporaryCredentials } = await import("@aws-sdk/credential-providers")
  return fromTemporaryCredentials({
    params: { RoleArn: roleArn, RoleSessionName: "keyferry" },
    clientConfig,
    logger: SILENT,
  })
}
