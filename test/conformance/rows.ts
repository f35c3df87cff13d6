/**
 * What AWS KMS was recorded to answer, letter for letter, as data: any endpoint can be asked (conformance.test.ts).
 *
 * In requests and answers `<symmetric>` is the ARN of the key of that name, `<symmetric.id>` its key material ID,
 * `<bytes 32>` so many bytes, `<hours 24>` a time so far ahead, `<hex>` 64 hexadecimal digits, and `<material>` in an answer
 * whatever key material ID stands there.
 */
export interface ConformanceRow {
  readonly title: string
  /** An operation of KMS in the spelling of the SDK's methods; `import` wraps key material and imports it. */
  readonly operation: string
  readonly request: Readonly<Record<string, unknown>>
  readonly answer: Answer
  /** Asked in a Region of China, where the keys `<sm4>`, `<sm2>` and `<china rsa>` are. */
  readonly china?: true
}

type Answer =
  /** Error name and message; empty where KMS sends none, null where what it sends is not recorded. */
  | { readonly error: string; readonly message: string | null }
  /** Members that the answer has, among others; a member that is undefined is missing. */
  | { readonly members: Readonly<Record<string, unknown>> }

const error = (name: string, message: string | null = ""): Answer => ({ error: `${name}Exception`, message })
const invalid = (message = ""): Answer => error("Validation", message)
const members = (of: Readonly<Record<string, unknown>>): Answer => ({ members: of })
const row = (title: string, operation: string, request: ConformanceRow["request"], answer: Answer): ConformanceRow => ({
  title,
  operation,
  request,
  answer,
})

const TEXT = "<bytes 16>"
const EC = "ECDSA_SHA_256"
const NEW = { ImportType: "NEW_KEY_MATERIAL" }
const INCOMPATIBLE = (algorithm: string, keySpec: string): Answer =>
  error("InvalidKeyUsage", `Algorithm ${algorithm} is incompatible with key spec ${keySpec}.`)
const WRAPPING = (algorithm: string, spec: string, keySpec: string): Answer =>
  invalid(`Wrapping algorithm ${algorithm} and wrapping key spec ${spec} cannot be used to import a ${keySpec} key.`)

