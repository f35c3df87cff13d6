import { randomBytes, scryptSync } from "node:crypto"

/**
 * Whose PIN it is. NSS databases all have one serial and label: what tells them apart is where the library looks. Tokens
 * without a serial are told apart by their slot.
 */
export interface PinToken {
  readonly serial: string
  readonly label: string
  readonly manufacturer: string
  /** CK_SLOT_ID, decimal, of a token that has no serial; null for one that has. */
  readonly slot: string | null
  /** What C_Initialize was given; null for nothing. */
  readonly libraryParameters: string | null
}

/** What tells a token from others, the same however the place of its NSS database is spelt. */
export function pinTokenIdentity({ serial, label, manufacturer, slot, libraryParameters }: PinToken): string {
  const [, , folder] = /\bconfigdir=(['"])(?:(?:sql|dbm):)?(.*?)\1/i.exec(libraryParameters ?? "") ?? []
  const place = folder?.replace(/(?<=.)\/+$/, "") ?? libraryParameters
  return JSON.stringify([serial, label, manufacturer, slot, place])
}

/** One PIN that a token did not take. */
export interface RefusedPin {
  /** {@link pinBits} of it; null where nobody knows which PIN it was, so that it may be any. */
  readonly bits: string | null
  /** `CKR_…` that C_Login answered; null where nobody saw it. */
  readonly answer: string | null
  readonly refusedAt: string
}

/** The note that a token refused PINs: of a PIN no more than 12 bits, of its source nothing. */
export interface PinMarker {
  readonly token: PinToken
  /** 16 bytes, hex. */
  readonly salt: string
  readonly refused: readonly RefusedPin[]
}

/** A presentation of a PIN that is under way: a kill of the process leaves it behind, for later runs to find. */
export interface PresentedPin {
  /** Its end is known. */
  end(): Promise<void>
}

/** Where refused PINs are remembered from one run to the next (invariant I6), one marker a token. */
export interface PinMarkers {
  get(token: PinToken): Promise<PinMarker | undefined>
  /** Durable when it returns. @throws ERR_STATE_WRITE */
  put(marker: PinMarker): Promise<void>
  remove(token: PinToken): Promise<void>
  /**
   * Notes that a PIN is about to be presented, with the PIN flags of CK_TOKEN_INFO before that. It outlives the process,
   * not a power cut: what is lost then costs one more try.
   *
   * @throws ERR_STATE_WRITE
   */
  presenting(token: PinToken, flags: number): Promise<PresentedPin>
  /** PIN flags before each presentation whose end nobody noted. */
  unfinished(token: PinToken): Promise<readonly number[]>
  /** Forgets those, their end being known otherwise. */
  forgetUnfinished(token: PinToken): Promise<void>
}

/**
 * 12 bits of a salted scrypt hash of the PIN, as three hexadecimal digits. So few tell next to nothing about the PIN, and
 * one in 4,096 other PINs is taken for it.
 */
export function pinBits(pin: string, salt: string): string {
  return scryptSync(pin, Buffer.from(salt, "hex"), 2).toString("hex").slice(0, 3)
}

/** 16 bytes, hex. */
export const newPinSalt = (): string => randomBytes(16).toString("hex")

/** CKF_USER_PIN_COUNT_LOW, _FINAL_TRY and _LOCKED of CK_TOKEN_INFO.flags (PKCS #11 v3.1 section 3.2). */
const PIN_FLAGS = 0x70000

/** Whether the token says, by a PIN flag that was not set before, that a wrong PIN was entered in between. */
export const hasWorsened = (before: number, after: number): boolean => (after & ~before & PIN_FLAGS) !== 0

/** Answers of a token whose connection broke, or that was busy: it may not have looked at the PIN. */
const PASSING: ReadonlySet<string> = new Set([
  "CKR_DEVICE_ERROR",
  "CKR_DEVICE_REMOVED",
  "CKR_FUNCTION_FAILED",
  "CKR_GENERAL_ERROR",
  "CKR_TOKEN_NOT_PRESENT",
])

/** What C_Login answered, and the token's flags around it. */
export interface LoginAnswer {
  /** `CKR_…` */
  readonly answer: string
  readonly flagsBefore: number
  readonly flagsAfter: number
}

/** Whether a process that has itself logged in with this PIN may present it again (invariant I6). */
export function isPassing({ answer, flagsBefore, flagsAfter }: LoginAnswer): boolean {
  return PASSING.has(answer) && !hasWorsened(flagsBefore, flagsAfter)
}
