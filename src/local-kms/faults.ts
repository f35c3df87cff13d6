import { KmsError } from "./error.js"
import { documented, recorded } from "./refusal.js"

/** What a fault does to a request that it hits. */
interface FaultRow {
  /** Whether the operation still takes effect. */
  readonly effect: boolean
  /** Whether the connection is closed instead of answering. */
  readonly drop: boolean
  readonly error?: (operation: string, account: string, fault: Fault) => KmsError
}

const FAULT_KINDS = {
  throttle: { effect: false, drop: false, error: recorded.throttled },
  internal: { effect: false, drop: false, error: documented.internal },
  "dependency-timeout": { effect: false, drop: false, error: documented.dependencyTimeout },
  unavailable: { effect: false, drop: false, error: documented.unavailable },
  "access-denied": { effect: false, drop: false, error: documented.accessDenied },
  error: {
    effect: false,
    drop: false,
    error: (_operation, _account, { name = "KMSInternalException", message, status }) =>
      new KmsError(name, message, status),
  },
  "drop-before": { effect: false, drop: true },
  "drop-after": { effect: true, drop: true },
  delay: { effect: true, drop: false },
} as const satisfies Record<string, FaultRow>

export type FaultKind = keyof typeof FAULT_KINDS

export const FAULT_KIND_NAMES = Object.keys(FAULT_KINDS) as readonly FaultKind[]

export interface FaultOptions {
  readonly kind: FaultKind
  /** Name of an operation, or `*` for every one. */
  readonly operation: string
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
}

export interface Fault extends FaultOptions {
  readonly id: number
}

/** What hits one request. */
export interface Hit {
  readonly delay: number
  readonly effect: boolean
  readonly drop: boolean
  readonly error: KmsError | undefined
}

export interface Faults {
  add: (options: FaultOptions) => Fault
  list: () => readonly Fault[]
  clear: () => void
  /** Counts a request against every fault that matches it; of those that hit, delays add up and the first other one acts. */
  hit: (operation: string, account: string) => Hit
}

export function createFaults(): Faults {
  let faults: readonly Fault[] = []
  let nextId = 1

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
    },
    hit(operation, account) {
      let acting: Fault | undefined
      let delay = 0
      const left: Fault[] = []
      for (const fault of faults) {
        const matches = fault.operation === "*" || fault.operation === operation
        const isDelay = fault.kind === "delay"
        // a second fault waits until the first one is spent
        if (!matches || (fault.skip === 0 && !isDelay && acting !== undefined)) {
          left.push(fault)
          continue
        }
        const { after, hits } = spend(fault)
        if (after.count > 0) left.push(after)
        if (!hits) continue
        if (isDelay) delay += fault.milliseconds ?? 0
        if (!isDelay) acting = fault
      }
      faults = left
      if (acting === undefined) return { delay, effect: true, drop: false, error: undefined }
      const row: FaultRow = FAULT_KINDS[acting.kind]
      return { delay, effect: row.effect, drop: row.drop, error: row.error?.(operation, account, acting) }
    },
  }
}
