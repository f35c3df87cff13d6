import type { z } from "zod"
import { type ErrorCode, KeyferryError } from "../core/base/error.js"
import { parseKeyArn } from "../core/key/key-arn.js"
import { faultIn } from "./answer.js"
import { translate } from "./error.js"
import type { NativeError } from "./fault.js"
import { leavesOpen } from "./retry.js"
import type { Send, WireAnswer } from "./wire.js"

/** One API call that was answered or failed, for the log. */
export interface KmsCall {
  readonly operation: string
  readonly durationMs: number
  readonly requestId: string | null
  readonly attempts: number | null
  /** The AWS error name, or null. */
  readonly error: string | null
}

interface CallRequest<Answer> {
  readonly operation: string
  readonly input: object
  /** Key ID, ARN or alias: what errors are about, and what the answer has to be about. */
  readonly keyId?: string
  /** What every answer of the operation passes. */
  readonly answer: z.ZodType<Answer>
  /** What else contradicts the request, in words; null where nothing does. */
  readonly contradiction?: (answer: Answer) => string | null
}

/**
 * Sends a request, of KMS or as `run` does: its error translated, its answer held against schema and request, its duration and request ID told to
 * the log.
 *
 * @throws ERR_KMS_ANSWER for an answer that cannot be, exit status 69, or contradicts what was asked, 76;
 *   ERR_KMS_OUTCOME_UNKNOWN where the operation cannot be sent again; what {@link translate} makes of an error
 */
export type Caller = <Answer>(
  request: CallRequest<Answer>,
  run?: () => Promise<WireAnswer>,
) => Promise<{ readonly answer: Answer; readonly requestId: string | null; readonly keyExchange: string | null }>

export function caller(send: Send, onCall: ((call: KmsCall) => void) | undefined): Caller {
  return async (request, run) => {
    const start = performance.now()
    const report = (metadata: Partial<WireAnswer["$metadata"]>, error: string | null): void =>
      onCall?.({
        operation: request.operation,
        durationMs: Math.round(performance.now() - start),
        requestId: metadata.requestId ?? null,
        attempts: metadata.attempts ?? null,
        error,
      })
    let output: WireAnswer
    try {
      output = await (run?.() ?? send(request.operation, request.input))
    } catch (error) {
      report((error as NativeError).$metadata ?? {}, (error as NativeError).name ?? "Error")
      throw translate(error, request)
    }
    const { requestId, keyExchange = null } = output.$metadata
    try {
      const answer = believable(request, output)
      report(output.$metadata, null)
      return { answer, requestId: requestId ?? null, keyExchange }
    } catch (error) {
      report(output.$metadata, "ERR_KMS_ANSWER")
      throw error
    }
  }
}

function believable<Answer>(request: CallRequest<Answer>, output: WireAnswer): Answer {
  const { operation, input, keyId, answer: schema, contradiction } = request
  const about = keyId === undefined ? {} : { key: keyId }
  const { success, data, error } = schema.safeParse(output)
  if (!success) {
    // nothing was read, so what was done is not known
    const code: ErrorCode = leavesOpen(operation, input, "lost") ? "ERR_KMS_OUTCOME_UNKNOWN" : "ERR_KMS_ANSWER"
    throw new KeyferryError(code, `${operation}: the answer is none of KMS: ${faultIn(error)}`, about)
  }
  const contradicts = contradiction?.(data) ?? null
  if (contradicts === null) return data
  throw new KeyferryError("ERR_KMS_ANSWER", `${operation}: the answer ${contradicts}`, { ...about, exit: "PROOF" })
}

/** What an answer about another key than the one that was asked for contradicts; an alias can name any. */
export function ofOtherKey(answered: string | undefined, requested: string): string | null {
  if (answered === undefined || requested.includes("alias/")) return null
  const idOf = (key: string): string => parseKeyArn(key)?.keyId ?? key
  const bothArns = answered.startsWith("arn:") && requested.startsWith("arn:")
  const isSame = bothArns ? answered === requested : idOf(answered) === idOf(requested)
  return isSame ? null : `is about ${answered}`
}

/** What an answer that is to repeat a field of the request contradicts; one that leaves it out says nothing. */
export function otherThan(field: string, answered: string | undefined, requested: string): string | null {
  return answered === undefined || answered === requested ? null : `has the ${field} ${answered}, not ${requested}`
}
