import type { DeadLetter } from "../records/dead-letter.js"

/** The jobs that are not tried any more. Only a state in a database has any. */
export interface DeadLetters {
  /** The newest of each key, oldest first. @throws ERR_DATABASE_* */
  deadLetters(): Promise<readonly DeadLetter[]>
}
