import { setTimeout as sleep } from "node:timers/promises"
import { KmsError } from "../protocol/error.js"
import { documented, recorded } from "../protocol/refusal.js"

/** How much of its answer the caller gets before the connection closes. */
export type Delivery = "whole" | "cut" | "none"

/** What faults know of a request. */
export interface FaultedRequest {
  readonly operation: string
  readonly region: string
  readonly account: string
}

/** What a fault does to a request that it hits. */
interface FaultRow {
  /** Whether the operation still takes effect, unless the fault says otherwise. */
  readonly effect: boolean
  readonly delivery: Delivery
  readonly error?: (request: FaultedRequest, fault: Fault) => KmsError
}

const FAULT_KINDS = {
  throttle: { effect: false, delivery: "whole", error: recorded.throttled },
  internal: { effect: false, delivery: "whole", error: documented.internal },
  "dependency-timeout": { effect: false, delivery: "whole", error: documented.dependencyTimeout },
  unavailable: { effect: false, delivery: "whole", error: documented.unavailable },
  "access-denied": {
    effect: false,
    delivery: "whole",
    error: ({ operation, account }) => documented.accessDenied(operation, account),
  },
  error: {
    effect: false,
    delivery: "whole",
    error: (_request, { name = "KMSInternalException", message, status }) => new KmsError(name, message, status),
  },
  "drop-before": { effect: false, delivery: "none" },
  "drop-after": { effect: true, delivery: "none" },
  "cut-after": { effect: true, delivery: "cut" },
  delay: { effect: true, delivery: "whole" },
} as const satisfies Record<string, FaultRow>

export type FaultKind = keyof typeof FAULT_KINDS

export const FAULT_KIND_NAMES = Object.keys(FAULT_KINDS) as readonly FaultKind[]

export interface FaultOptions {
  readonly kind: FaultKind
  /** Name of an operation, or `*` for every one. */
  readonly operation: string
  /** Only requests to this Region; all without it. */
  readonly region?: string | undefined
  /** How many requests it hits before it is spent. */
  readonly count: number
  /** How many matching requests it lets pass first. */
  readonly skip: number
  /** For `delay`: how long, by the machine's clock. */
  readonly milliseconds?: number | undefined
  /** For `error`: what goes onto the wire. */
  readonly name?: string | undefined
  readonly message?: string | undefined
  readonly status?: number | undefined
  /** For the kinds that answer with an error: whether the operation takes effect first. */
  readonly effect?: boolean | undefined
}

export interface Fault extends FaultOptions {
  readonly id: number
}

/** What hits one request. */
export interface Hit {
  readonly delay: number
  readonly effect: boolean
  readonly delivery: Delivery
  readonly error: KmsError | undefined
}

export interface Faults {
  add: (options: FaultOptions) => Fault
  list: () => readonly Fault[]
  /** Drops all faults; requests that a delay holds go on at once. */
  clear: () => void
  /** Ends after so many milliseconds of the machine's clock, or when the faults are cleared. */
  hold: (milliseconds: number) => Promise<void>
  /** Counts a request against every fault that matches it; of those that hit, delays add up and the first other one acts. */
  hit: (request: FaultedRequest) => Hit
}

export function createFaults(): Faults {
  let faults: readonly Fault[] = []
  let nextId = 1
  let cleared = new AbortController()

  /** Spends one request of the fault: either lets it pass or is hit by it. */
  const spend = (fault: Fault): { readonly after: Fault; readonly hits: boolean } =>
    fault.skip > 0
      ? { after: { ...fault, skip: fault.skip - 1 }, hits: false }
      : { after: { ...fault, count: fault.count - 1 }, hits: true }

  return {
    add(options) {
      const fault = { ...options, id: nextId++ }
      faults = [...faults, fault]
      return fault
    },
    list: () => faults,
    clear: () => {
      faults = []
      cleared.abort()
      cleared = new AbortController()
    },
    hold: async (milliseconds) => {
      await sleep(milliseconds, undefined, { signal: cleared.signal }).catch(() => undefined)
    },
    hit(request) {
      let acting: Fault | undefined
      let delay = 0
      const remaining: Fault[] = []
      for (const fault of faults) {
        const matches = isFor(fault, request)
        const isDelay = fault.kind === "delay"
        // a second fault waits until the first one is spent
        if (!matches || (fault.skip === 0 && !isDelay && acting !== undefined)) {
          remaining.push(fault)
          continue
        }
        const { after, hits } = spend(fault)
        if (after.count > 0) remaining.push(after)
        if (!hits) continue
        if (isDelay) delay += fault.milliseconds ?? 0
        if (!isDelay) acting = fault
      }
      faults = remaining
      if (acting === undefined) return { delay, effect: true, delivery: "whole", error: undefined }
      const row: FaultRow = FAULT_KINDS[acting.kind]
      const error = row.error?.(request, acting)
      const effect = error === undefined ? row.effect : (acting.effect ?? row.effect)
      return { delay, effect, delivery: row.delivery, error }
    },
  }
}

const isFor = (fault: Fault, { operation, region }: FaultedRequest): boolean =>
  (fault.operation === "*" || fault.operation === operation) && (fault.region === undefined || fault.region === region)