const IMPORTING: readonly ConformanceRow[] = [
  row(
    "ImportType for HMAC",
    "import",
    { KeyId: "<hmac>", ...NEW },
    invalid("Input parameter importType cannot be used with HMAC_256 imported keys."),
  ),
  row(
    "KeyMaterialId for HMAC",
    "import",
    { KeyId: "<hmac>", KeyMaterialId: "<hex>" },
    invalid("Input parameter keyMaterialId cannot be used with HMAC_256 imported keys."),
  ),
  row(
    "KeyMaterialDescription for RSA",
    "import",
    { KeyId: "<rsa>", KeyMaterialDescription: "x" },
    invalid("Input parameter keyMaterialDescription cannot be used with RSA_2048 imported keys."),
  ),
  row(
    "an ID with new material",
    "import",
    { KeyId: "<symmetric>", ...NEW, KeyMaterialId: "<hex>" },
    invalid("Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType."),
  ),
  row(
    "new material that is current",
    "import",
    { KeyId: "<symmetric>", ...NEW },
    error(
      "IncorrectKeyMaterial",
      "Key material (id: <symmetric.id>) being imported as NEW_KEY_MATERIAL is already associated with KMS key <symmetric>.",
    ),
  ),
  row(
    "new material that is pending",
    "import",
    { KeyId: "<staged>", ...NEW },
    error(
      "IncorrectKeyMaterial",
      "Key material (id: <staged.id>) being imported as NEW_KEY_MATERIAL is already associated with KMS key <staged>.",
    ),
  ),
  row(
    "a second pending material",
    "import",
    { KeyId: "<staged>", material: "<bytes 32>", ...NEW },
    error(
      "KMSInvalidState",
      "New key material (id: <material>) cannot be imported into KMS key <staged>, because another key material (id: <staged.id>) is pending rotation.",
    ),
  ),
  row(
    "other material as existing",
    "import",
    { KeyId: "<symmetric>", material: "<bytes 32>" },
    error("IncorrectKeyMaterial", "Imported key material does not have the expected identifier (<symmetric.id>)."),
  ),
  row(
    "other material than the ID says",
    "import",
    { KeyId: "<symmetric>", KeyMaterialId: "<hex>" },
    error("IncorrectKeyMaterial", "Imported key material does not have the expected identifier (<hex>)."),
  ),
  row(
    "no ValidTo",
    "import",
    { KeyId: "<symmetric>", ExpirationModel: "KEY_MATERIAL_EXPIRES" },
    invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"),
  ),
  row(
    "no ValidTo and no ExpirationModel",
    "import",
    { KeyId: "<symmetric>", ExpirationModel: undefined },
    invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"),
  ),
  row(
    "ValidTo without expiry",
    "import",
    { KeyId: "<symmetric>", ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE", ValidTo: "<hours 24>" },
    invalid("A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"),
  ),
  row(
    "ValidTo in the past",
    "import",
    { KeyId: "<symmetric>", ValidTo: "<hours -1>" },
    invalid("ValidTo must be in the future"),
  ),
  row(
    "ValidTo in 365 days and more",
    "import",
    { KeyId: "<symmetric>", ValidTo: "<hours 8761>" },
    invalid("ValidTo must be less than 365 days in the future"),
  ),
  row("AES of 31 bytes", "import", { KeyId: "<empty>", material: "<bytes 31>" }, error("InvalidCiphertext")),
  row(
    "an import token that is none",
    "importKeyMaterial",
    {
      KeyId: "<symmetric>",
      ImportToken: "<bytes 64>",
      EncryptedKeyMaterial: "<bytes 256>",
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    },
    error("InvalidImportToken"),
  ),
  row(
    "the answer for a symmetric key",
    "import",
    { KeyId: "<symmetric>" },
    members({ KeyId: "<symmetric>", KeyMaterialId: "<symmetric.id>" }),
  ),
  row(
    "the answer for an HMAC key",
    "import",
    { KeyId: "<hmac>" },
    members({ KeyId: "<hmac>", KeyMaterialId: undefined }),
  ),
  row(
    "deleting what was never imported",
    "deleteImportedKeyMaterial",
    { KeyId: "<symmetric>", KeyMaterialId: "<hex>" },
    invalid("Key material (id: <hex>) has never been imported into KMS key <symmetric>."),
  ),
  row("deleting where there is none", "deleteImportedKeyMaterial", { KeyId: "<empty>" }, members({ KeyId: "<empty>" })),
]

const WRAPPINGS: readonly ConformanceRow[] = [
  row(
    "P-521 by OAEP under 2048 bits",
    "getParametersForImport",
    { KeyId: "<p521>", WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" },
    WRAPPING("RSAES_OAEP_SHA_256", "RSA_2048", "ECC_NIST_P521"),
  ),
  row(
    "Ed25519 by OAEP under 2048 bits",
    "getParametersForImport",
    { KeyId: "<ed25519>", WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" },
    WRAPPING("RSAES_OAEP_SHA_256", "RSA_2048", "ECC_NIST_EDWARDS25519"),
  ),
  row(
    "Ed25519 by OAEP under 3072 bits",
    "getParametersForImport",
    { KeyId: "<ed25519>", WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_3072" },
    members({ KeyId: "<ed25519>" }),
  ),
  row(
    "RSA by OAEP",
    "getParametersForImport",
    { KeyId: "<rsa>", WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_4096" },
    WRAPPING("RSAES_OAEP_SHA_256", "RSA_4096", "RSA_2048"),
  ),
  row(
    "AES by RSA-AES",
    "getParametersForImport",
    { KeyId: "<symmetric>", WrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256", WrappingKeySpec: "RSA_4096" },
    WRAPPING("RSA_AES_KEY_WRAP_SHA_256", "RSA_4096", "SYMMETRIC_DEFAULT"),
  ),
]

const ROTATING: readonly ConformanceRow[] = [
  row(
    "nothing to rotate",
    "rotateKeyOnDemand",
    { KeyId: "<symmetric>" },
    error("KMSInvalidState", "No available key material pending rotation for the key: <symmetric>."),
  ),
  row("rotation of another kind of key", "rotateKeyOnDemand", { KeyId: "<hmac>" }, error("UnsupportedOperation")),
  row(
    "automatic rotation on",
    "enableKeyRotation",
    { KeyId: "<symmetric>" },
    error("UnsupportedOperation", "<symmetric> origin is EXTERNAL which is not valid for this operation."),
  ),
  row(
    "automatic rotation off",
    "disableKeyRotation",
    { KeyId: "<symmetric>" },
    error("UnsupportedOperation", "<symmetric> origin is EXTERNAL which is not valid for this operation."),
  ),
  row(
    "IncludeKeyMaterial for RSA",
    "listKeyRotations",
    { KeyId: "<rsa>", IncludeKeyMaterial: "ALL_KEY_MATERIAL" },
    invalid("Input parameter includeKeyMaterial can only be used with symmetric keys."),
  ),
]

const KEYS: readonly ConformanceRow[] = [
  row(
    "an ML-DSA key",
    "createKey",
    { Origin: "EXTERNAL", KeySpec: "ML_DSA_44", KeyUsage: "SIGN_VERIFY" },
    invalid("KeySpec ML_DSA_44 is not supported for Origin EXTERNAL"),
  ),
  row(
    "no KeyUsage",
    "createKey",
    { Origin: "EXTERNAL", KeySpec: "RSA_2048" },
    invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."),
  ),
  row(
    "more than 50 tags",
    "createKey",
    { Origin: "EXTERNAL", Tags: Array.from({ length: 51 }, (_, at) => ({ TagKey: `t${at}`, TagValue: "" })) },
    error("Tag", "Too many tags"),
  ),
  row(
    "a tag of AWS",
    "tagResource",
    { KeyId: "<symmetric>", Tags: [{ TagKey: "aws:x", TagValue: "" }] },
    error("Tag", "Tags beginning with aws: are reserved"),
  ),
  row("a KeyId that is none", "describeKey", { KeyId: "no key" }, error("NotFound", "Invalid keyId 'no key'")),
  row(
    "an alias without its prefix",
    "createAlias",
    { AliasName: "payments", TargetKeyId: "<symmetric>" },
    invalid(
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    ),
  ),
  row(
    "what an Ed25519 key signs by",
    "describeKey",
    { KeyId: "<ed25519>" },
    members({ "KeyMetadata.SigningAlgorithms": ["ED25519_SHA_512", "ED25519_PH_SHA_512"] }),
  ),
  row(
    "an empty key",
    "describeKey",
    { KeyId: "<empty>" },
    members({
      "KeyMetadata.KeyState": "PendingImport",
      "KeyMetadata.Enabled": false,
      "KeyMetadata.ExpirationModel": undefined,
      "KeyMetadata.ValidTo": undefined,
      "KeyMetadata.CurrentKeyMaterialId": undefined,
    }),
  ),
]

const USING: readonly ConformanceRow[] = [
  row(
    "use before import",
    "encrypt",
    { KeyId: "<empty>", Plaintext: TEXT },
    error("KMSInvalidState", "<empty> is pending import."),
  ),
  row(
    "use of a key that is to be deleted",
    "encrypt",
    { KeyId: "<doomed>", Plaintext: TEXT },
    error("KMSInvalidState", "<doomed> is pending deletion."),
  ),
  row(
    "the public key of a disabled key",
    "getPublicKey",
    { KeyId: "<disabled>" },
    members({ KeyId: "<disabled>", KeySpec: "ECC_NIST_P256" }),
  ),
  row("the public key of a symmetric key", "getPublicKey", { KeyId: "<symmetric>" }, error("UnsupportedOperation")),
  row(
    "RSA Encrypt with an empty context",
    "encrypt",
    { KeyId: "<rsa>", Plaintext: TEXT, EncryptionAlgorithm: "RSAES_OAEP_SHA_256", EncryptionContext: {} },
    members({ KeyId: "<rsa>" }),
  ),
  row(
    "RSA Encrypt with a context",
    "encrypt",
    { KeyId: "<rsa>", Plaintext: TEXT, EncryptionAlgorithm: "RSAES_OAEP_SHA_256", EncryptionContext: { a: "b" } },
    invalid("EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs."),
  ),
  row(
    "RSA Decrypt with a context",
    "decrypt",
    {
      KeyId: "<rsa>",
      CiphertextBlob: "<bytes 256>",
      EncryptionAlgorithm: "RSAES_OAEP_SHA_256",
      EncryptionContext: { a: "b" },
    },
    invalid("EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs."),
  ),
  row(
    "RSA Decrypt without an algorithm",
    "decrypt",
    { KeyId: "<rsa>", CiphertextBlob: "<bytes 256>" },
    error("InvalidCiphertext"),
  ),
  row(
    "RSA Decrypt without a key",
    "decrypt",
    { CiphertextBlob: "<bytes 256>", EncryptionAlgorithm: "RSAES_OAEP_SHA_256" },
    invalid("KeyId must not be null"),
  ),
  row(
    "an algorithm of another key spec",
    "sign",
    { KeyId: "<ec>", Message: TEXT, SigningAlgorithm: "RSASSA_PSS_SHA_256" },
    INCOMPATIBLE("RSASSA_PSS_SHA_256", "ECC_NIST_P256"),
  ),
  row(
    "a MAC algorithm of another key spec",
    "generateMac",
    { KeyId: "<hmac>", Message: TEXT, MacAlgorithm: "HMAC_SHA_512" },
    INCOMPATIBLE("HMAC_SHA_512", "HMAC_256"),
  ),
  row(
    "EXTERNAL_MU",
    "sign",
    { KeyId: "<ec>", Message: TEXT, SigningAlgorithm: EC, MessageType: "EXTERNAL_MU" },
    error("InvalidKeyUsage", "Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_P256."),
  ),
  row(
    "DryRun",
    "encrypt",
    { KeyId: "<symmetric>", Plaintext: TEXT, DryRun: true },
    error("DryRunOperation", "The request would have succeeded, but the DryRun option is set."),
  ),
  row("GenerateRandom without a length", "generateRandom", {}, invalid("NumberOfBytes is required.")),
  row(
    "GenerateDataKey without a length",
    "generateDataKey",
    { KeyId: "<symmetric>" },
    invalid("NumberOfBytes is required."),
  ),
  row(
    "ECDH with what is no public key",
    "deriveSharedSecret",
    { KeyId: "<agreement>", PublicKey: "<bytes 64>", KeyAgreementAlgorithm: "ECDH" },
    invalid(),
  ),
]

const REPLICATING: readonly ConformanceRow[] = [
  row(
    "a replica beside its primary key",
    "replicateKey",
    { KeyId: "<multi>", ReplicaRegion: "<region>" },
    invalid("<region> cannot have a replica because it contains the primary."),
  ),
  row(
    "a replica in another partition",
    "replicateKey",
    { KeyId: "<multi>", ReplicaRegion: "cn-north-1" },
    invalid("The replica key Region must be in the same AWS partition as the primary key Region."),
  ),
  row(
    "a replica in no Region",
    "replicateKey",
    { KeyId: "<multi>", ReplicaRegion: "xx-nowhere-1" },
    invalid("Region xx-nowhere-1 is not a valid Region or multi-Region keys are not supported in Region xx-nowhere-1."),
  ),
  row(
    "a replica of a key of one Region",
    "replicateKey",
    { KeyId: "<symmetric>", ReplicaRegion: "<replica region>" },
    error("UnsupportedOperation", "<symmetric> is not a multi-region primary key."),
  ),
  row(
    "another primary Region of such a key",
    "updatePrimaryRegion",
    { KeyId: "<symmetric>", PrimaryRegion: "<replica region>" },
    error("UnsupportedOperation", "<symmetric> is not a multi-region primary key."),
  ),
  row(
    "a replica without tags",
    "replicateKey",
    { KeyId: "<multi>", ReplicaRegion: "<replica region>" },
    members({
      "ReplicaKeyMetadata.KeyState": "Creating",
      "ReplicaKeyMetadata.CurrentKeyMaterialId": undefined,
      ReplicaTags: undefined,
    }),
  ),
]

const SM2 = { Origin: "EXTERNAL", KeySpec: "SM2", KeyUsage: "SIGN_VERIFY" }
const inChina = (...args: Parameters<typeof row>): ConformanceRow => ({ ...row(...args), china: true })

/** What is documented of the China Regions, and where a message was recorded of other Regions, that one. */
const CHINA: readonly ConformanceRow[] = [
  row("SM2 in another Region", "createKey", SM2, error("Validation", null)),
  inChina(
    "SM2",
    "createKey",
    SM2,
    members({
      "KeyMetadata.KeySpec": "SM2",
      "KeyMetadata.KeyState": "PendingImport",
      "KeyMetadata.SigningAlgorithms": ["SM2DSA"],
    }),
  ),
  inChina("32 bytes for SM4", "import", { KeyId: "<sm4>", material: "<bytes 32>" }, error("InvalidCiphertext")),
  inChina("16 bytes for SM4", "import", { KeyId: "<sm4>", material: "<bytes 16>" }, members({ KeyId: "<sm4>" })),
  ...["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"].map((WrappingAlgorithm) =>
    inChina(
      `${WrappingAlgorithm} for SM2`,
      "getParametersForImport",
      { KeyId: "<sm2>", WrappingAlgorithm, WrappingKeySpec: "RSA_2048" },
      members({ KeyId: "<sm2>" }),
    ),
  ),
  ...[
    ["sm2", "SM2"],
    ["china rsa", "RSA_2048"],
  ].map(([key = "", keySpec = ""]) =>
    inChina(
      `RSA_AES_KEY_WRAP for ${keySpec}`,
      "getParametersForImport",
      { KeyId: `<${key}>`, WrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256", WrappingKeySpec: "RSA_4096" },
      WRAPPING("RSA_AES_KEY_WRAP_SHA_256", "RSA_4096", keySpec),
    ),
  ),
]

/** By the part of what was recorded. */
export const CONFORMANCE: Readonly<Record<string, readonly ConformanceRow[]>> = {
  "importing key material": IMPORTING,
  "wrapping algorithms": WRAPPINGS,
  rotating: ROTATING,
  "keys, aliases and tags": KEYS,
  "using keys": USING,
  replicating: REPLICATING,
  "China Regions": CHINA,
}
