import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { callerOf } from "../access/caller.js"
import { callAdmin } from "./admin.js"
import { readAuthorization } from "../protocol/authorization.js"
import { KmsError } from "../protocol/error.js"
import { type LocalKmsOptions, openService } from "./options.js"
import { documented } from "../protocol/refusal.js"
import { isMissing, isOperation } from "../operations/operations.js"
import type { Service } from "./service.js"
import type { ServedRegions } from "../state/regions.js"
import { callSts, stsError } from "../operations/sts.js"
import { CONTENT_TYPE, errorToWire, toWire } from "../protocol/wire.js"

/** A running local KMS. */
export interface LocalKms {
  readonly url: string
  /** The one line to print on standard output once it listens. */
  readonly ready: string
  /** Lines for standard error. */
  readonly warnings: readonly string[]
  close(): Promise<void>
}

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
  /** Half of the body is sent, then the connection closes. */
  readonly cut?: boolean
}

/** Undefined closes the connection without an answer. */
type Handled = Reply | undefined

const MAX_BODY = 1024 * 1024
const KEEP_ALIVE = 600_000
const TARGET = "TrentService."

/** Starts the local KMS; resolves when it listens. @throws OptionError, StateFileError */
export async function startLocalKms(options: LocalKmsOptions = {}): Promise<LocalKms> {
  const { service, warnings } = await openService(options)
  const server = createServer((request, response) => {
    void respond(service, request, response)
  })
  // clients keep connections longer than Node.js' five seconds, and would now and then meet one that is just closing
  server.keepAliveTimeout = KEEP_ALIVE
  const listen = options.listen ?? "127.0.0.1"
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(options.port ?? 0, listen, resolve)
  })
  const { port } = server.address() as AddressInfo
  const url = `http://${listen.includes(":") ? `[${listen}]` : listen}:${port}`
  return {
    url,
    ready: `keyferry local-kms listening on ${url} (for tests; ${regionsText(service.regions)})`,
    warnings,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const regionsText = ({ names }: ServedRegions): string =>
  names === null ? "any Region" : `regions ${names.join(", ")}`

async function respond(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const requestId = randomUUID()
  try {
    const body = await readBody(request)
    const reply = await handle(service, { request, body, requestId })
    if (reply === undefined) {
      request.socket.destroy()
      return
    }
    response.writeHead(reply.status, {
      "content-type": reply.type,
      "x-amzn-requestid": requestId,
      // the service's time, not the machine's: clients learn it from here
      date: new Date(service.clock.now()).toUTCString(),
      "content-length": Buffer.byteLength(reply.body),
    })
    if (reply.cut === true) response.write(reply.body.slice(0, reply.body.length / 2), () => request.socket.destroy())
    else response.end(reply.body)
  } catch {
    // the client went away, or sent more than anything here can need
    request.socket.destroy()
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length
    if (length > MAX_BODY) throw new Error("body too large")
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString("utf8")
}

interface Received {
  readonly request: IncomingMessage
  readonly body: string
  readonly requestId: string
}

async function handle(service: Service, received: Received): Promise<Handled> {
  const { request, body, requestId } = received
  if (request.method === "GET" && pathOf(request) === "/health") return json(200, { status: "ok" })
  if (pathOf(request).startsWith("/_admin/")) return admin(service, received)
  if (request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true) {
    return sts(service, received)
  }
  try {
    const { region, operation, accessKeyId } = route(service.regions, request)
    const caller = callerOf({ accessKeyId, sessionToken: sessionTokenOf(request), account: service.state.account })
    const call = { operation, requestId, caller, body: () => parseBody(body) }
    const { result, delivery } = await service.call(region, call)
    if (delivery === "none") return undefined
    if (result instanceof KmsError) throw result
    return { status: 200, type: CONTENT_TYPE, body: toWire(result), cut: delivery === "cut" }
  } catch (error) {
    if (!(error instanceof KmsError)) throw error
    return { status: error.status, type: CONTENT_TYPE, body: errorToWire(error) }
  }
}

const pathOf = (request: IncomingMessage): string => request.url ?? "/"

function parseBody(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new KmsError("SerializationException", "the request is not JSON")
  }
}

/** Which operation is asked for, in which Region. */
function route(regions: ServedRegions, request: IncomingMessage) {
  const target = request.headers["x-amz-target"]
  const operation = typeof target === "string" && target.startsWith(TARGET) ? target.slice(TARGET.length) : ""
  const isCall =
    request.method === "POST" && pathOf(request) === "/" && request.headers["content-type"] === CONTENT_TYPE
  if (isCall && isMissing(operation)) throw documented.unsupported(`the local KMS has no ${operation}`)
  if (!isCall || !isOperation(operation)) throw new KmsError("UnknownOperationException")
  const caller = readAuthorization(request.headers.authorization)
  if (caller.service !== "kms") {
    throw new KmsError("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'.")
  }
  const region = regions.get(caller.region)
  if (region === undefined) {
    throw new KmsError("InvalidSignatureException", "Credential should be scoped to a valid region.")
  }
  return { region, operation, accessKeyId: caller.accessKeyId }
}

function sessionTokenOf({ headers }: IncomingMessage): string | undefined {
  const header = headers["x-amz-security-token"]
  return typeof header === "string" ? header : undefined
}

function sts(service: Service, { request, body, requestId }: Received): Reply {
  try {
    const { accessKeyId } = readAuthorization(request.headers.authorization)
    const { account } = service.state
    const caller = callerOf({ accessKeyId, sessionToken: sessionTokenOf(request), account })
    const now = service.clock.now()
    const xml = callSts({ form: new URLSearchParams(body), account, caller, now }, requestId)
    return { status: 200, type: "text/xml", body: xml }
  } catch (error) {
    if (!(error instanceof KmsError)) throw error
    return { status: error.status, type: "text/xml", body: stsError(error, requestId) }
  }
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

const json = (status: number, answer: object): Reply => ({
  status,
  type: "application/json",
  body: `${JSON.stringify(answer)}\n`,
})

function admin(service: Service, { request, body }: Received): Reply {
  if (!LOOPBACK.test(request.socket.remoteAddress ?? "")) return json(403, { error: "only from this machine" })
  // a web page in a browser of this machine comes from it too, by a name of its own or with its origin
  const { host = "", origin } = request.headers
  if (!LOOPBACK_HOST.test(host)) return json(403, { error: `only for localhost, not for ${host}` })
  if (origin !== undefined) return json(403, { error: "not for web pages" })
  try {
    return json(200, callAdmin(service, `${request.method ?? "GET"} ${pathOf(request)}`, body))
  } catch (error) {
    if (!(error instanceof KmsError)) throw error
    return json(error.status, { error: error.message })
  }
}
