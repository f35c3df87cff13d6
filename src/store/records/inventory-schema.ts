import * as z from "zod"
import { CUSTODY_NAMES } from "../../core/key/custody.js"
import { KEY_SPEC_NAMES, KEY_USAGES, type ProofKind, WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { type WrapPath, WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import type { ImportRecord, InventoryEntry } from "../../core/records/inventory.js"
import { upgradedEntry } from "./inventory-version-1.js"
import type { Parsed } from "./json-folder.js"
import { schemaFault } from "./schema-fault.js"

export const INVENTORY_VERSION = 2 satisfies InventoryEntry["version"]

const PROOF_KINDS = ["public-key", "mac", "key-material-id", "none"] as const satisfies ProofKind[]
const WRAP_PATHS = ["oaep", "composed", "native"] as const satisfies WrapPath[]

export const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "is not sha256: and 64 hex digits")
export const time = z.iso.datetime({ error: "is not a time as RFC 3339 writes it, in UTC" })
export const wrapPath = z.enum(WRAP_PATHS)
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
  // empty where material was imported of which neither a token nor a bundle told the key
  id: z.string().regex(/^([0-9a-f]{2})*$/, "is not hex"),
  label: z.string(),
  generation: z.int().nonnegative(),
  attributes: attributes.nullable(),
  kcv: z.string().nullable(),
  publicKeyFingerprint: digest.nullable(),
})

const importing = z.strictObject({
  region: z.string(),
  generation: z.int().nonnegative(),
  wrappingAlgorithm: z.enum(WRAPPING_ALGORITHM_NAMES),
  wrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES),
  wrapPath: wrapPath.nullable(),
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
  keyExchange: z.string().exactOptional(),
  deletedAt: time.exactOptional(),
}) satisfies z.ZodType<ImportRecord>

const wishes = z.strictObject({
  expiresIn: z.string(),
  wrappingAlgorithm: z.enum(["auto", ...WRAPPING_ALGORITHM_NAMES]),
  wrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES),
})

/** What an entry holds inside another one is without others in turn. */
const plain = z.strictObject({
  version: z.literal(INVENTORY_VERSION),
  owner: z.string(),
  name: z.string(),
  target: z.string(),
  region: z.string(),
  keySpec: z.enum(KEY_SPEC_NAMES),
  keyUsage: z.enum(KEY_USAGES),
  custody: z.enum(CUSTODY_NAMES),
  unenforced: z.string().nullable(),
  alias: z.string().nullable(),
  aliasGiven: z.boolean(),
  multiRegion: z.boolean(),
  intendedAt: time,
  requestId: z.string(),
  creating: z.boolean(),
  keyArn: z.string().nullable(),
  untagged: z.literal(true).exactOptional(),
  token: token.nullable(),
  source,
  importing: importing.nullable(),
  imports: z.array(importRecord),
  earlier: z.array(source),
  rotating: z.boolean(),
  replicas: z.array(z.strictObject({ region: z.string(), keyArn: z.string().nullable(), aliasGiven: z.boolean() })),
  withheldAt: time.nullable(),
  terms: wishes.nullable(),
  replacement: z.null(),
  former: z.tuple([]),
})

/** An inventory file, strictly: an unknown field is an error, since it is another version's. */
const inventorySchema = plain.extend({
  replacement: plain.nullable(),
  former: z.array(plain.extend({ replacedAt: time, retiredAt: time.nullable() })),
}) satisfies z.ZodType<InventoryEntry>

const laterVersion = z.object({ version: z.int().min(INVENTORY_VERSION + 1) })

/** The entry of an inventory file of this version or of an earlier one, or its first fault. */
export function parseInventory(value: unknown): Parsed<InventoryEntry> {
  const later = laterVersion.safeParse(value)
  if (later.success) return { fault: `it is of version ${later.data.version}, a later keyferry's` }
  const { success, data, error } = inventorySchema.safeParse(upgradedEntry(value))
  return success ? { content: data } : { fault: schemaFault(error) }
}
