import { readFile } from "node:fs/promises"
import { Agent as HttpAgent } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import { NodeHttpHandler } from "@smithy/node-http-handler"
import { KeyferryError } from "../core/error.js"
import { proxyFor } from "./proxy.js"

/** In milliseconds: to connect (through the proxy, where there is one), and for the whole answer to begin. */
export interface Timeouts {
  readonly connectMs: number
  readonly requestMs: number
}

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5_000, requestMs: 30_000 }

/** More than any run has requests in flight, so that none waits for a socket until its connect timeout is over. */
const SOCKETS = { keepAlive: true, maxSockets: 256 }

const ignore = (): void => undefined

/** A logger that nobody reads: the SDK's own warnings stay out of the user's sight. */
export const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }

/**
 * The certificate authorities to trust instead of Node's, by AWS_CA_BUNDLE or the profile's `ca_bundle`, as the AWS CLI
 * does; undefined for Node's own, which NODE_EXTRA_CA_CERTS extends.
 *
 * @throws ERR_INPUT_UNREADABLE
 */
export async function certificateAuthorities(path: string | undefined): Promise<string | undefined> {
  if (path === undefined || path === "") return undefined
  try {
    return await readFile(path, "utf8")
  } catch (cause) {
    throw new KeyferryError("ERR_INPUT_UNREADABLE", "the certificates of AWS_CA_BUNDLE cannot be read", {
      cause,
      key: path,
    })
  }
}

/** A request handler for one endpoint, by way of its proxy where the environment names one. */
export async function requestHandler(
  url: string,
  options: { readonly env: NodeJS.ProcessEnv; readonly timeouts: Timeouts; readonly ca: string | undefined },
): Promise<NodeHttpHandler> {
  const { env, timeouts, ca } = options
  const tls = ca === undefined ? {} : { ca }
  const proxy = proxyFor(url, env)
  const agents =
    proxy === null
      ? { httpAgent: new HttpAgent(SOCKETS), httpsAgent: new HttpsAgent({ ...SOCKETS, ...tls }) }
      : await proxyAgents(proxy, tls)
  return new NodeHttpHandler({
    ...agents,
    connectionTimeout: timeouts.connectMs,
    requestTimeout: timeouts.requestMs,
    socketTimeout: timeouts.requestMs,
    throwOnRequestTimeout: true,
    logger: SILENT,
  })
}

async function proxyAgents(
  proxy: URL,
  tls: { ca?: string },
): Promise<{ httpAgent: HttpAgent; httpsAgent: HttpsAgent }> {
  const { HttpProxyAgent, HttpsProxyAgent } = await import("hpagent")
  return {
    httpAgent: new HttpProxyAgent({ ...SOCKETS, proxy }),
    httpsAgent: new HttpsProxyAgent({ ...SOCKETS, ...tls, proxy }),
  }
}
