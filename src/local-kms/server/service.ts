import { randomBytes } from "node:crypto"
import type { Caller } from "../access/caller.js"
import { requireAccess } from "../access/guard.js"
import { policyBook, type PolicyBook, type PolicyDocuments } from "../access/policy-book.js"
import type { Clock } from "../state/clock.js"
import { KmsError } from "../protocol/error.js"
import { createFaults, type Delivery, type Faults } from "./faults.js"
import type { Context } from "../operations/operation.js"
import { OPERATIONS, type OperationName } from "../operations/operations.js"
import { createQuotas, type Quotas } from "./quotas.js"
import { documented, recorded } from "../protocol/refusal.js"
import { createRequestLog, type RequestLog } from "./request-log.js"
import type { ServedRegions } from "../state/regions.js"
import type { Region, State } from "../state/state.js"
import type { Changes } from "../state/state-file.js"
import type { WrappingKeys } from "../crypto/wrapping-keys.js"

/** How one request ended, and how much of the answer the caller gets. */
export interface Outcome {
  readonly result: object | KmsError
  readonly delivery: Delivery
}

export interface Service {
  readonly state: State
  readonly regions: ServedRegions
  readonly clock: Clock
  readonly faults: Faults
  readonly quotas: Quotas
  readonly requests: RequestLog
  readonly policies: PolicyBook
  /** Milliseconds; both can be changed while it runs. */
  readonly settings: { lag: number; rotationTime: number; replicationTime: number }
  /** Runs one operation in a Region; `body` yields the parsed request or throws. */
  call: (region: Region, call: Call) => Promise<Outcome>
  /** Where the state is written down, if it is to be kept. */
  readonly changes: Changes
}

export interface ServiceOptions {
  readonly state: State
  readonly regions: ServedRegions
  readonly clock: Clock
  readonly rates: Readonly<Record<string, number>>
  readonly rotationTime: number
  readonly replicationTime: number
  readonly wrappingKeys: WrappingKeys
  readonly changes: Changes
  /** Of identities; null where policies are not enforced. */
  readonly policies: PolicyDocuments | null
}

interface Call {
  readonly caller: Caller
  readonly operation: OperationName
  readonly requestId: string
  readonly body: () => unknown
}

/** The service apart from HTTP. */
export function createService(options: ServiceOptions): Service {
  const { state, regions, clock, rates, rotationTime, replicationTime, wrappingKeys, changes } = options
  const faults = createFaults()
  const quotas = createQuotas(rates)
  const requests = createRequestLog()
  const policies = policyBook(options.policies)
  const settings = { lag: 0, rotationTime, replicationTime }

  const perform = async (region: Region, { operation: name, requestId, body: read, caller }: Call): Promise<object> => {
    const now = clock.now()
    if (!quotas.take(region.name, name, now)) throw recorded.throttled()
    const body = read()
    requireAccess(policies, { name, region, now, body, caller })
    const spend: Context["spend"] = (replicaRegion, spent, count) => quotas.take(replicaRegion.name, spent, now, count)
    const context = { state, region, regions, now, requestId, wrappingKeys, spend, changes, ...settings }
    return await OPERATIONS[name].run(context, body)
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
    regions,
    clock,
    faults,
    quotas,
    requests,
    policies,
    settings,
    changes,
    async call(region, call) {
      const { operation: name } = call
      requests.arrived(name, region.name)
      const { delay, effect, delivery, error } = faults.hit({
        operation: name,
        region: region.name,
        account: state.account,
      })
      if (delay > 0) await faults.hold(delay)
      const work = async (): Promise<object> => {
        const answer = effect ? await perform(region, call) : undefined
        if (error !== undefined) throw error
        if (answer === undefined) throw new KmsError("ConnectionDropped")
        return answer
      }
      return { result: await settle(name, work), delivery }
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
