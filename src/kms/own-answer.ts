import type { HttpResponse } from "@smithy/core/protocols"
import type { Pluggable } from "@smithy/types"
import { NOT_JSON, readJson } from "../core/base/json.js"
import type { NativeError } from "./fault.js"

/** What answered is not AWS: a proxy, a gateway or a portal on the way. Whether AWS got the request is not known. */
class ForeignAnswer extends Error implements NativeError {
  override readonly name = "ForeignAnswer"
  readonly foreign = true
  readonly $metadata: { readonly httpStatusCode: number }

  constructor(status: number, answerText: string) {
    super(`HTTP status ${status}, and what came ${answerText}`)
    this.$metadata = { httpStatusCode: status }
  }
}

/** An answer of AWS: its text, and that as an object, where it is one of JSON. */
interface OwnAnswer {
  readonly text: string
  readonly json: Readonly<Record<string, unknown>> | null
  /** Null for a refusal without one. */
  readonly date: Date | null
}

/**
 * Holds an answer against what every answer of AWS has: a request ID; a Date; and, where it is a refusal, the name of an
 * error. Anything else says nothing of whether AWS did what was asked, not even by its Date (RFC 9110 section 6.6.1).
 *
 * @throws an error that is `foreign`
 */
export function ownAnswer(response: HttpResponse): OwnAnswer {
  const text = Buffer.from(response.body as Uint8Array).toString("utf8")
  const read = text.trimStart().startsWith("{") ? readJson(text) : null
  const json = read !== null && "content" in read ? (read.content as OwnAnswer["json"]) : null
  const date = dateOf(response)
  if (!isOwn(response, { text, json, date })) throw new ForeignAnswer(response.statusCode, "is no answer of AWS")
  // a parser takes the last of a name
  if (read !== null && "fault" in read && read.fault !== NOT_JSON) {
    throw new ForeignAnswer(response.statusCode, read.fault)
  }
  return { text, json, date }
}

/** The same for a client of the SDK. */
export const OWN_ANSWERS_ONLY: Pluggable<object, { $metadata: object }> = {
  applyToStack(stack) {
    stack.add(
      (next) => async (args) => {
        const result = await next(args)
        ownAnswer(result.response as HttpResponse)
        return result
      },
      // the innermost of its step, so that it sees answers before they are read
      { step: "deserialize", priority: "low", name: "ownAnswersOnly" },
    )
  },
}

function dateOf({ headers }: HttpResponse): Date | null {
  const date = new Date(headers["date"] ?? NaN)
  return Number.isNaN(date.getTime()) ? null : date
}

function isOwn({ statusCode, headers }: HttpResponse, { text, json, date }: OwnAnswer): boolean {
  if (headers["x-amzn-requestid"] === undefined) return false
  // nothing, an object of JSON, or the XML of STS: what is neither would be read as an answer without fields
  // without AWS' time all would be reckoned by this host's clock (invariant I11)
  if (statusCode < 300) return date !== null && /^\s*($|[{<])/.test(text)
  // AWS redirects nobody
  if (statusCode < 400) return false
  return headers["x-amzn-errortype"] !== undefined || namesError(text, json)
}

/** JSON with the name of an error, as KMS answers, or XML with one, as STS does. */
function namesError(text: string, json: OwnAnswer["json"]): boolean {
  if (json === null) return /<Code>[A-Za-z.]+<\/Code>/.test(text)
  return ["__type", "code", "Code"].some((field) => typeof json[field] === "string")
}
