import type { EventFields, EventName } from "../records/log-event.js"

/** Where the program says what it does, for machines and for who looks for a fault. Never results, never evidence. */
export interface Log {
  event<N extends EventName>(name: N, fields: EventFields<N>): void
}
