import { z } from "zod"
import { KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import type { CustodyKeyRecord, SealedMaterial } from "../../core/records/sealed-material.js"
import { attributes, time, token } from "./inventory-schema.js"

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

type Parsed<T> = { readonly value: T } | { readonly fault: string }

/** Sealed material of a vault file, or its first fault as `path: reason`. */
export function parseSealed(value: unknown): Parsed<SealedMaterial> {
  return parsed(sealedSchema.safeParse(value))
}

/** The record of a custody key, or its first fault as `path: reason`. */
export function parseCustodyKeyRecord(value: unknown): Parsed<CustodyKeyRecord> {
  return parsed(recordSchema.safeParse(value))
}

function parsed<T>({ data, error }: { readonly data?: T; readonly error?: z.ZodError }): Parsed<T> {
  if (data !== undefined) return { value: data }
  const [issue] = error?.issues ?? []
  const reason = issue?.message ?? "is not what was written"
  const field = z.core.toDotPath(issue?.path ?? [])
  return { fault: field === "" ? reason : `${field}: ${reason}` }
}
