import { z } from "zod"
import { CUSTODY_NAMES } from "../../core/key/custody.js"
import type { ImportRecord, InventoryEntry } from "../../core/records/inventory.js"
import { KEY_SPEC_NAMES, type KeyUsage, type ProofKind, WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { type WrapPath, WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"

const KEY_USAGES = [
  "ENCRYPT_DECRYPT",
  "SIGN_VERIFY",
  "GENERATE_VERIFY_MAC",
  "KEY_AGREEMENT",
] as const satisfies KeyUsage[]
const PROOF_KINDS = ["public-key", "mac", "key-material-id", "none"] as const satisfies ProofKind[]
const WRAP_PATHS = ["oaep", "composed", "native"] as const satisfies WrapPath[]

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "is not sha256: and 64 hex digits")
export const time = z.iso.datetime({ error: "is not a time as RFC 3339 writes it, in UTC" })
const flag = z.boolean().nullable()

export const attributes = z.strictObject({
  class: z.string(),
  keyType: z.string(),
  token: flag,
  private: flag,
  sensitive: flag,
  extractable: flag,
  alwaysSensitive: flag,
  neverExtractable: flag,
  local: flag,
  modifiable: flag,
  wrapWithTrusted: flag,
  encrypt: flag,
  decrypt: flag,
  sign: flag,
  verify: flag,
  wrap: flag,
  unwrap: flag,
  derive: flag,
  keyGenMechanism: z.string().nullable(),
})

export const token = z.strictObject({
  label: z.string(),
  serial: z.string(),
  manufacturer: z.string(),
  model: z.string(),
  firmwareVersion: z.string(),
  library: z.string(),
})

const source = z.strictObject({
  id: z.string().regex(/^([0-9a-f]{2})+$/, "is not hex"),
  label: z.string(),
  generation: z.int().nonnegative(),
  attributes: attributes.nullable(),
  kcv: z.string().nullable(),
  publicKeyFingerprint: digest.nullable(),
})

const importing = z.strictObject({
  // files of the first version had one Region only: filled in from the entry
  region: z.string().default(""),
  generation: z.int().nonnegative(),
  wrappingAlgorithm: z.enum(WRAPPING_ALGORITHM_NAMES),
  wrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES),
  wrapPath: z.enum(WRAP_PATHS).nullable(),
  mechanisms: z.array(z.string()),
  wrappingKeyFingerprint: digest,
  encryptedKeyMaterialDigest: digest,
  expirationModel: z.enum(["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]),
  validTo: time.nullable(),
})

const importRecord = importing.extend({
  keyMaterialId: z.string().nullable(),
  importedAt: time,
  requestId: z.string().nullable(),
  proof: z.strictObject({ kind: z.enum(PROOF_KINDS), result: z.enum(["proven", "accepted", "failed"]) }),
}) satisfies z.ZodType<ImportRecord>

const wishes = z.strictObject({
  expiresIn: z.string(),
  wrappingAlgorithm: z.enum(["auto", ...WRAPPING_ALGORITHM_NAMES]),
  wrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES),
})

/** What an entry holds inside another one is without others in turn. */
const plain = z.strictObject({
  version: z.literal(1),
  owner: z.string(),
  name: z.string(),
  target: z.string(),
  region: z.string(),
  keySpec: z.enum(KEY_SPEC_NAMES),
  keyUsage: z.enum(KEY_USAGES),
  custody: z.enum(CUSTODY_NAMES),
  unenforced: z.string().nullable().default(null),
  alias: z.string().nullable(),
  aliasGiven: z.boolean().default(false),
  multiRegion: z.boolean(),
  intendedAt: time,
  requestId: z.string(),
  creating: z.boolean(),
  keyArn: z.string().nullable(),
  token: token.nullable(),
  source,
  importing: importing.nullable(),
  imports: z.array(importRecord),
  earlier: z.array(source).default([]),
  rotating: z.boolean().default(false),
  replicas: z
    .array(z.strictObject({ region: z.string(), keyArn: z.string().nullable(), aliasGiven: z.boolean().optional() }))
    .default([]),
  withheldAt: time.nullable().optional(),
  terms: wishes.nullable().default(null),
  replacement: z.null().default(null),
  former: z.tuple([]).default([]),
})

/** An inventory file, strictly: an unknown field is an error, since it is another version's. */
const inventorySchema = plain.extend({
  replacement: plain.nullable().default(null),
  former: z.array(plain.extend({ replacedAt: time, retiredAt: time.nullable() })).default([]),
}) satisfies z.ZodType<InventoryEntry>

/** The entry of an inventory file, what older versions left out filled in; or its first fault as `path: reason`. */
export function parseInventory(value: unknown): { readonly entry: InventoryEntry } | { readonly fault: string } {
  const { data, error } = inventorySchema.safeParse(value)
  if (data !== undefined) return { entry: withRegions(data) }
  const [issue] = error.issues
  const field = z.core.toDotPath(issue?.path ?? [])
  const reason = issue?.message ?? "is not an inventory entry"
  return { fault: field === "" ? reason : `${field}: ${reason}` }
}

function withRegions(entry: InventoryEntry): InventoryEntry {
  const own = <T extends { readonly region: string }>(record: T): T =>
    record.region === "" ? { ...record, region: entry.region } : record
  return { ...entry, importing: entry.importing && own(entry.importing), imports: entry.imports.map(own) }
}
