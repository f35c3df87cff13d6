import type { Backoff } from "../records/backoff.js"
import type { Incidents } from "../records/incident.js"

/** When unattended work is to wait for a person: maintenance of a token, say. */
export interface Pause {
  /** RFC 3339 UTC: the agent goes on by itself then. */
  readonly until: string
  /** RFC 3339 UTC: when it was asked for. */
  readonly since: string
}

/** What the agent remembers from one start to the next. */
export interface AgentRecords {
  /** Keys that failed and wait. */
  backoffs(): Promise<readonly Backoff[]>
  /** @throws ERR_STATE_WRITE */
  putBackoffs(backoffs: readonly Backoff[]): Promise<void>
  /** Null where nobody asked for one. */
  pause(): Promise<Pause | null>
  /** @throws ERR_STATE_WRITE */
  putPause(pause: Pause | null): Promise<void>
  /** Troubles that are open, and whom they were told. */
  incidents(): Promise<Incidents>
  /** @throws ERR_STATE_WRITE */
  putIncidents(incidents: Incidents): Promise<void>
}
