/** How old the newest archive of a state directory is (`state export`), and what came after it. */
export interface StateBackup {
  /** RFC 3339 UTC; null where none was ever made. */
  readonly exportedAt: string | null
  /** Lines of the custody log that are in no archive; null where that cannot be told. */
  readonly linesSince: number | null
}

const DAY_MS = 86_400_000

/** Days after which an archive is old, where something was done since. */
const OLD_DAYS = 30

/**
 * Whether the newest archive is old. Not so where none was ever made: then the state is backed up in another way, or
 * `doctor` and `status` say that it never was.
 */
export function isOld({ exportedAt, linesSince }: StateBackup, now: Date): boolean {
  return exportedAt !== null && linesSince !== 0 && now.getTime() - Date.parse(exportedAt) > OLD_DAYS * DAY_MS
}
