import * as z from "zod"
import { KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import type { CustodyKeyRecord, SealedMaterial } from "../../core/records/sealed-material.js"
import { attributes, time, token } from "./inventory-schema.js"
import type { Parsed } from "./json-folder.js"
import { schemaFault } from "./schema-fault.js"

const hex = z.string().regex(/^([0-9a-f]{2})+$/, "is not hex")
const bytes = z.base64().transform((text) => Uint8Array.from(Buffer.from(text, "base64")))

/** The fields of sealed material as JSON holds them; bytes are base64. */
const sealedFields = {
  owner: z.string(),
  name: z.string(),
  generation: z.int().nonnegative(),
  id: hex,
  label: z.string(),
  keySpec: z.enum(KEY_SPEC_NAMES),
  ciphertext: bytes,
  mechanism: z.string(),
  custodyKey: z.strictObject({ id: hex, label: z.string(), kcv: z.string().nullable() }),
  token,
  sealedAt: time,
  provenance: z.strictObject({
    origin: z.enum(["generated", "adopted"]),
    at: time,
    attributes,
    kcv: z.string().nullable(),
    publicKey: bytes.nullable(),
  }),
  unenforced: z.string().nullable(),
}

const sealedSchema = z.strictObject(sealedFields) satisfies z.ZodType<SealedMaterial>

const recordSchema = z.strictObject({
  id: hex,
  label: z.string(),
  owner: z.string(),
  number: z.int().nonnegative(),
  kcv: z.string().nullable(),
  token,
  createdAt: time,
  canary: sealedSchema,
  backupConfirmedAt: time.nullable(),
}) satisfies z.ZodType<CustodyKeyRecord>

/** Sealed material of a vault file, or its first fault. */
export function parseSealed(value: unknown): Parsed<SealedMaterial> {
  const { success, data, error } = sealedSchema.safeParse(value)
  return success ? { content: data } : { fault: schemaFault(error) }
}

/** The record of a custody key, or its first fault. */
export function parseCustodyKeyRecord(value: unknown): Parsed<CustodyKeyRecord> {
  const { success, data, error } = recordSchema.safeParse(value)
  return success ? { content: data } : { fault: schemaFault(error) }
}
