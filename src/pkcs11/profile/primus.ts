import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const primus = {
  family: "primus",
  title: "Securosys Primus",
  match: { manufacturer: ["Securosys"] },
  kwp: STANDARD_KWP,
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "unverified",
  source: "Securosys PKCS #11 provider documentation",
  notes: ["the partition policy must allow key export"],
} as const satisfies TokenProfile
