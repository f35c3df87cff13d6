import type { HttpResponse } from "@smithy/core/protocols"
import type { Pluggable } from "@smithy/types"
import { NOT_JSON, readJson } from "../core/base/json.js"
import type { NativeError } from "./fault.js"

/** What answered is not AWS: a proxy, a gateway or a portal on the way. Whether AWS got the request is not known. */
class ForeignAnswer extends Error implements NativeError {
  override readonly name = "ForeignAnswer"
  readonly foreign = true
  readonly $metadata: { readonly httpStatusCode: number }

  constructor(status: number, what: string) {
    super(`HTTP status ${status}, and what came ${what}`)
    this.$metadata = { httpStatusCode: status }
  }
}

/**
 * Holds each answer against what every answer of AWS has: a request ID; a Date; and, where it is a refusal, the name of an error.
 * Anything else says nothing of whether AWS did what was asked. `onTime` gets the Date of AWS' own answers alone
 * (RFC 9110 section 6.6.1): others have one too.
 */
export function ownAnswersOnly(onTime: (date: Date) => void): Pluggable<object, { $metadata: object }> {
  return {
    applyToStack(stack) {
      stack.add(
        (next) => async (args) => {
          let result
          try {
            result = await next(args)
          } catch (error) {
            // it broke on the way there or back: what is thrown before, such as for want of credentials, was never sent
            if (typeof error === "object" && error !== null) (error as { sent?: boolean }).sent = true
            throw error
          }
          const response = result.response as HttpResponse
          if (!isOwn(response)) throw new ForeignAnswer(response.statusCode, "is no answer of AWS")
          const twice = memberTwice(response)
          if (twice !== null) throw new ForeignAnswer(response.statusCode, twice)
          const date = dateOf(response)
          if (date !== null) onTime(date)
          return result
        },
        // the innermost of its step, so that it sees answers before they are read
        { step: "deserialize", priority: "low", name: "ownAnswersOnly" },
      )
    },
  }
}

function dateOf({ headers }: HttpResponse): Date | null {
  const date = new Date(headers["date"] ?? NaN)
  return Number.isNaN(date.getTime()) ? null : date
}

function isOwn(response: HttpResponse): boolean {
  const { statusCode, headers } = response
  if (headers["x-amzn-requestid"] === undefined) return false
  const text = Buffer.from(response.body as Uint8Array).toString("utf8")
  // nothing, an object of JSON, or the XML of STS: what is neither would be read as an answer without fields
  // without AWS' time all would be reckoned by this host's clock (invariant I11)
  if (statusCode < 300) return dateOf(response) !== null && /^\s*($|[{<])/.test(text)
  // AWS redirects nobody
  if (statusCode < 400) return false
  return headers["x-amzn-errortype"] !== undefined || namesError(text)
}

/** What the parser of the SDK would pass over: it takes the last of a name. Null for XML, and for what is not JSON. */
function memberTwice({ body }: HttpResponse): string | null {
  const text = Buffer.from(body as Uint8Array).toString("utf8")
  const json = text.trimStart().startsWith("{") ? readJson(text) : null
  return json !== null && "fault" in json && json.fault !== NOT_JSON ? json.fault : null
}

/** JSON with the name of an error, as KMS answers, or XML with one, as STS does. */
function namesError(text: string): boolean {
  if (/<Code>[A-Za-z.]+<\/Code>/.test(text)) return true
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== "object" || parsed === null) return false
    return ["__type", "code", "Code"].some((field) => typeof (parsed as Record<string, unknown>)[field] === "string")
  } catch {
    return false
  }
}
