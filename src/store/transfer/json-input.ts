import * as z from "zod"
import { KeyferryError } from "../../core/base/error.js"
import { readJson } from "../../core/base/json.js"
import { schemaFault } from "../records/schema-fault.js"

/** Bytes as standard base64 writes them; white space within is passed over. */
export const base64Bytes = z
  .string()
  .transform((text) => text.replace(/\s/g, ""))
  .pipe(z.base64("is not base64"))
  .transform((text) => Uint8Array.from(Buffer.from(text, "base64")))
  .refine((bytes) => bytes.length > 0, "is empty")

/** The same as text, for what goes on as text. */
export const base64Text = z.base64("is not base64").min(1, "is empty")

/**
 * What a file's JSON says, held against its schema.
 *
 * @throws ERR_TRANSFER_INVALID naming the file and the field
 */
export function parsedJson<T>(schema: z.ZodType<T>, json: string, path: string): T {
  const read = readJson(json)
  if ("fault" in read) throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} ${read.fault}`)
  const { success, data, error } = schema.safeParse(read.content)
  if (success) return data
  throw new KeyferryError("ERR_TRANSFER_INVALID", `${path}: ${schemaFault(error)}`)
}
