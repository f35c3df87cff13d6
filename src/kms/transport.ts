import { Agent as HttpAgent, type IncomingMessage } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import type { Readable } from "node:stream"
import type { HttpHandler, HttpResponse } from "@smithy/core/protocols"
import { NodeHttpHandler } from "@smithy/node-http-handler"
import { KeyferryError } from "../core/base/error.js"
import { readBounded } from "../input/bounded-file.js"
import { keyExchangeOf, POST_QUANTUM_ALONE, withoutAgreement } from "./key-exchange.js"
import { proxyFor } from "./proxy.js"
import { settingError, type SettingText } from "./setting-text.js"

/** In milliseconds: to connect (through the proxy, where there is one), and for the whole answer, its last byte included. */
export interface Timeouts {
  readonly connectMs: number
  readonly requestMs: number
}

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5_000, requestMs: 30_000 }

/** Bytes of an answer: the largest of KMS, a page of ListKeys, has 150 kB. */
const MOST_ANSWER_BYTES = 1_000_000

/** More than any run has requests in flight, so that none waits for a socket until its connect timeout is over. */
const SOCKETS = { keepAlive: true, maxSockets: 256 }

/** All public authorities together have 250 kB. */
const MOST_BYTES = 4 * 1024 * 1024

const ignore = (): void => undefined

/** A logger that nobody reads: the SDK's own warnings stay out of the user's sight. */
export const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }

/**
 * The certificate authorities to trust instead of Node's, by AWS_CA_BUNDLE or the profile's `ca_bundle`, as the AWS CLI
 * does; undefined for Node's own, which NODE_EXTRA_CA_CERTS extends.
 *
 * @throws ERR_INPUT_UNREADABLE, ERR_KMS_SETTING where there is no certificate in it
 */
export async function certificateAuthorities(bundle: SettingText | null): Promise<string | undefined> {
  if (bundle === null) return undefined
  let pem: string
  try {
    pem = (await readBounded(bundle.text, MOST_BYTES)).toString("utf8")
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `the certificates of ${bundle.origin} cannot be read`, {
      cause,
      key: bundle.text,
      causes: [{ code, message }],
    })
  }
  // Node would trust nobody then, and blame the endpoint
  if (/-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(pem)) return pem
  throw settingError(bundle.origin, "names a file without a certificate in PEM form")
}

/**
 * One request handler for all clients: each request goes by way of the proxy that the environment names for its host,
 * those of STS and of single sign-on on the way to credentials included.
 */
export function requestHandler(options: {
  readonly env: NodeJS.ProcessEnv
  readonly timeouts: Timeouts
  readonly ca: string | undefined
  /** In place of the environment's. */
  readonly proxy?: string | undefined
  /** Origin of the URL to which nothing but a post-quantum key exchange is offered; null for none. */
  readonly postQuantum?: () => string | null
}): HttpHandler {
  const routes = new Map<string, Promise<NodeHttpHandler>>()
  const route = (origin: string): Promise<NodeHttpHandler> => {
    const opening = routes.get(origin) ?? makeRoute(origin, options)
    routes.set(origin, opening)
    return opening
  }
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(request, handlerOptions) {
      const { protocol, hostname, port } = request
      const origin = `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`
      const handler = await route(origin)
      try {
        return await wholeAnswer(options.timeouts.requestMs, (abortSignal) =>
          handler.handle(request, { ...handlerOptions, abortSignal }),
        )
      } catch (error) {
        throw isPostQuantum(origin, options.postQuantum) ? withoutAgreement(error) : error
      }
    },
    destroy() {
      for (const opening of routes.values()) void opening.then((handler) => handler.destroy())
      routes.clear()
    },
    // the SDK's own settings of a handler: ours are fixed
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  }
}

async function makeRoute(
  origin: string,
  { env, timeouts, ca, proxy: configured, postQuantum }: Parameters<typeof requestHandler>[0],
): Promise<NodeHttpHandler> {
  const tls = { ...(ca === undefined ? {} : { ca }), ...(isPostQuantum(origin, postQuantum) ? POST_QUANTUM_ALONE : {}) }
  const proxy = proxyFor(origin, env, configured)
  const agents =
    proxy === null
      ? { httpAgent: new HttpAgent(SOCKETS), httpsAgent: new HttpsAgent({ ...SOCKETS, ...tls }) }
      : await proxyAgents(proxy, tls)
  return new NodeHttpHandler({
    ...agents,
    connectionTimeout: timeouts.connectMs,
    logger: SILENT,
  })
}

const isPostQuantum = (origin: string, required?: () => string | null): boolean => {
  const url = required?.() ?? null
  return url !== null && new URL(origin).origin === new URL(url).origin
}

/** A failure of the answer itself, by a name of {@link ERRORS_BY_NAME}. */
class AnswerError extends Error {
  constructor(name: "TimeoutError" | "AnswerTooLarge", message: string) {
    super(message)
    this.name = name
  }
}

/**
 * The answer with its body read: all of it within the deadline, and no more than {@link MOST_ANSWER_BYTES}. This is the
 * one place where an answer that comes a byte at a time, or has no end, is given up.
 */
async function wholeAnswer(
  requestMs: number,
  send: (abortSignal: AbortSignal) => Promise<{ response: HttpResponse }>,
): Promise<{ response: HttpResponse }> {
  const deadline = new AbortController()
  let body: Readable | undefined
  const late = (): AnswerError =>
    new AnswerError("TimeoutError", `the whole answer did not come within ${requestMs} ms`)
  const timer = setTimeout(() => {
    deadline.abort()
    body?.destroy(late())
  }, requestMs)
  try {
    const { response } = await send(deadline.signal)
    body = response.body as Readable
    const keyExchange = keyExchangeOf((body as Readable & Pick<IncomingMessage, "socket">).socket)
    response.body = await bytesOf(body)
    return { response: Object.assign(response, { keyExchange }) }
  } catch (error) {
    throw deadline.signal.aborted ? late() : error
  } finally {
    clearTimeout(timer)
  }
}

/** By its events: iterating costs as much again as the rest of so small an answer. */
function bytesOf(body: Readable): Promise<Uint8Array> {
  const pieces: Buffer[] = []
  let length = 0
  return new Promise((resolve, reject) => {
    body.on("data", (piece: Buffer) => {
      length += piece.length
      if (length <= MOST_ANSWER_BYTES) pieces.push(piece)
      // closes the connection
      else body.destroy(new AnswerError("AnswerTooLarge", `it has more than ${MOST_ANSWER_BYTES} bytes`))
    })
    body.once("end", () => resolve(Uint8Array.from(Buffer.concat(pieces))))
    body.once("error", reject)
    body.once("close", () => reject(new Error("the answer broke off")))
  })
}

async function proxyAgents(
  proxy: URL,
  tls: { ca?: string; ecdhCurve?: string; minVersion?: "TLSv1.3" },
): Promise<{ httpAgent: HttpAgent; httpsAgent: HttpsAgent }> {
  const { HttpProxyAgent, HttpsProxyAgent } = await import("hpagent")
  return {
    httpAgent: new HttpProxyAgent({ ...SOCKETS, proxy }),
    httpsAgent: new HttpsProxyAgent({ ...SOCKETS, ...tls, proxy }),
  }
}
