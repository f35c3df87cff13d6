import { expect } from "chai"
import { plan } from "#src/core/plan/plan.js"
import { type Action, REASONS, type ReasonCode } from "#src/core/plan/reason.js"
import { type ImportAgainWishes, NOTHING_ASKED } from "#src/core/records/operation.js"
import type { PlanOptions, Snapshot } from "#src/core/plan/snapshot.js"
import {
  arn,
  BINDING,
  days,
  entryOf,
  failed,
  importRecord,
  materialId,
  REGION,
  REPLICA,
  rotation,
  seen,
  snapshot,
} from "../../support/plan-world.js"

type Row = readonly [
  what: string,
  snapshot: Partial<Snapshot>,
  reason: ReasonCode,
  sentence: string,
  expected?: { readonly options?: PlanOptions; readonly imports?: readonly string[] },
]

const bound = (more: Partial<Snapshot["binding"]>) => ({ binding: { ...BINDING, ...more } })
const aged = (importedAt: number, validTo: number) => ({
  entry: entryOf([importRecord(0, { importedAt: days(importedAt), validTo: days(validTo) })]),
  key: seen({ validTo: days(validTo) }),
})
/** Two generations, the first with the given view of KMS. */
const two = (first: Parameters<typeof rotation>[1], second: Parameters<typeof rotation>[1] = {}) => ({
  entry: entryOf([importRecord(0), importRecord(1)]),
  sources: [0, 1].map((generation) => ({ generation, state: "present" as const, note: null })),
  key: seen(
    { currentKeyMaterialId: materialId(1) },
    { rotations: [rotation(0, { keyMaterialState: "NON_CURRENT", ...first }), rotation(1, second)] },
  ),
})
const never = {
  entry: entryOf([importRecord(0, { validTo: null })]),
  key: seen({ validTo: null, expirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }),
}
const multiRegion = { multiRegion: true, replicas: [{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: true }] }
const REGIONS = (type: "PRIMARY" | "REPLICA") => ({
  type,
  primary: { arn: arn(REGION), region: REGION },
  replicas: [{ arn: arn(REPLICA), region: REPLICA }],
})
const lost = { keyState: "PendingImport", validTo: null, expirationModel: null, currentKeyMaterialId: null }

const AGAIN: ImportAgainWishes = { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "accept" }

