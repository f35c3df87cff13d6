import { access, constants } from "node:fs/promises"
import type { STSClientConfig } from "@aws-sdk/client-sts"
import type { AwsCredentialIdentityProvider } from "@smithy/types"
import { KeyferryError } from "../core/base/error.js"
import { mayAskInstance } from "./aws-settings.js"
import { limitCredentialProcess } from "./credential-process.js"
import { translate } from "./error.js"
import type { AwsProfile } from "./profile.js"
import { settingError, variableText } from "./setting-text.js"
import { SILENT } from "./transport.js"

/** Where the SDK's own providers look. */
const { env } = process

/** Credentials, and from where they come. */
interface CredentialSource {
  /** `AWS profile 'prod'`, `the environment's access key`, … */
  readonly words: string
  readonly provider: AwsCredentialIdentityProvider
  readonly hint: string
}

interface CredentialOptions {
  readonly profile: AwsProfile
  /** A role to assume with the credentials of the profile, or of where else they come from. */
  readonly roleArn: string | undefined
  /** Of every client of STS on the way to credentials. */
  readonly sts: STSClientConfig
  /** Of clients of single sign-on, which have a Region and an endpoint of their own. */
  readonly sso: object
  /** How long a `credential_process` may take, in milliseconds. */
  readonly processMs: number
}

/**
 * The one provider of AWS credentials that the settings name. None stands in for another: a named profile is used alone,
 * and without one what is set decides, in the order of AWS' own tools, not what happens to work.
 *
 * @throws ERR_KMS_SETTING; the provider itself ERR_KMS_CREDENTIALS or ERR_KMS_ACCESS_DENIED, with the cause
 */
export async function credentialProvider(options: CredentialOptions): Promise<AwsCredentialIdentityProvider> {
  const source = await credentialSource(options)
  const provider = told(source)
  const { roleArn, sts } = options
  if (roleArn === undefined) return provider
  const { getDefaultRoleAssumer } = await import("@aws-sdk/client-sts")
  const assume = getDefaultRoleAssumer(sts)
  return told({
    words: `the role ${roleArn}`,
    provider: async (properties) =>
      assume(await provider(properties), { RoleArn: roleArn, RoleSessionName: "keyferry" }),
    hint: `check the role's trust policy, and that ${source.words} may assume it`,
  })
}

async function credentialSource(options: CredentialOptions): Promise<CredentialSource> {
  const { profile, sts } = options
  if (profile.name !== null) return await ofProfile(options)
  if (refuseHalf(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])) {
    const { fromEnv } = await import("@aws-sdk/credential-provider-env")
    return {
      words: "the environment's access key",
      provider: fromEnv({ logger: SILENT }),
      hint: "check AWS_ACCESS_KEY_ID",
    }
  }
  if (profile.credentials === "role") return await ofProfile(options)
  if (refuseHalf(["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"])) return await ofTokenFile(sts)
  if (profile.credentials !== null) return await ofProfile(options)
  const containerVariable = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"].find(
    (name) => variableText(env, name) !== undefined,
  )
  return containerVariable === undefined ? await ofInstance() : await ofContainer(containerVariable)
}

/** Whether both variables are set: one alone is a mistake that another identity must not cover up. */
function refuseHalf([first, second]: readonly [string, string]): boolean {
  const [hasFirst, hasSecond] = [first, second].map((name) => variableText(env, name) !== undefined)
  // AWS_ROLE_ARN alone is what EKS and CI set for others
  if (hasFirst === hasSecond || (second === "AWS_ROLE_ARN" && hasSecond === true)) {
    return hasFirst === true && hasSecond === true
  }
  throw settingError(hasFirst === true ? second : first, `is not set, and ${hasFirst === true ? first : second} is`)
}

async function ofProfile({ profile: applied, sts, sso, processMs }: CredentialOptions): Promise<CredentialSource> {
  const { name, words, keys, credentials } = applied
  const profile = name ?? "default"
  const { fromIni } = await import("@aws-sdk/credential-provider-ini")
  const provider: AwsCredentialIdentityProvider = async () => {
    const { getDefaultRoleAssumer, getDefaultRoleAssumerWithWebIdentity } = await import("@aws-sdk/client-sts")
    limitCredentialProcess(processMs)
    if (credentials === "web identity") {
      await refuseMissing(keys["web_identity_token_file"] ?? "", `web_identity_token_file of ${words}`)
    }
    const fromFiles = fromIni({
      profile,
      ignoreCache: true,
      logger: SILENT,
      clientConfig: sso,
      roleAssumer: getDefaultRoleAssumer(sts),
      roleAssumerWithWebIdentity: getDefaultRoleAssumerWithWebIdentity(sts),
    })
    return await fromFiles()
  }
  return { words, provider, hint: profileHint(profile, credentials) }
}

