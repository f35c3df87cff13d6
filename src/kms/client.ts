import { KMSClient } from "@aws-sdk/client-kms"
import type { STSClient } from "@aws-sdk/client-sts"
import { KeyferryError } from "../core/base/error.js"
import { isLoopback } from "../core/key/aws-name.js"
import type { Quotas } from "../core/plan/schedule.js"
import { readAwsSettings, type SettingSources } from "./aws-settings.js"
import { credentialProvider } from "./credentials.js"
import { isAwsHost, type NamedEndpoint } from "./endpoint.js"
import { POST_QUANTUM, refuseWithoutPostQuantum } from "./key-exchange.js"
import { OWN_ANSWERS_ONLY } from "./own-answer.js"
import { createPacer, type Pacer } from "./pacing.js"
import { DEFAULT_TIMEOUTS, requestHandler, SILENT, type Timeouts } from "./transport.js"
import { openWire, type Send } from "./wire.js"

/** How KMS is reached: the command line's flags, and the environment that they override. */
export interface KmsOptions extends SettingSources {
  readonly roleArn?: string | undefined
  /** Who requires a post-quantum key exchange with KMS, for messages; nobody where it is left out. */
  readonly postQuantum?: string | undefined
  /** URL of the proxy, whatever the environment says. */
  readonly proxy?: string | undefined
  /** Those that are left out are {@link DEFAULT_TIMEOUTS}. */
  readonly timeouts?: Partial<Timeouts> | undefined
  /** The process' own; a client without one keeps a pace for itself. */
  readonly pacer?: Pacer | undefined
  /** 12 digits, where it is known: whose quotas are used. */
  readonly account?: string | null | undefined
  /** Clients with the same key share quotas; that of account and endpoint where it is left out. */
  readonly quotaKey?: string | undefined
  /**
   * In place of AWS' defaults: requests a second by operation, each more than 0. Without any, an endpoint on loopback is
   * not paced at all.
   */
  readonly quotas?: Quotas | undefined
  /** Called with the Date of each answer of KMS. */
  readonly onTime?: ((date: Date) => void) | undefined
  /** Asked right before each attempt of a request that changes something: what it throws keeps it from being sent. */
  readonly beforeChange?: (() => Promise<void>) | undefined
}

export interface AwsClients {
  readonly region: string
  readonly endpoint: NamedEndpoint | null
  readonly send: Send
  /** Closes the connections. */
  readonly close: () => void
  /** Loaded when first asked for. */
  readonly sts: () => Promise<STSClient>
}

/**
 * Makes the clients of one account and Region. Nothing is sent, and credentials are not looked for yet.
 *
 * @throws what {@link readAwsSettings} throws
 */
export async function openClients(options: KmsOptions): Promise<AwsClients> {
  const { env, roleArn } = options
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts }
  const settings = await readAwsSettings(options)
  const { profile, region, endpoint, stsEndpoint, fips, dualstack, ca } = settings
  const required = options.postQuantum
  if (required !== undefined) refuseWithoutPostQuantum(required)
  if (required !== undefined && endpoint?.url.startsWith("http:") === true) {
    const message = `${required} requires a post-quantum key exchange, and ${endpoint.url} is plain http, which has none`
    throw new KeyferryError("ERR_KMS_ENDPOINT_REFUSED", message, {
      hint: `name another endpoint than ${endpoint.origin} does`,
    })
  }
  let kmsUrl: () => string | null = () => null
  const handler = requestHandler({ env, timeouts, ca, proxy: options.proxy, postQuantum: () => kmsUrl() })
  const anyClient = {
    requestHandler: handler,
    ...(profile.name === null ? {} : { profile: profile.name }),
    logger: SILENT,
    maxAttempts: settings.attempts ?? 3,
    retryMode: "standard",
    defaultsMode: "standard",
  } as const
  const common = { ...anyClient, region, ignoreConfiguredEndpointUrls: true }
  const stsConfig = {
    ...common,
    // STS has FIPS endpoints in the United States only
    useFipsEndpoint: fips && stsEndpoint === null && region.startsWith("us-"),
    useDualstackEndpoint: dualstack && stsEndpoint === null,
    ...(stsEndpoint === null ? {} : { endpoint: stsEndpoint.url }),
  }
  const sso = {
    ...anyClient,
    ignoreConfiguredEndpointUrls: settings.ignoresEndpoints,
    useFipsEndpoint: fips,
    useDualstackEndpoint: dualstack,
  }
  const credentials = await credentialProvider({ profile, roleArn, sts: stsConfig, sso, processMs: timeouts.requestMs })

  // it has the rules of endpoints and the signer, and keeps credentials until they end
  const kms = new KMSClient({
    ...common,
    useFipsEndpoint: fips,
    useDualstackEndpoint: dualstack,
    ...(endpoint === null ? {} : { endpoint: endpoint.url }),
    credentials,
  })
  const named = {
    Region: region,
    UseFIPS: fips,
    UseDualStack: dualstack,
    ...(endpoint === null ? {} : { Endpoint: endpoint.url }),
  }
  if (required !== undefined) kmsUrl = () => kms.config.endpointProvider(named).url.href
  const { pacer = createPacer(), quotas } = options
  const account = options.account ?? roleArn?.split(":")[4] ?? profile.name ?? "default"
  const quotaKey = options.quotaKey ?? quotaKeyOf(account, endpoint)
  // what listens on this machine is no AWS, and has quotas only if the target says so
  const free = quotas === undefined && endpoint !== null && isLoopback(new URL(endpoint.url).hostname)
  const pace = (operation: string) => (free ? undefined : pacer.turn(quotaKey, region, operation, quotas))
  const send = openWire({
    url: () => kms.config.endpointProvider(named).url,
    signer: () => kms.config.signer(),
    handler,
    attempts: { most: settings.attempts, pace, requestMs: timeouts.requestMs },
    requiredGroup: required === undefined ? null : POST_QUANTUM,
    onTime: (date) => options.onTime?.(date),
    beforeChange: options.beforeChange,
  })

  let sts: Promise<STSClient> | undefined
  return {
    region,
    endpoint,
    send,
    close: () => kms.destroy(),
    sts: () =>
      (sts ??= import("@aws-sdk/client-sts").then(({ STSClient }) => {
        const client = new STSClient({ ...stsConfig, credentials: kms.config.credentials })
        client.middlewareStack.use(OWN_ANSWERS_ONLY)
        return client
      })),
  }
}

/** AWS' endpoints, VPC endpoints among them, have the account's quotas together; each endpoint of one's own has its own. */
function quotaKeyOf(account: string, endpoint: NamedEndpoint | null): string {
  return endpoint === null || isAwsHost(new URL(endpoint.url).hostname) ? account : `${account} ${endpoint.url}`
}
