import * as z from "zod"
import type { Backoff } from "../../core/records/backoff.js"
import { INCIDENT_KINDS, type Incidents } from "../../core/records/incident.js"
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

const trouble = {
  kind: z.enum(INCIDENT_KINDS),
  status: z.enum(["critical", "warning", "unknown"]),
  reason: z.string(),
  name: z.string().nullable(),
  target: z.string().nullable(),
  message: z.string(),
  hint: z.string().nullable(),
}
const incident = z.strictObject({ ...trouble, id: z.uuid(), since: time })
const incidents = z.strictObject({
  open: z.array(incident),
  pending: z.array(
    z.strictObject({
      notification: incident.extend({
        notification: z.uuid(),
        recovered: z.boolean(),
        at: time,
        more: z.int().nonnegative(),
      }),
      takers: z.array(z.string()),
    }),
  ),
  made: z.array(time),
}) satisfies z.ZodType<Incidents>

export const parseBackoffs = parser(backoffs)
export const parsePause = parser(pause)
export const parseIncidents = parser(incidents)

function parser<T>(schema: z.ZodType<T>): (value: unknown) => Parsed<T> {
  return (value) => {
    const { success, data, error } = schema.safeParse(value)
    return success ? { content: data } : { fault: schemaFault(error) }
  }
}
