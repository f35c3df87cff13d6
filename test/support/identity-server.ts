import type { IncomingMessage } from "node:http"
import { answering, type Listening, serveHttp } from "#test/support/servers.js"

/** Who signs KMS' requests, by the access key that each way to credentials gives. */
export const ACCESS_KEYS = {
  instance: "ASIAINSTANCE",
  container: "ASIACONTAINER",
  environment: "AKIAENVIRONMENT",
  role: "ASIAROLE",
  webIdentity: "ASIAWEBIDENTITY",
  singleSignOn: "ASIASSO",
} as const

const EXPIRATION = "2099-01-01T00:00:00Z"
export const KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const METADATA = {
  Arn: KEY_ARN,
  KeyId: KEY_ARN.slice(KEY_ARN.indexOf("/") + 1),
  KeyState: "PendingImport",
  KeySpec: "SYMMETRIC_DEFAULT",
  KeyUsage: "ENCRYPT_DECRYPT",
  Origin: "EXTERNAL",
}

export interface IdentityServer extends Listening {
  readonly url: string
  /** Every request in order: which service, and the access key that signed it, `none` for an unsigned one. */
  readonly asked: readonly { readonly service: string; readonly signer: string }[]
  /** Services that answer 500 from now on. */
  readonly broken: Set<string>
}

/** Doubles of KMS, STS, single sign-on, the instance's metadata and the container's credentials, over HTTP. */
export async function serveIdentities(): Promise<IdentityServer> {
  const asked: { service: string; signer: string }[] = []
  const broken = new Set<string>()
  const listening = await serveHttp(
    answering((request, body) => {
      const { service, type, text } = answerOf(request, body)
      asked.push({ service, signer: /Credential=(\w+)/.exec(request.headers.authorization ?? "")?.[1] ?? "none" })
      return broken.has(service) ? [500, "text/plain", "out of order"] : [200, type, text]
    }),
  )
  return Object.assign(listening, { url: `http://127.0.0.1:${listening.port}`, asked, broken })
}

const metadata = (AccessKeyId: string): string =>
  JSON.stringify({ Code: "Success", AccessKeyId, SecretAccessKey: "s", Token: "t", Expiration: EXPIRATION })

function answerOf({ url = "", headers }: IncomingMessage, body: string) {
  if (url === "/latest/api/token") return { service: "instance", type: "text/plain", text: "token" }
  if (url.startsWith("/latest/meta-data/iam/security-credentials")) {
    const text = url.endsWith("/") ? "machine" : metadata(ACCESS_KEYS.instance)
    return { service: "instance", type: "application/json", text }
  }
  if (url === "/container") {
    return { service: "container", type: "application/json", text: metadata(ACCESS_KEYS.container) }
  }
  if (url.startsWith("/federation/credentials")) {
    const roleCredentials = {
      accessKeyId: ACCESS_KEYS.singleSignOn,
      secretAccessKey: "s",
      sessionToken: "t",
      expiration: Date.parse(EXPIRATION),
    }
    return { service: "sso", type: "application/json", text: JSON.stringify({ roleCredentials }) }
  }
  if (headers["x-amz-target"] !== undefined) {
    return { service: "kms", type: "application/x-amz-json-1.1", text: JSON.stringify({ KeyMetadata: METADATA }) }
  }
  const action = new URLSearchParams(body).get("Action") ?? "none"
  const id = action === "AssumeRoleWithWebIdentity" ? ACCESS_KEYS.webIdentity : ACCESS_KEYS.role
  const credentials = `<Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${EXPIRATION}</Expiration></Credentials>`
  const text = `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${credentials}</${action}Result></${action}Response>`
  return { service: action, type: "text/xml", text }
}
