import * as z from "zod"
import { parseKeyArn } from "../core/key/key-arn.js"
import type { KeyDescription, MultiRegionConfiguration, RegionalKey } from "../core/key/key-description.js"
import type { KeyRotation } from "../core/key/rotation.js"

/**
 * A schema for the answer of each operation that keyferry uses: whatever came passes it before anything believes it
 * (call.ts). Fields of AWS that nothing reads are let pass; what an older KMS or an emulator leaves out is optional.
 * Enumerations may grow, so a word of them is any word.
 */

/** No date of KMS lies outside: seconds that are taken for milliseconds do, negative ones, and years of five digits. */
const FIRST_DATE = Date.UTC(2000, 0, 1)
const LAST_DATE = Date.UTC(9999, 11, 31)
/** AWS JSON has times as seconds. */
const date = z
  .number("is no date")
  .transform((seconds) => new Date(seconds * 1000))
  .refine((time) => time.getTime() >= FIRST_DATE && time.getTime() <= LAST_DATE, "is a date that cannot be")

const text = (most: number) => z.string("is no text").max(most, "is too long")
/** Of an enumeration that may grow. */
const word = z.string("is no text").regex(/^[A-Za-z0-9_-]{1,128}$/, "is no word")
/** AWS JSON has bytes in base64. */
const bytes = (most: number) =>
  z
    .string("is not bytes")
    .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "is not bytes")
    .transform((base64) => Uint8Array.from(Buffer.from(base64, "base64")))
    .refine(({ length }) => length > 0 && length <= most, { error: ({ input }) => `is ${sizeOf(input)} bytes long` })
const sizeOf = (input: unknown): number => (input instanceof Uint8Array ? input.length : 0)

const keyArn = text(256).refine((arn) => parseKeyArn(arn) !== undefined, "is no key ARN")
const keyId = z.string("is no text").regex(/^[A-Za-z0-9-]{1,128}$/, "is no key ID")
/** As most operations answer it: the ARN of the key that was asked, of older ones its ID. */
const keyName = z.union([keyArn, keyId], "is neither key ID nor key ARN")
const keyMaterialId = z.string("is no text").regex(/^[0-9a-f]{64}$/, "is no key material ID")
const expirationModel = word
  .transform((model) => (model === "KEY_MATERIAL_EXPIRES" || model === "KEY_MATERIAL_DOES_NOT_EXPIRE" ? model : null))
  .optional()

const regionalKey = z.object({ Arn: keyArn.optional(), Region: word.optional() }).optional()

const keyMetadata = z
  .object({
    Arn: keyArn,
    KeyId: keyId.optional(),
    KeyState: word,
    Description: text(8192).optional(),
    KeySpec: word.optional(),
    /** The name of KeySpec before 2021. */
    CustomerMasterKeySpec: word.optional(),
    KeyUsage: word,
    Origin: word,
    MultiRegion: z.boolean().optional(),
    MultiRegionConfiguration: z
      .object({
        MultiRegionKeyType: word.optional(),
        PrimaryKey: regionalKey,
        ReplicaKeys: z.array(regionalKey).optional(),
      })
      .optional(),
    CreationDate: date.optional(),
    DeletionDate: date.optional(),
    ExpirationModel: expirationModel,
    ValidTo: date.optional(),
    CurrentKeyMaterialId: keyMaterialId.optional(),
  })
  .refine(({ Arn, KeyId }) => KeyId === undefined || parseKeyArn(Arn)?.keyId === KeyId, "names two keys")
  .refine((key) => (key.KeySpec ?? key.CustomerMasterKeySpec) !== undefined, { error: "is missing", path: ["KeySpec"] })
  .refine(
    ({ KeySpec, CustomerMasterKeySpec = KeySpec }) => (KeySpec ?? CustomerMasterKeySpec) === CustomerMasterKeySpec,
    {
      error: "is two key specs",
      path: ["KeySpec"],
    },
  )
  .transform(descriptionOf)

function descriptionOf(key: {
  Arn: string
  KeyId?: string | undefined
  KeyState: string
  Description?: string | undefined
  KeySpec?: string | undefined
  CustomerMasterKeySpec?: string | undefined
  KeyUsage: string
  Origin: string
  MultiRegion?: boolean | undefined
  MultiRegionConfiguration?: Parameters<typeof multiRegionConfiguration>[0]
  CreationDate?: Date | undefined
  DeletionDate?: Date | undefined
  ExpirationModel?: KeyDescription["expirationModel"] | undefined
  ValidTo?: Date | undefined
  CurrentKeyMaterialId?: string | undefined
}): KeyDescription {
  return {
    keyArn: key.Arn,
    keyId: parseKeyArn(key.Arn)?.keyId ?? key.Arn,
    keyState: key.KeyState,
    description: key.Description ?? "",
    keySpec: key.KeySpec ?? key.CustomerMasterKeySpec ?? "",
    keyUsage: key.KeyUsage,
    origin: key.Origin,
    multiRegion: key.MultiRegion ?? false,
    multiRegionConfiguration: multiRegionConfiguration(key.MultiRegionConfiguration),
    creationDate: key.CreationDate ?? null,
    deletionDate: key.DeletionDate ?? null,
    expirationModel: key.ExpirationModel ?? null,
    validTo: key.ValidTo ?? null,
    currentKeyMaterialId: key.CurrentKeyMaterialId ?? null,
  }
}

