import { KeyferryError } from "./error.js"

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
const DURATION = /^(\d{1,9})([smhdw])$/
const INSTANT = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

/** ImportKeyMaterial: `ValidTo` must be less than 365 days ahead. */
const LONGEST_SECONDS = 365 * 86_400

/** Seconds of `90d`, `12h`, `30m`, `45s` or `2w`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = DURATION.exec(text) ?? []
  const seconds = UNIT_SECONDS[unit ?? ""]
  return count === undefined || seconds === undefined ? undefined : Number(count) * seconds
}

/** Seconds in the largest unit that gives a whole number: `90d`. */
export function durationText(seconds: number): string {
  const units = Object.entries(UNIT_SECONDS).filter(([unit]) => unit !== "w")
  const [unit, size] = units.findLast(([, unitSeconds]) => seconds > 0 && seconds % unitSeconds === 0) ?? ["s", 1]
  return `${seconds / size}${unit}`
}

/** Whether a duration is 365 days or more, which KMS refuses; not for `never` and a time. */
export function isTooLong(duration: string): boolean {
  return (parseDuration(duration) ?? 0) >= LONGEST_SECONDS
}

/**
 * The `ValidTo` for material that is imported `now`: from a duration (`90d`), a time with its zone (RFC 3339), or
 * `never`. KMS keeps whole seconds, so the result has no fraction.
 *
 * @throws ERR_EXPIRY_INVALID if it is neither, not in the future, or 365 days ahead or more
 */
export function validToFrom(expiresIn: string, now: Date): ValidTo {
  const nowSeconds = Math.floor(now.getTime() / 1000)
  const seconds = endSeconds(expiresIn, nowSeconds)
  if (seconds === null) return null
  if (seconds <= nowSeconds)
    throw new KeyferryError("ERR_EXPIRY_INVALID", `the expiry '${expiresIn}' is not in the future`)
  if (seconds - nowSeconds >= LONGEST_SECONDS) {
    throw new KeyferryError(
      "ERR_EXPIRY_INVALID",
      `the expiry '${expiresIn}' is 365 days ahead or more, which KMS refuses`,
    )
  }
  return new Date(seconds * 1000)
}

/**
 * Refuses what no clock makes an expiry: another form, and a duration of nothing or of 365 days and more. Whether a time
 * lies ahead only KMS can say ({@link validToFrom} with its time).
 *
 * @throws ERR_EXPIRY_INVALID
 */
export function checkExpiresIn(expiresIn: string): void {
  const isInstant = !Number.isNaN(instantSeconds(expiresIn))
  if (!isInstant) validToFrom(expiresIn, new Date(0))
}

/**
 * The same as {@link validToFrom} on a host without KMS, which judges it in the end: a time that is past by this host's
 * clock is taken.
 *
 * @throws ERR_EXPIRY_INVALID if it is neither duration, time nor `never`
 */
export function validToOffline(expiresIn: string, now: Date): ValidTo {
  checkExpiresIn(expiresIn)
  const seconds = endSeconds(expiresIn, Math.floor(now.getTime() / 1000))
  return seconds === null ? null : new Date(seconds * 1000)
}

/** Seconds since 1970; null for never. @throws ERR_EXPIRY_INVALID */
function endSeconds(expiresIn: string, nowSeconds: number): number | null {
  if (expiresIn === "never") return null
  const duration = parseDuration(expiresIn)
  const seconds = duration === undefined ? instantSeconds(expiresIn) : nowSeconds + duration
  if (Number.isNaN(seconds)) throw new KeyferryError("ERR_EXPIRY_INVALID", `'${expiresIn}' is no expiry`)
  return seconds
}

/** Seconds since 1970 of an RFC 3339 time; NaN for anything else, and for a day that its month does not have. */
export function instantSeconds(text: string): number {
  const [, day] = INSTANT.exec(text) ?? []
  // Date.parse takes 30 February for 2 March
  const midnight = day === undefined ? NaN : Date.parse(`${day}T00:00:00Z`)
  const isDay = !Number.isNaN(midnight) && new Date(midnight).toISOString().slice(0, 10) === day
  return isDay ? Math.floor(Date.parse(text) / 1000) : NaN
}

export function expirationModelOf(validTo: ValidTo): ExpirationModel {
  return validTo === null ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES"
}

/** RFC 3339 UTC in whole seconds, `2026-11-21T10:00:00Z`. */
export function rfc3339(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

export type ExpirationModel = "KEY_MATERIAL_EXPIRES" | "KEY_MATERIAL_DOES_NOT_EXPIRE"

/** When the material is to expire: a whole second, under 365 days ahead (ImportKeyMaterial `ValidTo`); null for never. */
export type ValidTo = Date | null
