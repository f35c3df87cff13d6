import type { JobKey } from "../core/records/dead-letter.js"

/** Why a job is not done. */
export interface JobFailure {
  readonly code: string
  readonly message: string
  /** False for what is no failure of the key: it is tried again, and not counted. */
  readonly counts: boolean
}

/** Kept with a job that is tried again. */
export interface Tried extends JobFailure {
  /** How many failures of the key there were. */
  readonly failures: number
}

/** By which a key is queued once. */
export const keyOf = ({ name, target, replaced }: JobKey): string => JSON.stringify([name, target, replaced])

const ROWS = "rows"

/** pg-boss takes letters, digits and `_-./` in a queue's name: of others, and of `_`, the bytes stand. */
export function queueOf(token: string | null): string {
  if (token === null) return ROWS
  const escaped = token.replace(/[^A-Za-z0-9-]/gu, (letter) => `_${Buffer.from(letter).toString("hex")}.`)
  return `${ROWS}/${escaped}`
}

export function tokenOf(queue: string): string | null {
  if (queue === ROWS || !queue.startsWith(`${ROWS}/`)) return null
  return queue
    .slice(ROWS.length + 1)
    .replace(/_([0-9a-f]+)\./g, (_, bytes: string) => Buffer.from(bytes, "hex").toString())
}
