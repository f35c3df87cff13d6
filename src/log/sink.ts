import winston from "winston"
import { printableJson } from "../core/base/printable.js"
import type { Clock } from "../core/ports/clock.js"
import type { LogValue } from "./field.js"

type Write = (level: string, event: string, fields: Readonly<Record<string, LogValue>>) => void

/** The one logger, on standard error: standard output holds results only. JSON lines have `time`, `level`, `event` and the event's fields; text has the same as words. */
export function createSink({
  level,
  format,
  clock,
}: {
  readonly level: "warn" | "info" | "debug"
  readonly format: "text" | "json"
  readonly clock: Pick<Clock, "now">
}): Write {
  const line = winston.format.printf(({ level: eventLevel, message, fields }) => {
    const time = clock.now().toISOString()
    const shown = fields as Readonly<Record<string, LogValue>>
    return format === "json"
      ? printableJson(JSON.stringify({ time, level: eventLevel, event: message, ...shown }))
      : [
          `keyferry: ${eventLevel}:`,
          message,
          ...Object.entries(shown).map(([name, value]) => `${name}=${word(value)}`),
        ].join(" ")
  })
  const logger = winston.createLogger({
    level,
    format: line,
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types it as another class
    transports: [new winston.transports.Stream({ stream: process.stderr })],
  })
  return (eventLevel, message, fields) => {
    logger.log(eventLevel, { message, fields })
  }
}

/** A value as one word; quoted where it has blanks or control characters, so that a line stays a line. */
function word(value: LogValue): string {
  if (typeof value === "string")
    return /^[\x21-\x7e]+$/.test(value) && !value.includes('"') ? value : printableJson(JSON.stringify(value))
  return printableJson(JSON.stringify(value))
}
