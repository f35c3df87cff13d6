import type { Log } from "../core/ports/log.js"

/** The log with the id of a run in every line. */
export function withRun(log: Log, run: string): Log {
  return { event: (name, fields) => log.event(name, { ...fields, run }) }
}
