import type { TokenProfile } from "./profile.js"

export const opencryptoki = {
  family: "opencryptoki",
  title: "openCryptoki (Soft, ICA)",
  match: { manufacturer: ["IBM"] },
  kwp: ["CKM_AES_KEY_WRAP_KWP"],
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: ["extractable"],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "measured",
  source: "soft token of 3.8.1 and 3.27; mech_aes.c",
  notes: [
    "locks the user PIN at the third wrong one",
    "3.8.1 has neither elliptic curves, nor RFC 5649, nor HMAC by SHA-224",
    "Ed25519 keys leave as malformed PKCS #8",
    "CKM_AES_KEY_WRAP_PAD is RFC 3394 with PKCS #7 padding to 16 bytes",
  ],
} as const satisfies TokenProfile
