import type { TokenProfile } from "./profile.js"

export const kryoptic = {
  family: "kryoptic",
  title: "Kryoptic",
  match: { manufacturer: ["Kryoptic"] },
  kwp: ["CKM_AES_KEY_WRAP_KWP"],
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "source read",
  source: "src/aes.rs, src/rsa.rs, src/key.rs",
  notes: ["a CKA_WRAP_WITH_TRUSTED key can never be wrapped: CKA_TRUSTED cannot be set"],
} as const satisfies TokenProfile
