import type { Log } from "../core/ports/log.js"

/** A log that others hear as well, whatever its level leaves out. */
export interface HeardLog extends Log {
  /** From now on. */
  hear(listener: Log): void
}

export function heardLog(log: Log): HeardLog {
  const listeners: Log[] = [log]
  return {
    event(name, fields) {
      for (const listener of listeners) listener.event(name, fields)
    },
    hear(listener) {
      listeners.push(listener)
    },
  }
}