function profileHint(profile: string, credentials: AwsProfile["credentials"]): string {
  if (credentials === null) {
    return `give the profile credentials of its own (keys, role_arn, credential_process, sso_session), or name none`
  }
  if (credentials === "process") return "run its credential_process by hand: it is to print the JSON of AWS"
  if (credentials === "single sign-on") return `sign in: aws sso login --profile ${profile}`
  return `see what AWS' own tools say: aws sts get-caller-identity --profile ${profile}`
}

async function ofTokenFile(sts: STSClientConfig): Promise<CredentialSource> {
  const { fromTokenFile } = await import("@aws-sdk/credential-provider-web-identity")
  const name = "AWS_WEB_IDENTITY_TOKEN_FILE"
  return {
    words: `the web identity token of ${name}`,
    provider: async (properties) => {
      const { getDefaultRoleAssumerWithWebIdentity } = await import("@aws-sdk/client-sts")
      await refuseMissing(variableText(env, name) ?? "", name)
      const roleAssumerWithWebIdentity = getDefaultRoleAssumerWithWebIdentity(sts)
      return await fromTokenFile({ logger: SILENT, roleAssumerWithWebIdentity })(properties)
    },
    hint: "check the token file, and the trust policy of the role in AWS_ROLE_ARN",
  }
}

/** A token is written anew every hour, so it is looked for when it is used. */
async function refuseMissing(path: string, origin: string): Promise<void> {
  try {
    await access(path, constants.R_OK)
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException
    throw new KeyferryError("ERR_KMS_CREDENTIALS", `the web identity token file of ${origin} cannot be read`, {
      key: path,
      cause,
      causes: [{ code, message }],
      hint: "check that what writes the token runs, and that this process may read it",
    })
  }
}

async function ofContainer(variable: string): Promise<CredentialSource> {
  refuseNoUrl("AWS_CONTAINER_CREDENTIALS_FULL_URI")
  const { fromHttp } = await import("@aws-sdk/credential-provider-http")
  return {
    words: `the container's credentials (${variable})`,
    // what it refuses at once is said with its cause as well
    provider: () => fromHttp({ logger: SILENT })(),
    hint: "check the task's or pod's role, and the authorization token that it is given",
  }
}

async function ofInstance(): Promise<CredentialSource> {
  const words = "the instance's role"
  const hint =
    "give AWS credentials by --profile, the environment, or the machine's role; `keyferry doctor` checks them"
  if (!mayAskInstance(env)) {
    const message = "there are no AWS credentials, and AWS_EC2_METADATA_DISABLED forbids to ask for the instance's role"
    return { words, provider: () => Promise.reject(new KeyferryError("ERR_KMS_CREDENTIALS", message, { hint })), hint }
  }
  refuseNoUrl("AWS_EC2_METADATA_SERVICE_ENDPOINT")
  const { fromInstanceMetadata } = await import("@smithy/credential-provider-imds")
  return { words, provider: fromInstanceMetadata({ logger: SILENT }), hint }
}

function refuseNoUrl(name: string): void {
  const text = variableText(env, name)
  if (text !== undefined && !URL.canParse(text)) throw settingError(name, "is not a URL")
}

/** The provider, its failure told with who failed and why. */
function told({ words, provider, hint }: CredentialSource): AwsCredentialIdentityProvider {
  return async (properties) => {
    try {
      return await provider(properties)
    } catch (error) {
      if (error instanceof KeyferryError) throw error
      const { code, exit, causes, cause, hint: itsHint } = translate(error, { operation: "sts:AssumeRole", input: {} })
      const isDenied = exit === "NOPERM" && code !== "ERR_KMS_CREDENTIALS"
      throw new KeyferryError(isDenied ? code : "ERR_KMS_CREDENTIALS", `${words} gave no AWS credentials`, {
        cause,
        causes: causes.map(({ code: name, message }) => ({ code: name, message: withoutCommand(message) })),
        hint: isDenied ? itsHint : hint,
      })
    }
  }
}

/** Node's words for a command that failed begin with all of it, and a command line may hold a password. */
function withoutCommand(message: string): string {
  return message.replace(/^Command failed: .*\n?/, "credential_process failed: ").trim()
}
