import { createHash } from "node:crypto"
import type { TokenInfo } from "../core/token/token-info.js"
import type { MechanismName } from "./cryptoki/mechanisms.js"

/** How far a profile's claims were checked; the self-test decides on each token whatever this says. */
export type Evidence = "measured" | "source read" | "vendor documents" | "unverified"

/**
 * What is known of a token family: data, in which order to try things and what the family refuses. Nothing in it is
 * believed without the self-test (invariant I9), and a token that fits no family is treated as {@link GENERIC} says.
 */
export interface TokenProfile {
  /** The name by which `profile` in a configuration file chooses it, whatever the token says of itself. */
  readonly family: string
  /** For the table of supported tokens. */
  readonly title: string
  /** Any of these starts the field of CK_TOKEN_INFO or CK_INFO (case ignored); every field named must fit. */
  readonly match: {
    readonly manufacturer?: readonly string[]
    readonly model?: readonly string[]
    readonly library?: readonly string[]
  }
  /** Where the vendor's installation or Debian puts the module on Linux, for a first configuration file. */
  readonly modulePath: string
  /** What the module wants at C_Initialize, for a first configuration file; null for nothing. */
  readonly libraryParameters: string | null
  /** Candidates for RFC 5649, in the order in which they are tried; `cryptoki/mechanisms.ts` has their numbers. */
  readonly kwp: readonly MechanismName[]
  /** Usages besides WRAP that the token wants true on a wrapping public key before it wraps under it. */
  readonly wrappingKeyUsages: readonly ("encrypt" | "verify")[]
  /** Usages that the token wants true on the public half when it generates a pair with all others false. */
  readonly publicHalfUsages: readonly ("encrypt" | "verify" | "wrap")[]
  /** CKA_PRIVATE of public keys: of the wrapping key that is brought in, and of the public half of a pair. */
  readonly publicKeysPrivate: boolean
  /** Usage attributes that the token does not know, so that a template must not state them. */
  readonly unknownUsages: readonly ("signRecover" | "verifyRecover")[]
  /** Attributes that the token refuses in an unwrap template, and sets as keyferry wants them by itself. */
  readonly unwrapUnstated: readonly "extractable"[]
  /** Whether an EC private key comes in only with CKA_NSS_DB, its public point. */
  readonly unwrapWantsPoint: boolean
  /** Whether the PIN is `user:password`, of which the token's limits of length count the password alone. */
  readonly pinHasUser: boolean
  /** Sessions lent at one time, besides the one that keeps the login. */
  readonly sessions: number
  /** Whether a search fails the creation of a token object that runs beside it. */
  readonly serialStore: boolean
  readonly evidence: Evidence
  /** Where the claims are from. */
  readonly source: string
  /** What an operator should know of the family, for the table of tokens. */
  readonly notes: readonly string[]
}

/** A token of no known family, and what a row of {@link VENDORS} has where it states nothing else. */
export const GENERIC: TokenProfile = {
  family: "generic",
  title: "any other PKCS #11 token",
  match: {},
  modulePath: "/path/to/pkcs11-module.so",
  libraryParameters: null,
  // under the number of PKCS #11 v3.0, then under the one that some vendors took before
  kwp: ["CKM_AES_KEY_WRAP_KWP", "CKM_AES_KEY_WRAP_PAD"],
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  publicKeysPrivate: false,
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  pinHasUser: false,
  sessions: 8,
  serialStore: false,
  evidence: "unverified",
  source: "PKCS #11 v3.1 section 6.13",
  notes: ["the self-test decides what it can carry"],
}

/** What every row states; of the other columns only those in which the family differs from {@link GENERIC}. */
type VendorRow = Pick<TokenProfile, "title" | "match" | "modulePath" | "evidence" | "source" | "notes"> &
  Partial<Omit<TokenProfile, "family">>

