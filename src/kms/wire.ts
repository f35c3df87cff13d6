import { randomUUID } from "node:crypto"
import { type HttpHandler, HttpRequest, type HttpResponse } from "@smithy/core/protocols"
import type { HttpRequest as SignedRequest, RequestSigner } from "@smithy/types"
import type { NativeError } from "./fault.js"
import { ownAnswer } from "./own-answer.js"
import { type Attempts, withRetries } from "./retry.js"

/** The fields of an answer as they came, and how it came. */
export interface WireAnswer {
  readonly $metadata: {
    readonly requestId?: string
    readonly attempts?: number
    /** The group of TLS by which the connection's keys were agreed on; null where it is not known. */
    readonly keyExchange?: string | null
  }
}

/** Sends one request of KMS. @throws NativeError */
export type Send = (operation: string, input: object) => Promise<WireAnswer>

interface Wire {
  /** Of the endpoint. */
  readonly url: () => URL
  readonly signer: () => Promise<RequestSigner>
  readonly handler: HttpHandler
  readonly attempts: Attempts
  /** The one group of TLS that is offered to KMS, which some versions of Node.js do not name; null where several are. */
  readonly requiredGroup?: string | null
  /** Called with the Date of each answer of KMS. */
  readonly onTime: (date: Date) => void
  /** Asked right before each attempt of a request that changes something, after all waiting: what it throws keeps it from being sent. */
  readonly beforeChange?: (() => Promise<void>) | undefined
}

/** Operations that change nothing; {@link Wire.beforeChange} is asked before all others. */
const LOOKING = /^(Describe|Get|List|Sign|Verify)/

/** From here on AWS may refuse a signature for its time. */
const SKEW_MS = 300_000
// eslint-disable-next-line no-restricted-syntax -- what KMS says is wrong with it is set right below
const hostTime = (): number => Date.now()
const USER_AGENT = `keyferry nodejs/${process.versions.node}`

/**
 * KMS' own protocol, AWS JSON 1.1: a POST for each operation, signed (SigV4) by the SDK. The SDK's own middleware around
 * that takes longer than all the rest of a request (docs/performance.md), and what it would do is done here anyway: retries
 * (retry.ts), what may answer (own-answer.ts), and what an answer has to hold (answer.ts).
 */
export function openWire({
  url,
  signer: openSigner,
  handler,
  attempts,
  requiredGroup = null,
  onTime,
  beforeChange,
}: Wire): Send {
  let endpoint: URL | undefined
  let opening: Promise<RequestSigner> | undefined
  /** By how much AWS' clock is ahead of this host's, where that matters for a signature. */
  let offsetMs = 0

  /** Whether the host's clock was taken for right, and is not. */
  const learn = (date: Date): boolean => {
    onTime(date)
    const seenMs = date.getTime() - hostTime()
    const isSkewed = Math.abs(seenMs - offsetMs) >= SKEW_MS
    if (isSkewed) offsetMs = seenMs
    return isSkewed
  }

  const answerTo = async (request: SignedRequest, attempt: number): Promise<WireAnswer> => {
    const response = await sent(handler, request)
    const { text, date, json } = ownAnswer(response)
    const isSkewed = date !== null && learn(date)
    const requestId = response.headers["x-amzn-requestid"] ?? ""
    const isWell = response.statusCode < 300 && (json !== null || text.trim() === "")
    if (isWell)
      return {
        ...(text.includes("null") ? withoutNulls(json) : json),
        $metadata: { requestId, attempts: attempt, keyExchange: requiredGroup ?? keyExchangeIn(response) },
      }
    const skew = isSkewed ? { clockSkewCorrected: true } : {}
    throw errorIn(response, json, { requestId, attempts: attempt, httpStatusCode: response.statusCode, ...skew })
  }

  return async (operation, input) => {
    endpoint ??= url()
    const { protocol, hostname, port, host, pathname } = endpoint
    const body = JSON.stringify(input, asJson)
    const unsigned = {
      protocol,
      hostname,
      ...(port === "" ? {} : { port: Number(port) }),
      method: "POST",
      path: pathname.replace(/\/?$/, "/"),
      body,
    }
    const headers = {
      host,
      "content-type": "application/x-amz-json-1.1",
      "content-length": String(Buffer.byteLength(body)),
      "x-amz-target": `TrentService.${operation}`,
      "amz-sdk-invocation-id": randomUUID(),
      "user-agent": USER_AGENT,
    }
    return await withRetries({ operation, input }, attempts, async (attempt) => {
      const signer = await (opening ??= openSigner())
      const request = new HttpRequest({
        ...unsigned,
        headers: { ...headers, "amz-sdk-request": `attempt=${attempt}` },
      })
      const signed = await signer.sign(request, { signingDate: new Date(hostTime() + offsetMs) })
      if (!LOOKING.test(operation)) await beforeChange?.()
      return await answerTo(signed, attempt)
    })
  }
}

const keyExchangeIn = (response: HttpResponse & { readonly keyExchange?: string | null }): string | null =>
  response.keyExchange ?? null

/** Bytes as base64, and times as seconds; a Date has become text by the time it is given as the value. */
function asJson(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const field = this[key]
  if (field instanceof Uint8Array) return Buffer.from(field).toString("base64")
  return field instanceof Date ? field.getTime() / 1000 : value
}

/** What is thrown before it, such as for want of credentials, was never sent; this broke on the way there or back. */
async function sent(handler: HttpHandler, request: SignedRequest): Promise<HttpResponse> {
  try {
    return (await handler.handle(new HttpRequest(request))).response
  } catch (error) {
    if (typeof error === "object" && error !== null) (error as { sent?: boolean }).sent = true
    throw error
  }
}

/** A member that is null says as much as one that is not there. */
function withoutNulls(json: unknown): object {
  const clean = (part: unknown): unknown =>
    Array.isArray(part) ? part.map(clean) : typeof part === "object" && part !== null ? withoutNulls(part) : part
  const members = Object.entries(json ?? {})
  return Object.fromEntries(members.flatMap(([name, part]) => (part === null ? [] : [[name, clean(part)]])))
}

/** A refusal by its name in AWS' words; of an answer that went well by its status, that it is none. */
function errorIn(
  { headers }: HttpResponse,
  json: Readonly<Record<string, unknown>> | null,
  $metadata: NonNullable<NativeError["$metadata"]> & WireAnswer["$metadata"],
): Error {
  const names = [headers["x-amzn-errortype"], json?.["__type"], json?.["code"], json?.["Code"]]
  const name = names
    .find((text) => typeof text === "string")
    ?.split(/[,:]/)[0]
    ?.replace(/^.*#/, "")
  const words = [json?.["message"], json?.["Message"]].find((text) => typeof text === "string") ?? ""
  return Object.assign(new Error(words), { name: name ?? "SyntaxError", $metadata })
}
