/**
 * Exit statuses, after sysexits(3). Each comment is the sentence of `docs/exit-codes.md`.
 */
export const EXIT_CODES = {
  OK: { status: 0, meaning: "done, or nothing to do" },
  CHECK_WARNING: { status: 1, meaning: "`check` alone: a warning" },
  CHECK_CRITICAL: { status: 2, meaning: "`check` alone: critical" },
  CHECK_UNKNOWN: { status: 3, meaning: "`check` alone: it cannot tell" },
  WORK_FOUND: { status: 2, meaning: "`--detailed-exitcode` found work to do" },
  USAGE: { status: 64, meaning: "the command line is wrong" },
  DATAERR: { status: 65, meaning: "bad data, or a key that cannot be used so" },
  UNAVAILABLE: { status: 69, meaning: "the token or KMS cannot be reached" },
  SOFTWARE: { status: 70, meaning: "a bug of keyferry" },
  CANTCREAT: { status: 73, meaning: "the output file exists" },
  IOERR: { status: 74, meaning: "state could not be written" },
  TEMPFAIL: { status: 75, meaning: "try again later" },
  PROOF: { status: 76, meaning: "the proof that KMS holds the same key failed" },
  NOPERM: { status: 77, meaning: "PIN or permission refused" },
  CONFIG: { status: 78, meaning: "the configuration or the policy refuses it" },
} as const

export type ExitName = keyof typeof EXIT_CODES

/** Of several failures the worst decides the exit status; worst first. */
const SEVERITY: readonly ExitName[] = [
  "SOFTWARE",
  "NOPERM",
  "PROOF",
  "CONFIG",
  "DATAERR",
  "UNAVAILABLE",
  "IOERR",
  "CANTCREAT",
  "TEMPFAIL",
]

/** The worst of several outcomes, which decides the exit status; OK for none. */
export function worstExit(names: readonly ExitName[]): ExitName {
  return SEVERITY.find((name) => names.includes(name)) ?? names.find((name) => name !== "OK") ?? "OK"
}
