import { z } from "zod"
import type { PinMarker } from "../../core/token/pin-marker.js"
import type { Parsed } from "./json-folder.js"
import { schemaFault } from "./schema-fault.js"

const markerSchema = z.strictObject({
  token: z.strictObject({
    serial: z.string(),
    label: z.string(),
    manufacturer: z.string(),
    libraryParameters: z.string().nullable(),
  }),
  sourceDigest: z.string(),
  modifiedNs: z.string().nullable(),
  refusedAt: z.string(),
}) satisfies z.ZodType<PinMarker>

/** The marker of a refused PIN, or its first fault. */
export function parsePinMarker(value: unknown): Parsed<PinMarker> {
  const { success, data, error } = markerSchema.safeParse(value)
  return success ? { content: data } : { fault: `it is not the marker of a refused PIN: ${schemaFault(error)}` }
}
