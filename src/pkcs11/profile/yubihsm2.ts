import { STANDARD_KWP, type TokenProfile } from "./profile.js"

export const yubihsm2 = {
  family: "yubihsm2",
  title: "YubiHSM 2",
  match: { manufacturer: ["Yubico"] },
  kwp: STANDARD_KWP,
  wrappingKeyUsages: [],
  publicHalfUsages: [],
  unknownUsages: [],
  unwrapUnstated: [],
  unwrapWantsPoint: false,
  sessions: 4,
  serialStore: false,
  evidence: "source read",
  source: "yubihsm-shell pkcs11/util_pkcs11.c check_wrap_mechanism",
  notes: [
    "wraps by CKM_RSA_AES_KEY_WRAP alone (firmware 2.4): the native path",
    "the PIN is four hexadecimal digits of the authentication key's id and the password",
    "sixteen sessions in all",
  ],
} as const satisfies TokenProfile