const ROWS: readonly Row[] = [
  // what keeps keyferry from looking
  [
    "KMS is not reached",
    { key: failed("ERR_KMS_UNREACHABLE", "no route") },
    "KMS_UNREACHABLE",
    "KMS could not be asked: no route",
  ],
  [
    "KMS throttles",
    { key: failed("ERR_KMS_THROTTLED", "too fast") },
    "KMS_LATER",
    "KMS did not answer for now: too fast",
  ],
  [
    "the profile gives no credentials",
    { key: failed("ERR_KMS_CREDENTIALS", "its process failed") },
    "KMS_CREDENTIALS",
    `${arn(REGION)} was not looked at: its process failed`,
  ],
  [
    "access is denied",
    { key: failed("ERR_KMS_ACCESS_DENIED", "no kms:DescribeKey") },
    "KMS_DENIED",
    `KMS does not let these credentials look at ${arn(REGION)}: no kms:DescribeKey`,
  ],
  [
    "the credentials are another account's",
    { key: failed("ERR_POLICY_REFUSED", "they are of account 4") },
    "OTHER_ACCOUNT",
    `${arn(REGION)} was not looked at: they are of account 4`,
  ],
  [
    "KMS fails otherwise",
    { key: failed("ERR_KMS_OTHER", "odd") },
    "KMS_FAILED",
    `KMS could not be asked about ${arn(REGION)}: odd`,
  ],
  [
    "KMS is not reached, and nothing is known",
    { entry: null, key: failed("ERR_KMS_UNREACHABLE", "no route") },
    "KMS_UNREACHABLE",
    "KMS could not be asked: no route",
  ],

  [
    "the KMS key that somebody else made has another key spec",
    { ...bound({ keyArn: arn(REGION) }), entry: null, key: seen({ keySpec: "HMAC_256", keyState: "PendingImport" }) },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: key spec HMAC_256, not SYMMETRIC_DEFAULT`,
  ],
  [
    "a KMS key of others that KMS made itself",
    { ...bound({ keyArn: arn(REGION) }), entry: null, key: seen({ origin: "AWS_KMS" }) },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: origin AWS_KMS, not EXTERNAL`,
  ],
  [
    "a KMS key of others that holds material",
    { ...bound({ keyArn: arn(REGION) }), entry: null, key: seen() },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: state Enabled, not PendingImport`,
  ],
  [
    "a KMS key of others that is disabled",
    { ...bound({ keyArn: arn(REGION) }), entry: null, key: seen({ keyState: "Disabled" }) },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: state Disabled, not PendingImport`,
  ],
  [
    "a KMS key of others that is to be deleted",
    { ...bound({ keyArn: arn(REGION) }), entry: null, key: seen({ keyState: "PendingDeletion" }) },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: state PendingDeletion, not PendingImport`,
  ],
  [
    "a KMS key of others that is a replica",
    {
      ...bound({ keyArn: arn(REGION) }),
      entry: null,
      key: seen({ keyState: "PendingImport", multiRegionConfiguration: REGIONS("REPLICA") }),
    },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: kind replica, not single-Region or primary`,
  ],
  [
    "a KMS key of others that had material, which KMS has lost",
    { ...bound({ keyArn: arn(REGION) }), entry: null, key: seen(lost, { rotations: [rotation(0), rotation(1)] }) },
    "KEY_UNFIT",
    `${arn(REGION)}, its keyArn, cannot be filled: lost key materials 2, not none`,
  ],
  [
    "a primary of others that waits for its first material",
    {
      ...bound({ keyArn: arn(REGION), multiRegion: true }),
      entry: null,
      key: seen({ ...lost, multiRegion: true, multiRegionConfiguration: REGIONS("PRIMARY") }, { rotations: [] }),
    },
    "NOTHING_YET",
    "no KMS key holds its material yet",
  ],
  // what is begun
  [
    "nothing is known",
    { entry: null, key: { seen: "nothing", region: REGION } },
    "NOTHING_YET",
    "no KMS key holds its material yet",
  ],
  [
    "begun, no KMS key",
    { entry: entryOf([], { keyArn: null }), key: { seen: "nothing", region: REGION } },
    "UNFINISHED",
    "its provisioning was begun and not finished",
  ],
  [
    "begun, nothing imported",
    { entry: entryOf([]), key: seen(lost) },
    "UNFINISHED",
    "its provisioning was begun and not finished",
  ],
  [
    "the target moved",
    { region: REPLICA },
    "ELSEWHERE",
    `the inventory has it in Region ${REGION}, and its target is in ${REPLICA} now`,
  ],
  [
    "the key spec changed",
    bound({ keySpec: "HMAC_256" }),
    "IDENTITY_CHANGED",
    "its KMS key has the key spec SYMMETRIC_DEFAULT, and HMAC_256 is wanted",
  ],
  [
    "multi-Region now",
    bound({ multiRegion: true, replicas: [REPLICA] }),
    "IDENTITY_CHANGED",
    "its KMS key has the kind single-Region, and multi-Region is wanted",
  ],

  // the KMS key
  ["gone", { key: failed("ERR_KMS_KEY_NOT_FOUND", "NotFound") }, "KEY_GONE", `${arn(REGION)} does not exist any more`],
  [
    "claimed by another",
    { claimedBy: "other-site" },
    "KEY_CLAIMED",
    `${arn(REGION)} says by its tags that it is other-site's`,
  ],
  [
    "pending deletion",
    { key: seen({ keyState: "PendingDeletion", deletionDate: days(7) }) },
    "PENDING_DELETION",
    `${arn(REGION)} is pending deletion, on 2026-06-08T00:00:00Z`,
  ],
  ["unavailable", { key: seen({ keyState: "Unavailable" }) }, "UNAVAILABLE", `${arn(REGION)} is in state Unavailable`],
  [
    "still being made",
    { key: seen({ keyState: "Updating" }) },
    "NOT_READY",
    `${arn(REGION)} is in state Updating, which passes`,
  ],
  [
    "in a state that nobody knows",
    { key: seen({ keyState: "Hibernating" }) },
    "STATE_UNKNOWN",
    `${arn(REGION)} is in state Hibernating, which this version of keyferry does not know: whether it is well cannot be told`,
  ],
  [
    "a replica in a state that nobody knows",
    {
      entry: entryOf([importRecord(), importRecord(0, { region: REPLICA })], multiRegion),
      replicas: [seen({ keyState: "Frozen" }, { region: REPLICA })],
      ...bound({ multiRegion: true, replicas: [REPLICA] }),
    },
    "STATE_UNKNOWN",
    `${arn(REPLICA)} is in state Frozen, which this version of keyferry does not know: whether it is well cannot be told`,
  ],
  [
    "of another origin",
    { key: seen({ origin: "AWS_KMS" }) },
    "KEY_MISMATCH",
    `${arn(REGION)} is not what the inventory says: origin AWS_KMS, not EXTERNAL`,
  ],
  [
    "foreign material",
    { key: seen({ currentKeyMaterialId: materialId(7) }) },
    "FOREIGN_MATERIAL",
    `${arn(REGION)} holds key material ${materialId(7)}, which the inventory does not know`,
  ],
  [
    "foreign material that waits for its rotation",
    { key: seen({}, { rotations: [rotation(0), rotation(8, { keyMaterialState: "PENDING_ROTATION" })] }) },
    "FOREIGN_MATERIAL",
    `${arn(REGION)} holds key material ${materialId(8)}, which the inventory does not know`,
  ],
  [
    "a proof that failed",
    { entry: entryOf([{ ...importRecord(), proof: { kind: "mac", result: "failed" } }]) },
    "PROOF_FAILED",
    `the proof of generation 0 failed: ${arn(REGION)} does not hold the token's key material`,
  ],

  // what can be imported
  ["not due", {}, "NOT_DUE", "it is not due before 2026-07-21T00:00:00Z"],
  ["never to expire", { ...never, ...bound({ expiresIn: "never" }) }, "NEVER_EXPIRES", "it never expires"],
  [
    "imported once for ever",
    { ...never, entry: { ...never.entry, custody: "locked" }, ...bound({ expiresIn: "never", custody: "locked" }) },
    "ONCE_ONLY",
    "custody locked imports only once, and it never expires",
  ],
  [
    "imported once, and deleted",
    {
      entry: { ...never.entry, custody: "locked" },
      key: seen(lost),
      ...bound({ expiresIn: "never", custody: "locked" }),
    },
    "CANNOT_REIMPORT",
    "custody locked cannot import it again, and KMS has lost its material",
  ],
  [
    "imported once, and named",
    { ...never, entry: { ...never.entry, custody: "session" }, ...bound({ expiresIn: "never", custody: "session" }) },
    "CANNOT_REIMPORT",
    "custody session cannot import it again",
    { options: { force: "named" } },
  ],
  [
    "due by duration",
    aged(-61, 29),
    "DUE",
    "its key material expires on 2026-06-30T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "due by percentage",
    { ...aged(-61, 29), ...bound({ renewBefore: { kind: "percentage", percent: 33 } }) },
    "DUE",
    "its key material expires on 2026-06-30T00:00:00Z",
  ],
  [
    "not due by percentage",
    { ...aged(-61, 29), ...bound({ renewBefore: { kind: "percentage", percent: 30 } }) },
    "NOT_DUE",
    "it is not due before 2026-06-03T00:00:00Z",
  ],
  [
    "due early by its place in the spread",
    { ...aged(-55, 35), jitter: 0.999 },
    "DUE",
    "its key material expires on 2026-07-06T00:00:00Z",
  ],
  [
    "expired",
    { ...aged(-100, -10), key: seen(lost) },
    "EXPIRED",
    "its key material expired on 2026-05-22T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "one of two generations expired, though KMS lists it as imported still",
    {
      ...two({ validTo: days(-1) }),
      key: {
        ...two({ validTo: days(-1) }).key,
        description: seen({ ...lost, currentKeyMaterialId: materialId(1) }).description,
      },
    },
    "EXPIRED",
    "its key material expired on 2026-05-31T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "one of two generations due, the other soon after",
    two({ validTo: days(29) }, { validTo: days(32) }),
    "DUE",
    "its key material expires on 2026-06-30T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`, `${REGION} 1 ${materialId(1)}`] },
  ],
  [
    "the material was deleted",
    { key: seen(lost) },
    "MATERIAL_DELETED",
    `its key material was deleted from ${arn(REGION)} before its expiry`,
  ],
  [
    "the material was deleted by keyferry, and its expiry has passed since",
    {
      key: seen(lost),
      entry: entryOf([importRecord(0, { importedAt: days(-100) })], { withheldAt: "2026-05-01T00:00:00Z" }),
    },
    "MATERIAL_DELETED",
    `its key material was deleted from ${arn(REGION)} before its expiry`,
  ],
  [
    "the material was deleted, and the key is named",
    { key: seen(lost) },
    "MATERIAL_DELETED",
    `its key material was deleted from ${arn(REGION)} before its expiry`,
    { options: { force: "named", shorten: true, expiresIn: "90d" } },
  ],
  [
    "the material was deleted, its fixed end has passed, and the key is named with another end",
    { key: seen(lost), ...bound({ expiresIn: "2026-05-30T00:00:00Z" }) },
    "DELETED",
    "its key material was deleted, and is asked for",
    { options: { force: "named", expiresIn: "90d" }, imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "lost material is asked for, and KMS has it",
    aged(-61, 29),
    "NOT_LOST",
    "KMS has its key material",
    { options: { recover: { deleted: true } } },
  ],
  [
    "lost material is asked for, deleted, and no person has said that it is to come back",
    { key: seen(lost) },
    "MATERIAL_DELETED",
    `its key material was deleted from ${arn(REGION)} before its expiry`,
    { options: { recover: { deleted: false }, force: "named" } },
  ],
  [
    "lost material is asked for, and a person has said that what was deleted is to come back",
    { key: seen(lost) },
    "DELETED",
    "its key material was deleted, and is asked for",
    { options: { recover: { deleted: true } }, imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "one generation is lost and the other due: the lost one alone is asked for",
    two({ importState: "PENDING_IMPORT", validTo: null }, { validTo: days(1) }),
    "DELETED",
    "its key material was deleted, and is asked for",
    { options: { recover: { deleted: true } }, imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "lost material with a fixed end is asked for",
    { key: seen(lost), ...bound({ expiresIn: "2026-06-30T00:00:00Z" }) },
    "DELETED",
    "its key material was deleted, and is asked for",
    { options: { recover: { deleted: true } }, imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "lost material with a fixed end that has passed is asked for",
    { key: seen(lost), ...bound({ expiresIn: "2026-05-30T00:00:00Z" }) },
    "FIXED_END_PASSED",
    "KMS has lost its key material, whose fixed end, 2026-05-30T00:00:00Z, has passed",
    { options: { recover: { deleted: true } } },
  ],
  [
    "lost material is asked for, and its source key is gone",
    { key: seen(lost), sources: [{ generation: 0, state: "missing", note: null }] },
    "SOURCE_MISSING",
    `the source key of generation 0 (${"00".repeat(16)}) is gone; KMS has lost its material`,
    { options: { recover: { deleted: true } } },
  ],
  [
    "lost material is asked for; KMS has it, whose source key is gone",
    { sources: [{ generation: 0, state: "missing", note: null }] },
    "NOT_LOST",
    "KMS has its key material",
    { options: { recover: { deleted: true } } },
  ],
  [
    "lost material is asked for, and a Region does not answer",
    {
      entry: entryOf([importRecord()], multiRegion),
      ...bound({ multiRegion: true, replicas: [REPLICA] }),
      replicas: [failed("ERR_KMS_UNREACHABLE", "no route", REPLICA)],
    },
    "REPLICA_UNSEEN",
    `the replica in ${REPLICA} could not be looked at: no route`,
    { options: { recover: { deleted: true } } },
  ],
  [
    "an import that was not finished",
    { entry: entryOf([importRecord()], { importing: importRecord() }) },
    "INTERRUPTED",
    "an import of generation 0 was not finished",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  ["asked for", {}, "ASKED", "asked for", { options: { force: "all" }, imports: [`${REGION} 0 ${materialId(0)}`] }],
  [
    "expires, and is to live for ever",
    bound({ expiresIn: "never" }),
    "EXPIRY_DRIFT",
    "it expires on 2026-08-20T00:00:00Z, and never is wanted",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "lives for ever, and is to expire, which no run does by itself",
    never,
    "EXPIRY_SHORTER",
    "it expires never, and after 90d is wanted, which is earlier: no run does that by itself",
  ],
  [
    "lives for ever, and is to expire, as a person said",
    never,
    "EXPIRY_DRIFT",
    "it expires never, and after 90d is wanted",
    { options: { shorten: true }, imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "to expire earlier",
    bound({ expiresIn: "30d", renewBefore: { kind: "duration", seconds: 1 } }),
    "EXPIRY_SHORTER",
    "it expires on 2026-08-20T00:00:00Z, and after 30d is wanted, which is earlier: no run does that by itself",
  ],
  [
    "due, and would end earlier by it",
    { ...aged(-61, 29), ...bound({ expiresIn: "10d", renewBefore: { kind: "duration", seconds: 30 * 86_400 } }) },
    "EXPIRY_SHORTER",
    "it expires on 2026-06-30T00:00:00Z, and after 10d is wanted, which is earlier: no run does that by itself",
  ],
  [
    "due, and would end a little earlier by it",
    { ...aged(-80, 10), ...bound({ expiresIn: "10d", renewBefore: { kind: "duration", seconds: 30 * 86_400 } }) },
    "DUE",
    "its key material expires on 2026-06-11T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "not finished, and would end earlier by it",
    { entry: entryOf([importRecord()], { importing: importRecord() }), ...bound({ expiresIn: "1d" }) },
    "EXPIRY_SHORTER",
    "it expires on 2026-08-20T00:00:00Z, and after 1d is wanted, which is earlier: no run does that by itself",
  ],
  [
    "expired, and a material with it that would end earlier: the lost one alone",
    {
      entry: entryOf([importRecord(0, { importedAt: days(-100) }), importRecord(1)]),
      key: seen(
        { keyState: "PendingImport", currentKeyMaterialId: materialId(1) },
        { rotations: [rotation(0, { importState: "PENDING_IMPORT", validTo: null }), rotation(1)] },
      ),
      ...bound({ expiresIn: "1d" }),
    },
    "EXPIRED",
    "its key material expired on 2026-05-22T00:00:00Z",
  ],
  [
    "deleted on purpose, and the expiry that it had has passed since",
    {
      entry: entryOf([{ ...importRecord(0, { importedAt: days(-100) }), deletedAt: "2026-05-01T00:00:00Z" }]),
      key: seen({ keyState: "PendingImport", currentKeyMaterialId: null }),
    },
    "MATERIAL_DELETED",
    `its key material was deleted from ${arn(REGION)} before its expiry`,
  ],
  [
    "a fixed end",
    { ...aged(-61, 29), ...bound({ expiresIn: "2026-06-30T00:00:00Z" }) },
    "FIXED_END",
    "it was given a fixed end, 2026-06-30T00:00:00Z",
  ],
  [
    "the source key is gone",
    { sources: [{ generation: 0, state: "missing", note: null }] },
    "SOURCE_MISSING",
    `the source key of generation 0 (${"00".repeat(16)}) is gone; KMS loses its material on 2026-08-20T00:00:00Z`,
  ],
  [
    "the sealed material is damaged, and KMS has lost it",
    { ...aged(-100, -10), key: seen(lost), sources: [{ generation: 0, state: "damaged", note: "digest differs" }] },
    "SOURCE_DAMAGED",
    "the sealed material of generation 0 cannot be used: digest differs; KMS has lost its material",
  ],
  [
    "one source key is gone, the other generation is due",
    { ...two({}, { validTo: days(20) }), sources: [{ generation: 0, state: "missing", note: null }] },
    "DUE",
    "its key material expires on 2026-06-21T00:00:00Z",
    { imports: [`${REGION} 1 ${materialId(1)}`] },
  ],
  [
    "due and disabled",
    { ...aged(-61, 29), key: seen({ validTo: days(29), keyState: "Disabled" }) },
    "DISABLED",
    `it is due (expires 2026-06-30T00:00:00Z), and ${arn(REGION)} is disabled: an import would enable it`,
  ],
  [
    "due and disabled, taken along",
    { ...aged(-61, 29), key: seen({ validTo: days(29), keyState: "Disabled" }) },
    "DUE",
    "its key material expires on 2026-06-30T00:00:00Z",
    { options: { includeDisabled: true }, imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "disabled and not due",
    { key: seen({ keyState: "Disabled" }) },
    "NOT_DUE",
    "it is not due before 2026-07-21T00:00:00Z",
  ],
  [
    "not named by the configuration",
    { ...aged(-61, 29), ...bound({ managed: false }) },
    "UNMANAGED",
    "the configuration does not name it: it is watched, not kept alive",
  ],
  [
    "not named by the configuration, but by hand",
    { ...aged(-61, 29), ...bound({ managed: false }) },
    "DUE",
    "its key material expires on 2026-06-30T00:00:00Z",
    { options: { force: "named" } },
  ],

  // Regions
  [
    "a replica that is not there",
    { entry: entryOf([importRecord()], { multiRegion: true }), ...bound({ multiRegion: true, replicas: [REPLICA] }) },
    "REPLICA_MISSING",
    `there is no replica in ${REPLICA} yet`,
  ],
  [
    "a replica that others gave their primary",
    {
      entry: entryOf([importRecord()], { multiRegion: true }),
      ...bound({ keyArn: arn(REGION), multiRegion: true }),
      key: seen({ multiRegion: true, multiRegionConfiguration: REGIONS("PRIMARY") }),
    },
    "REPLICA_EMPTY",
    `KMS has a replica in ${REPLICA} that was given no key material yet`,
  ],
  [
    "a replica without material",
    {
      entry: entryOf([importRecord()], multiRegion),
      replicas: [seen(lost, { region: REPLICA })],
      ...bound({ multiRegion: true, replicas: [REPLICA] }),
    },
    "REPLICA_NOT_IMPORTED",
    `the replica in ${REPLICA} has no key material yet`,
    { imports: [`${REPLICA} 0 ${materialId(0)}`] },
  ],
  [
    "a replica that is due alone",
    {
      entry: entryOf([importRecord(), importRecord(0, { region: REPLICA, importedAt: days(-70) })], multiRegion),
      replicas: [seen({ validTo: days(20) }, { region: REPLICA })],
      ...bound({ multiRegion: true, replicas: [REPLICA] }),
    },
    "DUE",
    "its key material expires on 2026-06-21T00:00:00Z",
    { imports: [`${REPLICA} 0 ${materialId(0)}`] },
  ],
  [
    "a replica that does not answer",
    {
      entry: entryOf([importRecord(), importRecord(0, { region: REPLICA })], multiRegion),
      replicas: [failed("ERR_KMS_UNREACHABLE", "no route", REPLICA)],
      ...bound({ multiRegion: true, replicas: [REPLICA] }),
    },
    "REPLICA_UNSEEN",
    `the replica in ${REPLICA} could not be looked at: no route`,
  ],

  // rotation
  [
    "material that waits for its rotation",
    two({ keyMaterialState: "CURRENT" }, { keyMaterialState: "PENDING_ROTATION" }),
    "ROTATION_STAGED",
    "the rotation to generation 1 is not finished",
  ],
  [
    "a new generation that was never imported",
    {
      entry: { ...entryOf([importRecord(0), importRecord(1)]), imports: [importRecord(0)] },
      key: seen({}, { rotations: [rotation(0)] }),
    },
    "ROTATION_STAGED",
    "the rotation to generation 1 is not finished",
  ],
  [
    "a rotation that is due",
    bound({ rotateEvery: 9 * 86_400 }),
    "ROTATION_DUE",
    "its key material is in use since 2026-05-22T00:00:00Z",
  ],
  [
    "a rotation that is not due",
    bound({ rotateEvery: 11 * 86_400 }),
    "NOT_DUE",
    "it is not due before 2026-07-21T00:00:00Z",
  ],
  [
    "no rotation left",
    {
      ...bound({ rotateEvery: 86_400 }),
      entry: entryOf(
        Array.from({ length: 26 }, (_, generation) => importRecord(generation, { id: materialId(generation) })),
      ),
      key: seen(
        { currentKeyMaterialId: materialId(25) },
        { rotations: Array.from({ length: 26 }, (_, generation) => rotation(generation)) },
      ),
    },
    "ROTATIONS_EXHAUSTED",
    "its rotation is due, and KMS permits no more than 25 of one key",
  ],

  // what this state cannot tell
  [
    "an entry that cannot be read",
    { entry: null, damage: "k.json: it is not JSON", key: failed("ERR_KMS_UNREACHABLE", "no route") },
    "ENTRY_UNREADABLE",
    "its entry of the inventory cannot be read: k.json: it is not JSON",
  ],
  [
    "a KMS key of this name, and no entry",
    { entry: null, unknownKey: arn(REGION), key: { seen: "nothing", region: REGION } },
    "UNKNOWN_HERE",
    `KMS has ${arn(REGION)} with the tags of this key, and this state directory does not know it`,
  ],

  // what was asked for, and not finished
  [
    "a rotation that was asked for and not begun",
    { unfinished: { ...NOTHING_ASKED, rotation: { askedAt: "2026-05-31T00:00:00Z", wishes: AGAIN } } },
    "ROTATION_ASKED",
    "a rotation was asked for on 2026-05-31T00:00:00Z, and is not begun",
  ],
  [
    "a replacement that was begun",
    { entry: entryOf([importRecord()], { replacement: entryOf([], { keyArn: null }) }) },
    "REPLACEMENT_STAGED",
    "a replacement was begun and is not finished",
  ],
  [
    "a replacement that was asked for and not begun",
    { unfinished: { ...NOTHING_ASKED, replacement: { askedAt: "2026-05-31T00:00:00Z", wishes: AGAIN } } },
    "REPLACEMENT_ASKED",
    "a replacement was asked for on 2026-05-31T00:00:00Z, and is not begun",
  ],
  [
    "a replaced key, whose name is to be rotated",
    {
      role: "former",
      unfinished: { ...NOTHING_ASKED, rotation: { askedAt: "2026-05-31T00:00:00Z", wishes: AGAIN } },
    },
    "NOT_DUE",
    "it is not due before 2026-07-21T00:00:00Z",
  ],

  [
    "recorded material that KMS no longer lists",
    {
      entry: entryOf([importRecord(0, { validTo: days(50) }), importRecord(1, { validTo: days(80) })]),
      sources: [0, 1].map((generation) => ({ generation, state: "present" as const, note: null })),
      key: seen({ currentKeyMaterialId: materialId(1) }, { rotations: [rotation(1)] }),
    },
    "MATERIAL_DELETED",
    `its key material was deleted from ${arn(REGION)} before its expiry`,
  ],
  [
    "recorded material that KMS no longer lists, past its expiry",
    {
      entry: entryOf([importRecord(0, { validTo: days(-1) }), importRecord(1, { validTo: days(80) })]),
      sources: [0, 1].map((generation) => ({ generation, state: "present" as const, note: null })),
      key: seen({ currentKeyMaterialId: materialId(1) }, { rotations: [rotation(1)] }),
    },
    "EXPIRED",
    "its key material expired on 2026-05-31T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
  [
    "a rotation that is due by the date of the material in use, whatever the others' and its imports'",
    {
      ...bound({ rotateEvery: 20 * 86_400 }),
      entry: entryOf([importRecord(0, { importedAt: days(-2) }), importRecord(1, { importedAt: days(-3) })]),
      sources: [0, 1].map((generation) => ({ generation, state: "present" as const, note: null })),
      key: seen(
        { currentKeyMaterialId: materialId(1), creationDate: days(-90) },
        {
          rotations: [
            rotation(0, { keyMaterialState: "NON_CURRENT", rotationDate: days(-60) }),
            rotation(1, { rotationDate: days(-21) }),
          ],
        },
      ),
    },
    "ROTATION_DUE",
    "its key material is in use since 2026-05-11T00:00:00Z",
  ],
  [
    "a rotation that is not due by that date, though the first material is older",
    {
      ...bound({ rotateEvery: 20 * 86_400 }),
      entry: entryOf(
        [importRecord(0, { importedAt: days(-70) }), importRecord(1, { importedAt: days(-40) })].map((record) => ({
          ...record,
          validTo: "2026-08-20T00:00:00Z",
        })),
      ),
      sources: [0, 1].map((generation) => ({ generation, state: "present" as const, note: null })),
      key: seen(
        { currentKeyMaterialId: materialId(1), creationDate: days(-90) },
        {
          rotations: [
            rotation(0, { keyMaterialState: "NON_CURRENT", rotationDate: days(-60) }),
            rotation(1, { rotationDate: days(-19) }),
          ],
        },
      ),
    },
    "NOT_DUE",
    "it is not due before 2026-07-21T00:00:00Z",
  ],

  // drift
  [
    "tags and description drifted",
    {
      ...bound({ description: "money" }),
      wantedTags: { "keyferry:name": "payments" },
      key: seen({}, { tags: { "keyferry:name": "other", cost: "7" } }),
    },
    "DRIFT",
    `of ${arn(REGION)} the tags, description are not as wanted`,
  ],
  [
    "the policy drifted",
    {
      ...bound({ keyPolicy: '{"Version":"2012-10-17","Statement":[]}' }),
      key: seen({}, { policy: '{"Statement":[1]}' }),
    },
    "DRIFT",
    `of ${arn(REGION)} the policy is not as wanted`,
  ],
  [
    "the same policy in another order",
    {
      ...bound({ keyPolicy: '{"Version":"2012-10-17","Statement":[]}' }),
      key: seen({}, { policy: '{ "Statement": [], "Version": "2012-10-17" }' }),
    },
    "NOT_DUE",
    "it is not due before 2026-07-21T00:00:00Z",
  ],
  [
    "the alias is missing",
    { ...bound({ alias: "alias/a" }), aliasHolder: null },
    "DRIFT",
    `of ${arn(REGION)} the alias is not as wanted`,
  ],
  [
    "the alias is another key's",
    { ...bound({ alias: "alias/a" }), aliasHolder: "another" },
    "ALIAS_TAKEN",
    "alias/a names another KMS key, another",
  ],
  [
    "the alias is with the key that another copy of the state put in its place",
    { ...bound({ alias: "alias/a" }), aliasHolder: "another", unknownKey: arn(REPLICA) },
    "UNKNOWN_HERE",
    `KMS has ${arn(REPLICA)} with the tags of this key, and this state directory does not know it`,
  ],
  [
    "due, though another copy of the state replaced it",
    { ...aged(-80, 10), unknownKey: arn(REPLICA) },
    "DUE",
    "its key material expires on 2026-06-11T00:00:00Z",
    { imports: [`${REGION} 0 ${materialId(0)}`] },
  ],
]

/** What each reason asks for, written out: the table of the source is not believed. */
const ACTIONS: Readonly<Record<ReasonCode, Action>> = {
  ENTRY_UNREADABLE: "blocked",
  UNKNOWN_HERE: "blocked",
  KEY_UNFIT: "blocked",
  KMS_UNREACHABLE: "blocked",
  KMS_CREDENTIALS: "blocked",
  KMS_LATER: "blocked",
  KMS_DENIED: "blocked",
  OTHER_ACCOUNT: "blocked",
  KMS_FAILED: "blocked",
  NOTHING_YET: "provision",
  ELSEWHERE: "blocked",
  IDENTITY_CHANGED: "blocked",
  UNFINISHED: "provision",
  KEY_GONE: "blocked",
  KEY_CLAIMED: "blocked",
  KEY_MISMATCH: "blocked",
  PENDING_DELETION: "blocked",
  UNAVAILABLE: "blocked",
  NOT_READY: "blocked",
  STATE_UNKNOWN: "blocked",
  FOREIGN_MATERIAL: "blocked",
  PROOF_FAILED: "blocked",
  SOURCE_MISSING: "blocked",
  SOURCE_DAMAGED: "blocked",
  CANNOT_REIMPORT: "blocked",
  MATERIAL_DELETED: "blocked",
  FIXED_END_PASSED: "blocked",
  EXPIRY_SHORTER: "blocked",
  DISABLED: "blocked",
  UNMANAGED: "none",
  INTERRUPTED: "rewrap",
  EXPIRED: "rewrap",
  DELETED: "rewrap",
  DUE: "rewrap",
  EXPIRY_DRIFT: "rewrap",
  ASKED: "rewrap",
  REPLICA_EMPTY: "replicate",
  REPLICA_MISSING: "replicate",
  REPLICA_NOT_IMPORTED: "rewrap",
  ROTATION_STAGED: "finish-rotation",
  ROTATION_ASKED: "finish-rotation",
  REPLACEMENT_STAGED: "finish-replacement",
  REPLACEMENT_ASKED: "finish-replacement",
  REPLICA_UNSEEN: "blocked",
  ROTATIONS_EXHAUSTED: "blocked",
  ROTATION_DUE: "rotate",
  DRIFT: "correct",
  ALIAS_TAKEN: "blocked",
  FIXED_END: "none",
  ONCE_ONLY: "none",
  NEVER_EXPIRES: "none",
  NOT_LOST: "none",
  NOT_DUE: "none",
}

describe("plan", () => {
  for (const [what, more, reason, sentence, { options = {}, imports } = {}] of ROWS) {
    it(`${what}: ${reason}`, () => {
      const decision = plan(snapshot(more), options)
      expect([decision.reason, decision.message]).to.deep.equal([reason, sentence])
      expect(decision.action).to.equal(ACTIONS[reason])
      if (imports !== undefined) {
        const planned = decision.imports.map((one) => `${one.region} ${one.generation} ${one.keyMaterialId ?? ""}`)
        expect(planned).to.deep.equal(imports)
        expect(decision.imports.every(({ importType }) => importType === "EXISTING_KEY_MATERIAL")).to.equal(true)
      }
    })
  }

  it("has a row for every reason", () => {
    const met = new Set(ROWS.map(([, , reason]) => reason))
    expect(Object.keys(REASONS).filter((reason) => !met.has(reason as ReasonCode))).to.deep.equal([])
  })

  it("pins no import of a key that is not symmetric", () => {
    const hmac = { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" } as const
    const { imports, costs } = plan(
      snapshot({
        ...bound(hmac),
        entry: entryOf([importRecord(0, { importedAt: days(-70), id: null })], hmac),
        key: seen({ ...hmac, validTo: days(20), currentKeyMaterialId: null }),
      }),
    )
    expect(imports).to.deep.equal([
      { region: REGION, keyArn: arn(REGION), generation: 0, keyMaterialId: null, importType: null },
    ])
    expect(costs).to.deep.equal({ GetParametersForImport: 1, ImportKeyMaterial: 1, VerifyMac: 1 })
  })

  it("says what comes next, and what a loss of the token would cost", () => {
    expect(plan(snapshot(bound({ rotateEvery: 20 * 86_400 })))).to.deep.include({
      next: { action: "rotate", at: "2026-06-11T00:00:00Z" },
      forecast: { diesAt: "2026-08-20T00:00:00Z" },
      costs: {},
    })
    expect(plan(snapshot({ ...never, ...bound({ expiresIn: "never" }) }))).to.deep.include({
      next: null,
      forecast: null,
    })
  })
})
