import { getRequestListener } from "@hono/node-server"
import { type Context, Hono, type Next } from "hono"
import { createHash, timingSafeEqual } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { KeyferryError } from "../core/base/error.js"
import type { AgentAuth, ListenAddress } from "../core/manifest/agent-settings.js"
import type { Metrics } from "./metrics.js"
import { pages, type PagesParts } from "./pages.js"
import { refusalOf, refuse } from "./refusal.js"
import { readiness } from "./view.js"

export interface ServerParts extends PagesParts {
  readonly listen: ListenAddress
  readonly auth: AgentAuth | null
  readonly metrics: Metrics
}

export interface AgentServer extends AsyncDisposable {
  /** Where it listens, with the port that it has. */
  readonly url: string
}

/** Of a request: what is longer, slower or more at one time is refused. */
const LIMITS = {
  headerBytes: 8192,
  headersMs: 5_000,
  requestMs: 10_000,
  /** Nothing goes either way, as where nobody reads the answer; longer than between two signs of life of `/events`. */
  silentMs: 60_000,
  connections: 256,
  /** How often it is looked whether time is up. */
  lookMs: 1_000,
} as const

/** Nothing is loaded from elsewhere, framed, or sent on. */
const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "X-Frame-Options": "DENY",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
} as const

/**
 * Serves health, metrics and the dashboard: read-only, and to this machine alone unless `auth` says who else.
 *
 * @throws ERR_CONFIG_INVALID where it cannot listen there, or a file of `auth` cannot be used
 */
export async function startServer(parts: ServerParts): Promise<AgentServer> {
  const { listen, auth, metrics, view } = parts
  if (auth?.kind === "bearer") bearerToken(auth.bearerTokenFile)
  const app = new Hono()
  app.use(async (context, next) => {
    // beforehand: an answer that is changed afterwards is copied
    for (const [name, text] of Object.entries(HEADERS)) context.header(name, text)
    await next()
  })
  // whoever restarts a container asks without a token, and learns nothing
  app.get("/healthz", (context) => context.text("ok\n"))
  if (auth?.kind === "bearer") app.use(bearerOnly(auth.bearerTokenFile))
  app.get("/readyz", (context) => {
    const { ready, facts } = readiness(view())
    return context.json(facts, ready ? 200 : 503)
  })
  app.get("/metrics", async (context) => {
    context.header("Content-Type", metrics.contentType)
    return context.body(await metrics.body())
  })
  app.route("/", pages(parts))
  app.notFound((context) => context.text("no such page\n", 404))
  app.onError((_, context) => context.text("keyferry could not make this page\n", 500))

  const options = { maxHeaderSize: LIMITS.headerBytes, connectionsCheckingInterval: LIMITS.lookMs }
  const listener = getRequestListener(app.fetch)
  const handle: RequestListener = (request, response) => {
    const refusal = refusalOf(request, listen)
    if (refusal === null) void listener(request, response)
    else refuse(response, refusal, HEADERS)
  }
  const server = auth?.kind === "tls" ? tlsServer(auth, options, handle) : createServer(options, handle)
  server.headersTimeout = LIMITS.headersMs
  server.requestTimeout = LIMITS.requestMs
  server.timeout = LIMITS.silentMs
  server.maxConnections = LIMITS.connections
  await listening(server, listen)
  const { port } = server.address() as AddressInfo
  const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host
  return {
    url: `${auth?.kind === "tls" ? "https" : "http"}://${host}:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The file is read at each request, so that a token can be changed while the agent runs. */
function bearerOnly(file: string) {
  return async (context: Context, next: Next) => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(context.req.header("authorization") ?? "") ?? []
    if (token !== undefined && isSame(token, bearerToken(file))) {
      await next()
      return undefined
    }
    context.header("WWW-Authenticate", 'Bearer realm="keyferry"')
    return context.text("a bearer token is wanted\n", 401)
  }
}

const SHORTEST_TOKEN = 16

/** @throws ERR_CONFIG_INVALID */
function bearerToken(file: string): string {
  const token = read(file).toString("utf8").trim()
  if (token.length >= SHORTEST_TOKEN) return token
  throw new KeyferryError("ERR_CONFIG_INVALID", `${file}: the bearer token has fewer than ${SHORTEST_TOKEN} characters`)
}

/** In a time that does not depend on where they differ. */
function isSame(token: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
  return timingSafeEqual(digest(token), digest(expected))
}

/** @throws ERR_CONFIG_INVALID where a file is not there, or is not what it is to be */
function tlsServer(
  { certFile, keyFile, clientCaFile }: Extract<AgentAuth, { readonly kind: "tls" }>,
  options: ServerOptions,
  handle: RequestListener,
): Server {
  const files = { cert: read(certFile), key: read(keyFile), ca: read(clientCaFile) }
  const clients = {
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    handshakeTimeout: LIMITS.headersMs,
  } as const
  try {
    return createTlsServer({ ...options, ...files, ...clients }, handle)
  } catch (cause) {
    throw new KeyferryError("ERR_CONFIG_INVALID", "the files of agent.auth.tls cannot be used together", {
      cause,
      causes: [{ code: "TLS", message: cause instanceof Error ? cause.message : String(cause) }],
      hint: "certFile and keyFile are a certificate and its own private key, clientCaFile a certificate, each PEM",
    })
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new KeyferryError("ERR_CONFIG_INVALID", `${file} of agent.auth cannot be read`, { cause })
  }
}

function listening(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        new KeyferryError("ERR_CONFIG_INVALID", `the agent cannot listen on ${host}:${port}`, {
          cause,
          causes: [{ code: cause.code ?? "", message: cause.message }],
          hint: "another process may have the port: name another in agent.listen",
        }),
      )
    })
    server.listen(port, host, resolve)
  })
}
