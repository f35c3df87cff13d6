import { historyLine, type KeyHistoryLine } from "../records/history-line.js"
import type { Queryable } from "./database.js"

/**
 * The newest lines of the custody log that are about each name, at most `limit` of each; newest first. A name without any
 * has no member. Lines that are none are passed over: `check` and `doctor` say what is wrong with the log.
 *
 * @throws ERR_DATABASE_*, ERR_STATE_VERSION
 */
export async function keyHistories(
  database: Queryable,
  names: ReadonlySet<string>,
  limit: number,
): Promise<ReadonlyMap<string, readonly KeyHistoryLine[]>> {
  const { rows } = await database.query<{ name: string; line: string }>(
    `SELECT asked.name, newest.line
       FROM unnest($1::text[]) AS asked (name)
       CROSS JOIN LATERAL (
         SELECT seq, line FROM keyferry.custody_log WHERE custody_log.name = asked.name ORDER BY seq DESC LIMIT $2
       ) AS newest
       ORDER BY newest.seq DESC`,
    [[...names], limit],
  )
  const histories = new Map<string, KeyHistoryLine[]>()
  for (const { name, line: text } of rows) {
    const line = historyLine(text)
    if (line === null) continue
    const lines = histories.get(name)
    if (lines === undefined) histories.set(name, [line])
    else lines.push(line)
  }
  return histories
}
