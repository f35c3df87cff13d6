import type { TokenProfile } from "./profile.js"

export const cloudhsm = {
  family: "cloudhsm",
  title: "AWS CloudHSM (Client SDK 5)",
  match: { manufacturer: ["Marvell Semiconductors, Inc.", "Cavium", "AWS CloudHSM"] },
  kwp: ["CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD", "CKM_AES_KEY_WRAP_KWP"],
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: ["signRecover", "verifyRecover"],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "vendor documents",
  source: "AWS CloudHSM User Guide, supported mechanisms and known issues of the PKCS #11 library",
  notes: [
    "the PIN is user:password",
    "a wrapped key's owner must be the crypto user that wraps it",
    "attributes cannot be changed after creation",
  ],
} as const satisfies TokenProfile
