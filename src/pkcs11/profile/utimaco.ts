import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const utimaco = {
  family: "utimaco",
  title: "Utimaco SecurityServer, u.trust",
  match: { manufacturer: ["Utimaco"] },
  kwp: STANDARD_KWP,
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "unverified",
  source: "no measurement; the vendor's simulator would allow one",
  notes: ["configuration file named by CS_PKCS11_R3_CFG"],
} as const satisfies TokenProfile
