import type { Clock } from "../core/ports/clock.js"
import type { Log } from "../core/ports/log.js"
import { type EventName, EVENTS, PLACE_FIELDS } from "../core/records/log-event.js"
import { logValue, type LogValue } from "./field.js"

interface LogOptions {
  /** Protocol steps as well. */
  readonly verbose: boolean
  /** Logs without being asked to. */
  readonly isService?: boolean
  /** Warnings and errors alone. */
  readonly quiet?: boolean
  /** `json`: one object a line. */
  readonly format: "text" | "json"
  /** By which a line has its time: the host's. */
  readonly clock: Pick<Clock, "now">
}

const SILENT_LOG: Log = { event: () => undefined }

/**
 * Makes the log, on standard error. Without `verbose` and `json` nothing is logged, since the commands say on the
 * terminal what they do; winston is loaded only where something is.
 */
export async function createLog({
  verbose,
  quiet = false,
  format,
  isService = false,
  clock,
}: LogOptions): Promise<Log> {
  if (!verbose && !isService && format === "text") return SILENT_LOG
  const { createSink } = await import("./sink.js")
  const write = createSink({ level: quiet ? "warn" : verbose ? "debug" : "info", format, clock })
  return {
    event(name, fields) {
      write(EVENTS[name].level, name, loggedFields(name, fields))
    },
  }
}

/** What of an event leaves this process: the fields of its list, each as {@link logValue} shows it. */
export function loggedFields(name: EventName, fields: object): Readonly<Record<string, LogValue>> {
  const sent = fields as Readonly<Record<string, unknown>>
  const shown: Record<string, LogValue> = {}
  for (const field of new Set<string>([...EVENTS[name].fields, ...PLACE_FIELDS]))
    if (sent[field] !== undefined) shown[field] = logValue(sent[field])
  return shown
}
