import { createHmac } from "node:crypto"
import { readFileSync } from "node:fs"
import { request as httpRequest, type RequestOptions } from "node:http"
import { request as httpsRequest } from "node:https"
import type { NotifySetting } from "../../core/manifest/agent-settings.js"
import { systemClock } from "../../host/clock.js"
import { proxyFor } from "../../kms/proxy.js"

/** The whole answer has to come by then. */
const LONGEST_MS = 10_000
const SHORTEST_SECRET = 16

type Webhook = Extract<NotifySetting, { readonly kind: "webhook" }>

/**
 * Sends JSON by POST. `X-Keyferry-Signature` is `sha256=` and the HMAC-SHA-256, hex, of `X-Keyferry-Timestamp` (seconds since
 * 1970, by the host's clock), a dot and the body, under the secret of the file without its line end. Redirections are not followed.
 *
 * @throws an Error where it is not taken (2xx), and says why
 */
export async function postWebhook(
  { url, secretFile }: Webhook,
  body: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const timestamp = String(Math.floor(systemClock.now().getTime() / 1000))
  const signature = createHmac("sha256", secretOf(secretFile)).update(`${timestamp}.${body}`).digest("hex")
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    "User-Agent": "keyferry",
    "X-Keyferry-Timestamp": timestamp,
    "X-Keyferry-Signature": `sha256=${signature}`,
  }
  await post(new URL(url), body, { method: "POST", headers, ...(await agentFor(url, env)) })
}

/** Read each time, so that it can be changed while the agent runs. */
function secretOf(file: string): Buffer {
  const secret = readFileSync(file)
  const length = secret.at(-1) === 0x0a ? secret.length - 1 : secret.length
  if (length < SHORTEST_SECRET) throw new Error(`the secret of ${file} has fewer than ${SHORTEST_SECRET} bytes`)
  return secret.subarray(0, length)
}

async function agentFor(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pick<RequestOptions, "agent">> {
  const proxy = proxyFor(url, env)
  if (proxy === null) return {}
  const { HttpsProxyAgent } = await import("hpagent")
  return { agent: new HttpsProxyAgent({ proxy }) }
}

function post(url: URL, body: string, options: RequestOptions): Promise<void> {
  const send = url.protocol === "https:" ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const request = send(url, options, (response) => {
      response.resume()
      const { statusCode = 0 } = response
      if (statusCode >= 200 && statusCode < 300) resolve()
      else reject(new Error(`it answered with status ${statusCode}`))
    })
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${LONGEST_MS / 1000} s`)), LONGEST_MS)
    request.once("close", () => clearTimeout(timer))
    request.once("error", reject)
    request.end(body)
  })
}
