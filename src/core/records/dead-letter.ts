/** A key of the manifest that a job is about. */
export interface JobKey {
  readonly name: string
  readonly target: string
  /** Whether another KMS key has taken its place. */
  readonly replaced: boolean
}

/** Jobs of a token that no agent has taken for long. */
export interface UntakenJobs {
  /** Of the manifest; null for the one that flags give. */
  readonly token: string | null
  readonly count: number
  /** From when on the first of them could have been done, by the database's clock. */
  readonly since: Date
}

/** What a person is to be told of the jobs of agents that share a database. */
export interface TroubledJobs {
  readonly dead: readonly DeadLetter[]
  readonly untaken: readonly UntakenJobs[]
}

/** A job that failed as often as it is tried, and waits for a person or for its key to go well again. */
export interface DeadLetter extends JobKey {
  /** Of the manifest; null for the one that flags give. */
  readonly token: string | null
  /** By the database's clock. */
  readonly failedAt: Date
  /** Code or reason of the last failure, and its words. */
  readonly code: string
  readonly message: string
}