/** By family. To add a vendor, add a row and run `npm run docs`. */
const VENDORS: Readonly<Record<string, VendorRow>> = {
  softhsm2: {
    title: "SoftHSM 2",
    match: { manufacturer: ["SoftHSM project"] },
    modulePath: "/usr/lib/softhsm/libsofthsm2.so",
    kwp: ["CKM_AES_KEY_WRAP_PAD", "CKM_AES_KEY_WRAP_KWP"],
    serialStore: true,
    evidence: "measured",
    // 2.6.1: C_FindObjectsInit beside C_GenerateKey of a token object, in another thread, fails it now and then (0x5)
    source: "2.6.1 and 2.7.0; SoftHSM.cpp MechParamCheckRSAPKCSOAEP and WrapKeySym",
    notes: [
      "OAEP with SHA-1 only",
      "2.6.1 pads the value with zero bytes before RFC 5649, so only lengths that are multiples of 8 come out right",
      "slot numbers are random: select by token label or serial",
      "a wrong PIN never locks it",
    ],
  },
  nss: {
    title: "NSS softokn",
    match: { manufacturer: ["Mozilla Foundation"] },
    modulePath: "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    libraryParameters: "configdir='sql:/var/lib/keyferry/nss' certPrefix='' keyPrefix='' secmod='secmod.db'",
    kwp: ["CKM_AES_KEY_WRAP_KWP"],
    unwrapWantsPoint: true,
    evidence: "measured",
    source: "3.87 and 3.131; lib/softoken/pkcs11c.c",
    notes: [
      "wants library parameters at C_Initialize (x-library-parameters in the URI)",
      "CKA_EXTRACTABLE=false and CKA_WRAP_WITH_TRUSTED are not enforced",
      "no secp256k1",
      "CKM_AES_KEY_WRAP_PAD is RFC 3394 with PKCS #7 padding",
    ],
  },
  opencryptoki: {
    title: "openCryptoki (Soft, ICA)",
    match: { manufacturer: ["IBM"] },
    modulePath: "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so",
    kwp: ["CKM_AES_KEY_WRAP_KWP"],
    unwrapUnstated: ["extractable"],
    evidence: "measured",
    source: "soft token of 3.8.1 and 3.27; mech_aes.c",
    notes: [
      "locks the user PIN at the third wrong one",
      "3.8.1 has neither elliptic curves, nor RFC 5649, nor HMAC by SHA-224; RFC 5649 and RSA-AES came with 3.25",
      "soft tokens have no serial: two of one label are told apart by slot-id",
      "Ed25519 keys leave as malformed PKCS #8",
      "CKM_AES_KEY_WRAP_PAD is RFC 3394 with PKCS #7 padding to 16 bytes",
    ],
  },
  kryoptic: {
    title: "Kryoptic",
    match: { manufacturer: ["Kryoptic"] },
    modulePath: "/usr/lib64/pkcs11/libkryoptic_pkcs11.so",
    kwp: ["CKM_AES_KEY_WRAP_KWP"],
    evidence: "source read",
    source: "src/aes.rs, src/rsa.rs, src/key.rs",
    notes: ["a CKA_WRAP_WITH_TRUSTED key can never be wrapped: CKA_TRUSTED cannot be set"],
  },
  cloudhsm: {
    title: "AWS CloudHSM (Client SDK 5)",
    match: { manufacturer: ["Marvell Semiconductors, Inc.", "Cavium", "AWS CloudHSM"] },
    modulePath: "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so",
    kwp: ["CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD", "CKM_AES_KEY_WRAP_KWP"],
    publicKeysPrivate: true,
    unknownUsages: ["signRecover", "verifyRecover"],
    pinHasUser: true,
    evidence: "vendor documents",
    source: "AWS CloudHSM User Guide, supported mechanisms and known issues of the PKCS #11 library",
    notes: [
      "the PIN is user:password",
      "CKA_PRIVATE is true of public keys too",
      "a wrapped key's owner must be the crypto user that wraps it",
      "attributes cannot be changed after creation",
    ],
  },
  luna: {
    title: "Thales Luna 7",
    match: { manufacturer: ["Safenet", "Thales", "Gemalto"] },
    modulePath: "/usr/safenet/lunaclient/lib/libCryptoki2_64.so",
    kwp: ["CKM_LUNA_AES_KWP", "CKM_AES_KEY_WRAP_KWP"],
    wrappingKeyUsages: ["encrypt"],
    evidence: "vendor documents",
    source: "Luna SDK reference CKM_AES_KWP; Luna and AWS KMS integration guide",
    notes: ["the partition policy must allow wrapping of private keys", "FIPS policy may forbid SHA-1 OAEP"],
  },
  nshield: {
    title: "Entrust nShield",
    match: { manufacturer: ["nCipher", "Entrust"] },
    modulePath: "/opt/nfast/toolkits/pkcs11/libcknfast.so",
    wrappingKeyUsages: ["encrypt"],
    evidence: "vendor documents",
    source: "nShield PKCS #11 guide; Mastercard pkcs11-tools issues 77 and 90 (measured by others on hardware)",
    notes: [
      "the accelerator slot takes no login and holds no private objects",
      "CKNFAST_OVERRIDE_SECURITY_ASSURANCES may be needed to make extractable keys",
    ],
  },
  utimaco: {
    title: "Utimaco SecurityServer, u.trust",
    match: { manufacturer: ["Utimaco"] },
    modulePath: "/usr/lib/utimaco/libcs_pkcs11_R3.so",
    evidence: "unverified",
    source: "no measurement; the vendor's simulator would allow one",
    notes: ["configuration file named by CS_PKCS11_R3_CFG"],
  },
  yubihsm2: {
    title: "YubiHSM 2",
    match: { manufacturer: ["Yubico"] },
    modulePath: "/usr/lib/x86_64-linux-gnu/pkcs11/yubihsm_pkcs11.so",
    sessions: 4,
    evidence: "source read",
    source: "yubihsm-shell pkcs11/util_pkcs11.c check_wrap_mechanism",
    notes: [
      "wraps by CKM_RSA_AES_KEY_WRAP alone (firmware 2.4): the native path",
      "the PIN is four hexadecimal digits of the authentication key's id and the password",
      "sixteen sessions in all",
    ],
  },
  primus: {
    title: "Securosys Primus",
    match: { manufacturer: ["Securosys"] },
    modulePath: "/usr/local/primus/lib/libprimusP11.so",
    evidence: "unverified",
    source: "Securosys PKCS #11 provider documentation",
    notes: ["the partition policy must allow key export"],
  },
  fortanix: {
    title: "Fortanix DSM",
    match: { manufacturer: ["Fortanix"] },
    modulePath: "/opt/fortanix/pkcs11/fortanix_pkcs11.so",
    evidence: "unverified",
    source: "no measurement",
    notes: ["the PIN is an API key", "a group's quorum policy may hold a request back"],
  },
  tpm2: {
    title: "tpm2-pkcs11",
    match: { library: ["TPM2.0 Cryptoki"] },
    modulePath: "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1",
    sessions: 2,
    evidence: "measured",
    source: "1.9: no C_GenerateKey, no C_WrapKey",
    notes: ["cannot wrap keys, so it cannot carry any to KMS"],
  },
}

