import type { Binding } from "#src/core/manifest/binding.js"
import { DEFAULT_SETTINGS } from "#src/core/manifest/key-settings.js"
import { type ErrorCode, ERRORS } from "#src/core/base/error.js"
import { beginEntry, type ImportRecord, type InventoryEntry } from "#src/core/records/inventory.js"
import type { KeyDescription } from "#src/core/key/key-description.js"
import type { KeyRotation } from "#src/core/key/rotation.js"
import { NOTHING_ASKED } from "#src/core/records/operation.js"
import type { KeyView, SeenKey, Snapshot } from "#src/core/plan/snapshot.js"

/** Snapshots for tests: a symmetric key of 90 days that was imported ten days ago, and what a row changes of it. */

export const DAY = 86_400_000
export const NOW = new Date("2026-06-01T00:00:00Z")
export const days = (count: number): Date => new Date(NOW.getTime() + count * DAY)
export const REGION = "us-east-1"
export const REPLICA = "eu-west-3"
export const arn = (region: string): string => `arn:aws:kms:${region}:111122223333:key/mrk-1`
const time = (at: Date): string => `${at.toISOString().slice(0, 19)}Z`
export const materialId = (generation: number): string => String(generation).repeat(64).slice(0, 64)

export const BINDING: Binding = {
  ...DEFAULT_SETTINGS,
  owner: "keyferry",
  name: "payments",
  target: "prod",
  token: null,
  keySpec: "SYMMETRIC_DEFAULT",
  keyUsage: "ENCRYPT_DECRYPT",
  renewBefore: { kind: "duration", seconds: 30 * 86_400 },
  managed: true,
}

interface Lived {
  readonly importedAt?: Date
  readonly validTo?: Date | null
  readonly region?: string
  readonly id?: string | null
}

export function importRecord(generation = 0, { importedAt = days(-10), ...more }: Lived = {}): ImportRecord {
  const validTo = more.validTo === undefined ? new Date(importedAt.getTime() + 90 * DAY) : more.validTo
  return {
    region: more.region ?? REGION,
    generation,
    keyMaterialId: more.id === undefined ? materialId(generation) : more.id,
    wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    wrappingKeySpec: "RSA_4096",
    wrapPath: "oaep",
    mechanisms: [],
    wrappingKeyFingerprint: `sha256:${"0".repeat(64)}`,
    encryptedKeyMaterialDigest: `sha256:${"0".repeat(64)}`,
    expirationModel: validTo === null ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES",
    validTo: validTo === null ? null : time(validTo),
    importedAt: time(importedAt),
    requestId: null,
    proof: { kind: "none", result: "accepted" },
  }
}

const source = (generation: number) => ({
  id: `0${generation}`.repeat(16),
  label: `keyferry/keyferry/payments/${generation}`,
  generation,
  attributes: null,
  kcv: null,
  publicKeyFingerprint: null,
})

/** An entry with so many generations, each imported as its record says. */
export function entryOf(records: readonly ImportRecord[], more: Partial<InventoryEntry> = {}): InventoryEntry {
  const newest = Math.max(0, ...records.map(({ generation }) => generation))
  const { keySpec, keyUsage, custody, owner, name, target } = BINDING
  const identity = { owner, name, target, region: REGION, keySpec, keyUsage, custody, alias: null, multiRegion: false }
  return {
    ...beginEntry(identity, source(0), "r-1", days(-10)),
    keyArn: arn(REGION),
    imports: records,
    source: source(newest),
    earlier: Array.from({ length: newest }, (_, generation) => source(generation)),
    ...more,
  }
}

export function description(more: Partial<KeyDescription> = {}): KeyDescription {
  return {
    keyArn: arn(REGION),
    keyId: "mrk-1",
    keyState: "Enabled",
    description: "",
    keySpec: BINDING.keySpec,
    keyUsage: BINDING.keyUsage,
    origin: "EXTERNAL",
    multiRegion: false,
    multiRegionConfiguration: null,
    creationDate: days(-10),
    deletionDate: null,
    expirationModel: "KEY_MATERIAL_EXPIRES",
    validTo: days(80),
    currentKeyMaterialId: materialId(0),
    ...more,
  }
}

export function rotation(generation: number, more: Partial<KeyRotation> = {}): KeyRotation {
  return {
    keyMaterialId: materialId(generation),
    importState: "IMPORTED",
    keyMaterialState: "CURRENT",
    expirationModel: "KEY_MATERIAL_EXPIRES",
    validTo: days(80),
    rotationDate: generation === 0 ? null : days(-10),
    rotationType: generation === 0 ? null : "ON_DEMAND",
    ...more,
  }
}

export function seen(more: Partial<KeyDescription> = {}, view: Partial<SeenKey> = {}): SeenKey {
  const region = view.region ?? REGION
  const about = { keyArn: arn(region), ...more }
  return {
    seen: "key",
    region,
    keyArn: arn(region),
    description: description(about),
    rotations: null,
    tags: null,
    policy: null,
    ...view,
  }
}

export function failed(code: ErrorCode, error: string, region = REGION): KeyView {
  return { seen: "failed", region, keyArn: arn(region), code, exit: ERRORS[code].exit, error, hint: ERRORS[code].hint }
}

export function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return {
    binding: BINDING,
    role: "current",
    entry: entryOf([importRecord()]),
    damage: null,
    unknownKey: null,
    unfinished: NOTHING_ASKED,
    region: REGION,
    key: seen(),
    replicas: [],
    sources: [{ generation: 0, state: "present", note: null }],
    wantedTags: {},
    claimedBy: null,
    aliasHolder: undefined,
    now: NOW,
    jitter: 0,
    ...more,
  }
}
