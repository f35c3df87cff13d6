import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const nshield = {
  family: "nshield",
  title: "Entrust nShield",
  match: { manufacturer: ["nCipher", "Entrust"] },
  kwp: STANDARD_KWP,
  wrappingKeyUsages: ["encrypt"],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: false,
  evidence: "vendor documents",
  source: "nShield PKCS #11 guide; Mastercard pkcs11-tools issues 77 and 90 (measured by others on hardware)",
  notes: [
    "the accelerator slot takes no login and holds no private objects",
    "CKNFAST_OVERRIDE_SECURITY_ASSURANCES may be needed to make extractable keys",
  ],
} as const satisfies TokenProfile