/** Every profile, the generic one last. */
export const TOKEN_PROFILES: readonly TokenProfile[] = [
  ...Object.entries(VENDORS).map(([family, row]) => ({ ...GENERIC, family, ...row })),
  GENERIC,
]

/** The first profile whose fields fit what the token says of itself; the generic one if none does. */
export function profileOf(info: TokenInfo): TokenProfile {
  return TOKEN_PROFILES.find(({ match }) => fits(match, info)) ?? GENERIC
}

function fits(match: TokenProfile["match"], info: TokenInfo): boolean {
  return (Object.entries(match) as [keyof typeof match, readonly string[]][]).every(([field, prefixes]) =>
    prefixes.some((prefix) => info[field].toLowerCase().startsWith(prefix.toLowerCase())),
  )
}

/** SHA-256 of everything in the profile, hex: a changed profile makes cached verdicts void. */
export function profileDigest(profile: TokenProfile): string {
  return createHash("sha256").update(JSON.stringify(profile)).digest("hex")
}

export function profileFamilies(): readonly string[] {
  return TOKEN_PROFILES.map(({ family }) => family)
}

/** The profile of that family; undefined if there is none. */
export function profileNamed(family: string): TokenProfile | undefined {
  return TOKEN_PROFILES.find((profile) => profile.family === family)
}