interface AnsweredRegion {
  readonly Arn?: string | undefined
  readonly Region?: string | undefined
}

function multiRegionConfiguration(
  configuration:
    | {
        MultiRegionKeyType?: string | undefined
        PrimaryKey?: AnsweredRegion | undefined
        ReplicaKeys?: (AnsweredRegion | undefined)[] | undefined
      }
    | undefined,
): MultiRegionConfiguration | null {
  const regional = ({ Arn: arn, Region: region }: AnsweredRegion = {}): RegionalKey[] =>
    arn === undefined || region === undefined ? [] : [{ arn, region }]
  const type = configuration?.MultiRegionKeyType
  const [primary] = regional(configuration?.PrimaryKey)
  if ((type !== "PRIMARY" && type !== "REPLICA") || primary === undefined) return null
  return { type, primary, replicas: (configuration?.ReplicaKeys ?? []).flatMap((replica) => regional(replica)) }
}

const rotation = z
  .object({
    KeyId: keyName.optional(),
    KeyMaterialId: keyMaterialId,
    ImportState: word.optional(),
    KeyMaterialState: word.optional(),
    ExpirationModel: expirationModel,
    ValidTo: date.optional(),
    RotationDate: date.optional(),
    RotationType: word.optional(),
  })
  .transform((entry): { readonly keyName: string | undefined; readonly rotation: KeyRotation } => ({
    keyName: entry.KeyId,
    rotation: {
      keyMaterialId: entry.KeyMaterialId,
      importState: entry.ImportState ?? null,
      keyMaterialState: entry.KeyMaterialState ?? null,
      expirationModel: entry.ExpirationModel ?? null,
      validTo: entry.ValidTo ?? null,
      rotationDate: entry.RotationDate ?? null,
      rotationType: entry.RotationType ?? null,
    },
  }))

const page = { NextMarker: text(8192).optional(), Truncated: z.boolean("is no boolean").optional() }
const keyNamed = { KeyId: keyName.optional() }

export const ANSWERS = {
  CreateKey: z.object({ KeyMetadata: keyMetadata }),
  DescribeKey: z.object({ KeyMetadata: keyMetadata }),
  ReplicateKey: z.object({ ReplicaKeyMetadata: keyMetadata }),
  ListKeys: z.object({ Keys: z.array(z.object({ KeyId: keyId, KeyArn: keyArn })), ...page }),
  ListResourceTags: z.object({
    Tags: z.array(z.object({ TagKey: text(128).min(1, "is empty"), TagValue: text(256) })),
    ...page,
  }),
  ListAliases: z.object({
    Aliases: z.array(
      z.object({
        AliasName: z.string("is no text").regex(/^alias\/[A-Za-z0-9/_-]{1,250}$/, "is no alias"),
        TargetKeyId: keyId.optional(),
      }),
    ),
    ...page,
  }),
  ListKeyRotations: z.object({ Rotations: z.array(rotation), ...page }),
  GetKeyPolicy: z.object({ Policy: text(131_072).min(1, "is empty") }),
  GetKeyLastUsage: z.object({
    ...keyNamed,
    KeyLastUsage: z.object({ Operation: word, Timestamp: date }).optional(),
    TrackingStartDate: date.optional(),
  }),
  ScheduleKeyDeletion: z.object({ ...keyNamed, DeletionDate: date.optional() }),
  GetParametersForImport: z.object({
    KeyId: keyName,
    ImportToken: bytes(6144),
    PublicKey: bytes(4096),
    ParametersValidTo: date.optional(),
  }),
  // before June 2025 KMS answered nothing, and so do emulators of that time
  ImportKeyMaterial: z.object({ ...keyNamed, KeyMaterialId: keyMaterialId.optional() }),
  DeleteImportedKeyMaterial: z.object({ ...keyNamed, KeyMaterialId: keyMaterialId.optional() }),
  RotateKeyOnDemand: z.object(keyNamed),
  GetKeyRotationStatus: z.object({ ...keyNamed, OnDemandRotationStartDate: date.optional() }),
  GetPublicKey: z.object({ ...keyNamed, PublicKey: bytes(8192) }),
  VerifyMac: z.object({ ...keyNamed, MacValid: z.boolean("is no boolean"), MacAlgorithm: word.optional() }),
  Sign: z.object({ ...keyNamed, Signature: bytes(6144), SigningAlgorithm: word.optional() }),
  GetCallerIdentity: z
    .object({
      Account: z.string("is no text").regex(/^\d{12}$/, "is no account number"),
      Arn: z.string("is no text").regex(/^arn:[a-z0-9-]+:(iam|sts)::\d{12}:\S{1,512}$/, "is no ARN of an identity"),
    })
    .refine(({ Account, Arn }) => Arn.split(":")[4] === Account, "names two accounts"),
  /** Of operations that answer nothing. */
  nothing: z.object({}),
} as const

/** What is wrong with an answer, in words that quote nothing of it: it may hold an import token. */
export function faultIn({ issues: [issue] }: z.ZodError): string {
  const path = (issue?.path ?? []).map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("")
  const field = path === "" ? "it" : path.replace(/^\./, "")
  const missing = issue?.code === "invalid_type" && issue.input === undefined
  return `${field} ${missing ? "is missing" : (issue?.message ?? "is wrong")}`
}
