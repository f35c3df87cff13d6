/** Whose quota it is: an account, or what else tells one account from another, a Region and an operation of KMS. */
export interface QuotaName {
  readonly account: string
  readonly region: string
  readonly operation: string
}

/** Times at which requests may be sent, one after the other. */
export interface Slots {
  /** From the moment the answer was made until the first of them, in milliseconds; 0 where it is now. */
  readonly waitMs: number
  /** From each to the next, in milliseconds. */
  readonly everyMs: number
}

/** A quota of which several requests may be sent at once after a pause. */
export interface BurstWanted {
  /** Milliseconds from one request to the next, at full pace. */
  readonly everyMs: number
  /** So many requests at once, at most. */
  readonly burst: number
  readonly count: number
}

/** A quota of which requests are counted as they arrive, each for itself. */
export interface ArrivalWanted {
  /** Milliseconds from one arrival to the next, at full pace. */
  readonly everyMs: number
  /** The place in the order that an earlier asking has given. */
  readonly place: string | null
}

export interface Arrival {
  readonly waitMs: number
  /** Whether the request is to be sent after the wait; where not, it is asked again then, with the place. */
  readonly granted: boolean
  readonly place: string
  /** When the answer was made, in milliseconds of the clock that all share. */
  readonly at: number
}

/**
 * The quotas that all agents share, each process asking for those of its requests that are next. The clock is that of
 * who keeps them: no host's clock counts. What is taken and not used, since the process died, is lost to all.
 *
 * @throws by each: ERR_DATABASE_*
 */
export interface SharedQuotas {
  takeSlots(name: QuotaName, wanted: BurstWanted): Promise<Slots>
  takeArrival(name: QuotaName, wanted: ArrivalWanted): Promise<Arrival>
  /** A request arrived no later than at that time of the shared clock: the next is not to follow too soon. */
  arrived(name: QuotaName, at: number, everyMs: number): Promise<void>
  /** KMS throttled a request: all slow down, and come back to the full pace by steps. */
  throttled(name: QuotaName, everyMs: number): Promise<void>
}
