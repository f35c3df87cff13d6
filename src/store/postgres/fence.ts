import { KeyferryError } from "../../core/base/error.js"
import type { Queryable } from "./database.js"

/** That a binding is held, and by which taking of it: each raises the number in the binding's row. */
export interface Fence {
  readonly name: string
  readonly target: string
  /** A bigint, in decimal. */
  readonly fence: string
}

/** The fences under which what is written now is written; none where no binding is held. */
export type Fences = () => readonly Fence[]

/**
 * Writes by a statement that has `(SELECT count FROM held)` as the number of fences that are still those of their rows,
 * which are locked meanwhile: who takes a binding over waits for the write, or the write is not done.
 *
 * @param sql with `$1…$n` of its own values; `WITH held AS (…)` stands before it
 * @throws ERR_BINDING_LOST where another has taken a binding meanwhile; nothing is written then
 */
export async function writeFenced(
  database: Queryable,
  {
    sql,
    values,
    fences,
  }: {
    readonly sql: (stillHeld: string) => string
    readonly values: readonly unknown[]
    readonly fences: readonly Fence[]
  },
): Promise<void> {
  if (fences.length === 0) {
    await database.query(sql("true"), values)
    return
  }
  const parameter = values.length + 1
  const held = `WITH locked AS (
      SELECT 1 FROM keyferry.binding
        JOIN unnest($${parameter}::text[], $${parameter + 1}::text[], $${parameter + 2}::bigint[]) AS mine (name, target, fence)
          USING (name, target, fence)
        FOR SHARE OF binding
    ), held AS (SELECT count(*) = $${parameter + 3}::bigint AS whole FROM locked)`
  const { rows } = await database.query<{ whole: boolean }>(
    `${held}, written AS (${sql("(SELECT whole FROM held)")} RETURNING 1) SELECT whole FROM held`,
    [
      ...values,
      fences.map(({ name }) => name),
      fences.map(({ target }) => target),
      fences.map(({ fence }) => fence),
      fences.length,
    ],
  )
  if (rows[0]?.whole !== true) throw bindingLost(fences)
}

/** In place of a name or a target: all of them. */
export const EVERYTHING = "*"

export function bindingLost(fences: readonly Fence[]): KeyferryError {
  const key = fences.find(({ name }) => name !== EVERYTHING)?.name
  const words = key === undefined ? "has had the state meanwhile" : `has taken over the work on ${key}`
  return new KeyferryError("ERR_BINDING_LOST", `another process ${words}`, key === undefined ? {} : { key })
}
