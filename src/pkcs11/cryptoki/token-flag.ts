/** CKF_ flags of CK_TOKEN_INFO (PKCS #11 v3.1 section 3.2.3) and how they are said. */
export const TOKEN_FLAGS = {
  CKF_RNG: { bit: 0x1, words: "random number generator" },
  CKF_WRITE_PROTECTED: { bit: 0x2, words: "write protected" },
  CKF_LOGIN_REQUIRED: { bit: 0x4, words: "login required" },
  CKF_USER_PIN_INITIALIZED: { bit: 0x8, words: "user PIN set" },
  CKF_PROTECTED_AUTHENTICATION_PATH: { bit: 0x100, words: "PIN entered at the token" },
  CKF_TOKEN_INITIALIZED: { bit: 0x400, words: "initialised" },
  CKF_USER_PIN_COUNT_LOW: { bit: 0x10000, words: "a wrong user PIN was entered" },
  CKF_USER_PIN_FINAL_TRY: { bit: 0x20000, words: "last try for the user PIN" },
  CKF_USER_PIN_LOCKED: { bit: 0x40000, words: "user PIN locked" },
  CKF_USER_PIN_TO_BE_CHANGED: { bit: 0x80000, words: "user PIN must be changed" },
  CKF_SO_PIN_LOCKED: { bit: 0x400000, words: "security officer PIN locked" },
  CKF_ERROR_STATE: { bit: 0x1000000, words: "in an error state" },
} as const

export type TokenFlag = keyof typeof TOKEN_FLAGS

export function hasFlag(flags: number, flag: TokenFlag): boolean {
  return (flags & TOKEN_FLAGS[flag].bit) !== 0
}

/** The flags that are set, in words; and that the token is not initialised, which alone makes it useless. */
export function tokenFlags(flags: number): readonly string[] {
  const set = Object.values(TOKEN_FLAGS).filter(({ bit }) => (flags & bit) !== 0)
  const words = set.map((flag) => flag.words)
  return hasFlag(flags, "CKF_TOKEN_INITIALIZED") ? words : ["not initialised", ...words]
}
