import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const fortanix = {
  family: "fortanix",
  title: "Fortanix DSM",
  match: { manufacturer: ["Fortanix"] },
  kwp: STANDARD_KWP,
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "unverified",
  source: "no measurement",
  notes: ["the PIN is an API key", "a group's quorum policy may hold a request back"],
} as const satisfies TokenProfile
