import type { TokenProfile } from "./profile.js"

export const nss = {
  family: "nss",
  title: "NSS softokn",
  match: { manufacturer: ["Mozilla Foundation"] },
  kwp: ["CKM_AES_KEY_WRAP_KWP"],
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: true,
  sessions: 8,
  serialStore: false,
  evidence: "measured",
  source: "3.87 and 3.131; lib/softoken/pkcs11c.c",
  notes: [
    "wants library parameters at C_Initialize (x-library-parameters in the URI)",
    "CKA_EXTRACTABLE=false and CKA_WRAP_WITH_TRUSTED are not enforced",
    "no secp256k1",
    "CKM_AES_KEY_WRAP_PAD is RFC 3394 with PKCS #7 padding",
  ],
} as const satisfies TokenProfile
