import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const generic = {
  family: "generic",
  title: "any other PKCS #11 token",
  match: {},
  kwp: STANDARD_KWP,
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "unverified",
  source: "PKCS #11 v3.1 section 6.13",
  notes: ["the self-test decides what it can carry"],
} as const satisfies TokenProfile
