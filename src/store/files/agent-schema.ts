import * as z from "zod"
import type { Backoff } from "../../core/records/backoff.js"
import type { Pause } from "../../core/ports/agent-records.js"
import { time } from "./inventory-schema.js"
import type { Parsed } from "./json-folder.js"
import { schemaFault } from "./schema-fault.js"

const backoff = z.strictObject({
  name: z.string(),
  target: z.string(),
  replaced: z.boolean(),
  failures: z.int().positive(),
  since: time,
  retryAt: time,
  reason: z.string(),
  message: z.string(),
}) satisfies z.ZodType<Backoff>

const backoffs = z.strictObject({ keys: z.array(backoff) })
const pause = z.strictObject({ until: time, since: time }) satisfies z.ZodType<Pause>

export const parseBackoffs = parser(backoffs)
export const parsePause = parser(pause)

function parser<T>(schema: z.ZodType<T>): (value: unknown) => Parsed<T> {
  return (value) => {
    const { success, data, error } = schema.safeParse(value)
    return success ? { content: data } : { fault: schemaFault(error) }
  }
}
