import type { TokenProfile } from "./profile.js"

export const luna = {
  family: "luna",
  title: "Thales Luna 7",
  match: { manufacturer: ["Safenet", "Thales", "Gemalto"] },
  kwp: ["CKM_LUNA_AES_KWP", "CKM_AES_KEY_WRAP_KWP"],
  wrappingKeyUsages: ["encrypt"],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "vendor documents",
  source: "Luna SDK reference CKM_AES_KWP; Luna and AWS KMS integration guide",
  notes: ["the partition policy must allow wrapping of private keys", "FIPS policy may forbid SHA-1 OAEP"],
} as const satisfies TokenProfile
