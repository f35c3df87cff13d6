import * as z from "zod"
import type { PinMarker, RefusedPin } from "../../core/token/pin-marker.js"
import type { Parsed } from "./json-folder.js"
import { schemaFault } from "./schema-fault.js"

const formerToken = z.strictObject({
  serial: z.string(),
  label: z.string(),
  manufacturer: z.string(),
  libraryParameters: z.string().nullable(),
})

const markerSchema = z.strictObject({
  token: formerToken.extend({ slot: z.string().nullable() }),
  salt: z.string().regex(/^[0-9a-f]{32}$/, "is not 16 bytes in hex"),
  refused: z.array(
    z.strictObject({
      bits: z
        .string()
        .regex(/^[0-9a-f]{3}$/, "is not three hexadecimal digits")
        .nullable(),
      answer: z.string().nullable(),
      refusedAt: z.string(),
    }),
  ),
}) satisfies z.ZodType<PinMarker>

/** What 0.1.0 wrote; `modifiedNs` and `sourceDigest` do not tell which PIN it was. */
const formerFields = { sourceDigest: z.string(), modifiedNs: z.string().nullable(), refusedAt: z.string() }
const formerSchema = z.union([
  z.strictObject({ token: formerToken, ...formerFields }),
  z.strictObject({ tokenSerial: z.string(), ...formerFields }),
])

/** The marker of refused PINs, or its first fault. */
export function parsePinMarker(value: unknown): Parsed<PinMarker> {
  const { success, data, error } = markerSchema.safeParse(value)
  return success ? { content: data } : { fault: `it is not the marker of a refused PIN: ${schemaFault(error)}` }
}

/** The one PIN, whichever it was, that a marker of keyferry 0.1.0 stands for. */
export function parseFormerMarker(value: unknown): Parsed<RefusedPin> {
  const { success, data, error } = formerSchema.safeParse(value)
  if (!success) return { fault: `it is not the marker of a refused PIN: ${schemaFault(error)}` }
  return { content: { bits: null, answer: null, refusedAt: data.refusedAt } }
}
