import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import type { Clock } from "./clock.js"
import { KmsError } from "./error.js"
import { createFaults, type Faults } from "./faults.js"
import { OPERATIONS, type OperationName } from "./operations.js"
import { createQuotas, type Quotas } from "./quotas.js"
import { documented, recorded } from "./refusal.js"
import { createRequestLog, type RequestLog } from "./requests.js"
import type { Region, State } from "./state.js"
import type { WrappingKeys } from "./wrapping-keys.js"

/** How one request ended; `drop` closes the connection instead of answering. */
export interface Outcome {
  readonly result: object | KmsError
  readonly drop: boolean
}

export interface Service {
  readonly state: State
  readonly clock: Clock
  readonly faults: Faults
  readonly quotas: Quotas
  readonly requests: RequestLog
  /** Milliseconds; both can be changed while it runs. */
  readonly settings: { lag: number; rotationTime: number }
  /** Runs one operation in a Region; `body` yields the parsed request or throws. */
  call: (region: Region, operation: OperationName, body: () => unknown) => Promise<Outcome>
  /** Writes the state down, if it is to be kept. */
  save: () => void
}

export interface ServiceOptions {
  readonly state: State
  readonly clock: Clock
  readonly rates: Readonly<Record<string, number>>
  readonly rotationTime: number
  readonly wrappingKeys: WrappingKeys
  readonly save: () => void
}

/** The service apart from HTTP. */
export function createService({ state, clock, rates, rotationTime, wrappingKeys, save }: ServiceOptions): Service {
  const faults = createFaults()
  const quotas = createQuotas(rates)
  const requests = createRequestLog()
  const settings = { lag: 0, rotationTime }

  const perform = async (region: Region, name: OperationName, body: () => unknown): Promise<object> => {
    if (!quotas.take(region.name, name, clock.now())) throw recorded.throttled()
    const operation = OPERATIONS[name]
    const context = { state, region, now: clock.now(), wrappingKeys, ...settings }
    const answer = await operation.run(context, body())
    if (operation.mutates) save()
    return answer
  }

  const settle = async (name: string, work: () => Promise<object>): Promise<object | KmsError> => {
    try {
      const answer = await work()
      requests.succeeded(name)
      return answer
    } catch (error) {
      const refusal = error instanceof KmsError ? error : unexpected(error)
      requests.failed(name, refusal.name)
      return refusal
    }
  }

  return {
    state,
    clock,
    faults,
    quotas,
    requests,
    settings,
    save,
    async call(region, name, body) {
      requests.arrived(name)
      const { delay, effect, drop, error } = faults.hit(name, state.account)
      if (delay > 0) await sleep(delay)
      const work = (): Promise<object> => {
        if (effect) return perform(region, name, body)
        return Promise.reject(error ?? new KmsError("ConnectionDropped"))
      }
      return { result: await settle(name, work), drop }
    },
  }
}

/** A bug here must be seen in the test that hit it, not look like a refusal. */
function unexpected(error: unknown): KmsError {
  process.stderr.write(
    `keyferry local-kms: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  const { name } = documented.internal()
  return new KmsError(name, "the local KMS failed; its standard error says where")
}

export const newSecret = (): string => randomBytes(32).toString("hex")
