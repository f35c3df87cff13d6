import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const tpm2 = {
  family: "tpm2",
  title: "tpm2-pkcs11",
  match: { library: ["TPM2.0 Cryptoki"] },
  kwp: STANDARD_KWP,
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 2,
  serialStore: false,
  evidence: "measured",
  source: "1.9: no C_GenerateKey, no C_WrapKey",
  notes: ["cannot wrap keys, so it cannot carry any to KMS"],
} as const satisfies TokenProfile
