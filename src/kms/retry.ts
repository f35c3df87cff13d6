import { randomInt } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { type Fault, faultOf, type NativeError } from "./fault.js"
import type { Turn } from "./line.js"

interface RetryRow {
  /** What is tried again. */
  readonly on: readonly Fault[]
}

const READ: RetryRow = { on: ["throttled", "unsent", "lost", "fault", "skewed"] }
/** Not repeated where it may have taken effect, since a second one would do something else. */
const ONCE: RetryRow = { on: ["throttled", "skewed"] }

/**
 * What each operation does about a request that failed: the only retry there is. The SDK's would also repeat a CreateKey
 * whose answer was lost (and so leave a second KMS key) and a LimitExceededException. A refusal
 * that passes, of a key made a moment ago, is for who made it to wait for (`app/kms-key/eventual.ts`).
 */
const RETRIES: Readonly<Record<string, RetryRow>> = {
  CreateKey: ONCE,
  // a second one is refused: AlreadyExistsException, though it may be the first one's replica
  ReplicateKey: ONCE,
  // a lost answer would come back as AlreadyExistsException: whoever asked looks where the alias points
  CreateAlias: ONCE,
  // a second one may find nothing to rotate to, or count against the 25 of the key's life
  RotateKeyOnDemand: ONCE,
  // a second one is refused: pending deletion
  ScheduleKeyDeletion: ONCE,
  // these set what is wanted, and may be said twice
  UpdateAlias: READ,
  EnableKey: READ,
  DisableKey: READ,
  TagResource: READ,
  UntagResource: READ,
  UpdateKeyDescription: READ,
  PutKeyPolicy: READ,
  DeleteImportedKeyMaterial: READ,
  // the same token and material again: KMS answers as it did the first time
  ImportKeyMaterial: READ,
}

/** NEW_KEY_MATERIAL a second time is refused as already associated, which must not be taken for a refusal of the first. */
const NEW_KEY_MATERIAL_IMPORT: RetryRow = ONCE

/** Attempts in all, and the wait before the second in milliseconds; it doubles from there, up to the cap. */
const PACES: Readonly<Record<"throttled" | "other", { readonly attempts: number; readonly baseMs: number }>> = {
  throttled: { attempts: 8, baseMs: 500 },
  other: { attempts: 3, baseMs: 100 },
}
const CAP_MS = 8_000
/** All attempts of a call together, in milliseconds. */
const PATIENCE_MS = 55_000

function rowOf(operation: string, input: object): RetryRow {
  if (operation === "ImportKeyMaterial" && "ImportType" in input && input.ImportType === "NEW_KEY_MATERIAL") {
    return NEW_KEY_MATERIAL_IMPORT
  }
  return RETRIES[operation] ?? READ
}

/** Whether a failure of this operation leaves open if KMS did it, with nothing in this layer to settle it. */
export function leavesOpen(operation: string, input: object, fault: Fault): boolean {
  const mayHaveTakenEffect = fault === "lost" || fault === "fault" || fault === "foreign"
  return mayHaveTakenEffect && !rowOf(operation, input).on.includes("lost")
}

/** Milliseconds before attempt `attempt` + 1, or null to give up; half of it is random so that callers spread. */
function waitBefore(next: {
  row: RetryRow
  attempt: number
  error: NativeError
  maxAttempts: number | null
  isLate: boolean
}): number | null {
  const { row, attempt, error, maxAttempts, isLate } = next
  const fault = faultOf(error)
  if (!row.on.includes(fault) || (isLate && fault !== "throttled")) return null
  const pace = PACES[fault === "throttled" ? "throttled" : "other"]
  if (attempt >= (maxAttempts ?? pace.attempts)) return null
  const full = Math.min(pace.baseMs * 2 ** (attempt - 1), CAP_MS)
  return full / 2 + randomInt(full / 2 + 1)
}

/** Asks for a turn to send a request of that operation; see `pacing.ts`. */
export type Pace = (operation: string) => Turn | Promise<Turn> | undefined

/** How often, and when, requests of a client are sent. */
export interface Attempts {
  /** Null for keyferry's own numbers. */
  readonly most: number | null
  readonly pace: Pace
  /** Deadline of one attempt, in milliseconds. */
  readonly requestMs: number
}

/**
 * Sends a request, and again as the operation's row says, each attempt at its turn. What may take longer than
 * {@link PATIENCE_MS} in all is not sent again, unless it was throttled: an endpoint that does not answer by the deadline
 * is not waited for three times.
 *
 * @param send is told which attempt it is, the first being 1
 */
export async function withRetries<T>(
  { operation, input }: { readonly operation: string; readonly input: object },
  { most, pace, requestMs }: Attempts,
  send: (attempt: number) => Promise<T>,
): Promise<T> {
  const row = rowOf(operation, input)
  const start = performance.now()
  for (let attempt = 1; ; attempt += 1) {
    const pending = pace(operation)
    const turn = pending instanceof Promise ? await pending : pending
    try {
      const answer = await send(attempt)
      turn?.answered()
      return answer
    } catch (error) {
      turn?.[faultOf(error as NativeError) === "throttled" ? "throttled" : "answered"]()
      const waitMs = waitBefore({
        row,
        attempt,
        error: error as NativeError,
        maxAttempts: most,
        isLate: performance.now() - start + requestMs > PATIENCE_MS,
      })
      if (waitMs === null) throw error
      await sleep(waitMs)
    }
  }
}
