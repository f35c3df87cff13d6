import { endpointFault } from "../core/key/aws-name.js"
import { KeyferryError } from "../core/base/error.js"
import { type Candidate, firstOf, type Section } from "./setting-text.js"

/** An endpoint that somebody named, and who: a flag, an environment variable, or a setting of the AWS profile. */
export interface NamedEndpoint {
  readonly url: string
  readonly origin: string
}

interface EndpointSources {
  /** `--endpoint-url` */
  readonly flag: string | undefined
  /** How messages name who gave it: a flag, or a target of the configuration file. */
  readonly flagName: string
  readonly env: NodeJS.ProcessEnv
  readonly profile: Section
  /** How messages name the profile. */
  readonly profileWords: string
  /** The profile's `services` section: `kms.endpoint_url` and the like. */
  readonly services: Section
  /** AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: the flag alone counts. */
  readonly isIgnored: boolean
}

/**
 * The endpoint that was named for a service (`KMS`, `STS`, …), or null for AWS' own: flag, AWS_ENDPOINT_URL_<SERVICE>,
 * AWS_ENDPOINT_URL, then the profile (AWS SDKs and Tools Reference Guide, "Service-specific endpoints"). The flag names
 * the endpoint of KMS; STS follows by {@link endpointOfSts}.
 *
 * @throws ERR_KMS_ENDPOINT_REFUSED (invariant I3)
 */
export function namedEndpoint(
  service: "KMS" | "STS" | "SSO" | "SSO_OIDC",
  sources: EndpointSources,
): NamedEndpoint | null {
  const { flag, flagName, env, profile, profileWords, services, isIgnored } = sources
  const key = `${service.toLowerCase()}.endpoint_url`
  const inherited: readonly Candidate[] = [
    [`AWS_ENDPOINT_URL_${service}`, env[`AWS_ENDPOINT_URL_${service}`]],
    ["AWS_ENDPOINT_URL", env["AWS_ENDPOINT_URL"]],
    [`${key} of the services of ${profileWords}`, services[key]],
    [`endpoint_url of ${profileWords}`, profile["endpoint_url"]],
  ]
  const url = firstOf([flagName, service === "KMS" ? flag : undefined], ...(isIgnored ? [] : inherited))
  return url === null ? null : { url: checkedUrl(url.text, url.origin), origin: url.origin }
}

const WITHOUT_USER =
  "write the URL without what stands before the @: KMS knows who asks by AWS credentials, of the profile or the environment"

/** Nothing but TLS vouches for the wrapping key that the endpoint lends, so plain http goes to this machine only. */
function checkedUrl(text: string, origin: string): string {
  const fault = endpointFault(text)
  if (fault === undefined) return text
  // of TLS nothing need be said where something else is wrong
  const hint = text.includes("@") ? { hint: WITHOUT_USER } : {}
  throw new KeyferryError("ERR_KMS_ENDPOINT_REFUSED", `the endpoint given by ${origin} ${fault}`, hint)
}

/** The domains of AWS' partitions under which its own endpoints, FIPS and VPC endpoints among them, have their names. */
const AWS_DOMAINS = [
  "amazonaws.com",
  "amazonaws.com.cn",
  "api.aws",
  "api.amazonwebservices.com.cn",
  "amazonaws.eu",
  "api.cloud-aws.adc-e.uk",
  "c2s.ic.gov",
  "sc2s.sgov.gov",
  "csp.hci.ic.gov",
]

export function isAwsHost(hostname: string): boolean {
  return AWS_DOMAINS.some((domain) => hostname.endsWith(`.${domain}`))
}

/**
 * Where STS is asked: where it was named for STS by itself; else with KMS, unless that is AWS' own name, since a local
 * double is never mixed with AWS; else where all services were named.
 */
export function endpointOfSts(kms: NamedEndpoint | null, sts: NamedEndpoint | null): NamedEndpoint | null {
  if (sts !== null && /^(AWS_ENDPOINT_URL_STS$|sts\.)/.test(sts.origin)) return sts
  return kms !== null && !isAwsHost(new URL(kms.url).hostname) ? kms : sts
}

interface WayToKms {
  readonly endpoint: NamedEndpoint | null
  readonly fips: boolean
}

/**
 * Refuses what would take TLS, or the choice of endpoint, out of the operator's hands.
 *
 * @throws ERR_KMS_ENDPOINT_REFUSED
 */
export function refuseUnsafe({ endpoint, fips }: WayToKms, env: NodeJS.ProcessEnv): void {
  if (env["NODE_TLS_REJECT_UNAUTHORIZED"] === "0") {
    throw new KeyferryError(
      "ERR_KMS_ENDPOINT_REFUSED",
      "NODE_TLS_REJECT_UNAUTHORIZED=0 switches off the check of TLS certificates",
      {
        hint: "unset it; name the certificate authority of your endpoint by AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS instead",
      },
    )
  }
  if (fips && endpoint !== null) {
    throw new KeyferryError(
      "ERR_KMS_ENDPOINT_REFUSED",
      `a FIPS endpoint and the endpoint given by ${endpoint.origin} exclude each other`,
      {
        hint: "leave out --fips (AWS_USE_FIPS_ENDPOINT), or name no endpoint; a VPC endpoint for FIPS is used by its private DNS name",
      },
    )
  }
}
