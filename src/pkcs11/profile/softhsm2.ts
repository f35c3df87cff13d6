import type { TokenProfile } from "./profile.js"

export const softhsm2 = {
  family: "softhsm2",
  title: "SoftHSM 2",
  match: { manufacturer: ["SoftHSM project"] },
  kwp: ["CKM_AES_KEY_WRAP_PAD", "CKM_AES_KEY_WRAP_KWP"],
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 8,
  serialStore: true,
  evidence: "measured",
  // 2.6.1: C_FindObjectsInit beside C_GenerateKey of a token object, in another thread, fails it now and then (0x5)
  source: "2.6.1 and 2.7.0; SoftHSM.cpp MechParamCheckRSAPKCSOAEP and WrapKeySym",
  notes: [
    "OAEP with SHA-1 only",
    "2.6.1 pads the value with zero bytes before RFC 5649, so only lengths that are multiples of 8 come out right",
    "slot numbers are random: select by token label or serial",
    "a wrong PIN never locks it",
  ],
} as const satisfies TokenProfile
