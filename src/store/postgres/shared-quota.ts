import { SLOWED } from "../../core/plan/schedule.js"
import type { QuotaName, SharedQuotas } from "../../core/ports/shared-quotas.js"
import type { Queryable } from "./database.js"

/** Before an arrival is due, its place in the order is made sure of: so long before, in milliseconds. */
const AHEAD_MS = 100
/** An answer that takes longer, in milliseconds, is not waited for before the next request of a quota without burst. */
const ANSWER_MS = 10_000

/**
 * The row, locked, and what the database's clock says once it is: after all that others wrote before. `every` is the
 * time from one request to the next at the pace that throttling has left. What lies further ahead than any number of
 * agents accounts for was written before that clock was set back, and does not count.
 */
const LOCKED = `WITH locked AS MATERIALIZED (
    SELECT next_at, arrival_at, unanswered_until, slowed_to, slowed_at FROM keyferry.quota
      WHERE account = $1 AND region = $2 AND operation = $3 FOR UPDATE
  ), moment AS MATERIALIZED (
    SELECT *, clock_timestamp() AS now FROM locked
  ), paced AS MATERIALIZED (
    SELECT *, $4::float8 / ${factorAt("now")} * interval '1 ms' AS every FROM moment
  ), row AS MATERIALIZED (
    SELECT now, every, least(slowed_at, now) AS slowed_at, ${believed("next_at")} AS next_at, ${believed("arrival_at")} AS arrival_at,
        ${believed("unanswered_until")} AS unanswered_until
      FROM paced
  )`

/** What a ThrottlingException has left of the pace by then. */
function factorAt(now: string): string {
  const steps = `greatest(0, floor(extract(epoch FROM ${now} - slowed_at) * 1000 / ${SLOWED.everyMs}))`
  return `least(1, slowed_to + ${steps}::float8 * ${SLOWED.step})`
}

function believed(time: string): string {
  return `CASE WHEN ${time} > now + 64 * every + interval '30 s' THEN now ELSE ${time} END`
}

/** As the generic cell rate algorithm has it: `next_at` is when the next slot is due, and may lie back by a burst. */
const TAKE_SLOTS = `${LOCKED}, taken AS MATERIALIZED (
    SELECT *, greatest(next_at, now - ($5::integer - 1) * every) AS first FROM row
  ), written AS (
    UPDATE keyferry.quota AS quota SET next_at = first + $6::integer * every, slowed_at = taken.slowed_at FROM taken
      WHERE account = $1 AND region = $2 AND operation = $3
  )
  SELECT greatest(0, ${inMs("first - now")}) AS "waitMs", ${inMs("every")} AS "everyMs" FROM taken`

/**
 * A place is given in the order of asking, `next_at` being that of the next one; `arrival_at` is from when on a
 * request may arrive by what is known of those before, and counts once the place is near. As long as the one before has
 * no answer, when it arrived is not known: it is waited for, unless whoever sent it is gone.
 */
const TAKE_ARRIVAL = `${LOCKED}, placed AS MATERIALIZED (
    SELECT *, coalesce($5::timestamptz, greatest(next_at, arrival_at, now)) AS place FROM row
  ), due AS MATERIALIZED (
    SELECT *, greatest(0, ${inMs("greatest(place, arrival_at) - now")}) AS wait FROM placed
  ), taken AS MATERIALIZED (
    SELECT *, wait <= ${AHEAD_MS} AND unanswered_until <= now AS granted FROM due
  ), written AS (
    UPDATE keyferry.quota AS quota SET
        next_at = CASE WHEN $5::timestamptz IS NULL THEN place + every ELSE taken.next_at END,
        arrival_at = CASE WHEN granted THEN now + wait * interval '1 ms' + every ELSE taken.arrival_at END,
        unanswered_until =
          CASE WHEN granted THEN now + interval '${ANSWER_MS} ms' ELSE taken.unanswered_until END,
        slowed_at = taken.slowed_at
      FROM taken WHERE account = $1 AND region = $2 AND operation = $3
  )
  SELECT CASE WHEN granted THEN wait ELSE greatest(wait - ${AHEAD_MS / 2}, ${AHEAD_MS / 4}) END AS "waitMs", granted, place::text AS place,
    ${inMs("now")} AS at FROM taken`

const ARRIVED = `UPDATE keyferry.quota SET
    unanswered_until = '-infinity',
    arrival_at = greatest(arrival_at, to_timestamp($5::float8 / 1000) + $4::float8 / ${factorAt("clock_timestamp()")} * interval '1 ms')
  WHERE account = $1 AND region = $2 AND operation = $3`

/** Answers to requests that were under way together are one event. */
const THROTTLED = `${LOCKED}, event AS MATERIALIZED (
    SELECT now, $4::float8 / ${inMs("every")} AS factor,
      slowed_to < 1 AND now - row.slowed_at < ${SLOWED.oneEventMs} * interval '1 ms' AS same FROM row, locked
  ), slower AS MATERIALIZED (
    SELECT now, same, CASE WHEN same THEN factor ELSE greatest(${SLOWED.least}, factor * ${SLOWED.factor}) END AS factor FROM event
  )
  UPDATE keyferry.quota AS quota SET
      slowed_to = CASE WHEN same THEN slowed_to ELSE factor END,
      slowed_at = CASE WHEN same THEN slowed_at ELSE now END,
      unanswered_until = '-infinity',
      next_at = greatest(next_at, now + $4::float8 / factor * interval '1 ms'),
      arrival_at = greatest(arrival_at, now + $4::float8 / factor * interval '1 ms')
    FROM slower WHERE account = $1 AND region = $2 AND operation = $3`

function inMs(time: string): string {
  return `(extract(epoch FROM ${time}) * 1000)::float8`
}

/** Quotas as rows of `keyferry.quota`: one statement for the next slots of a process, decided by the database's clock. */
export function sharedQuotas(database: Queryable): SharedQuotas {
  const keyOf = ({ account, region, operation }: QuotaName): readonly string[] => [account, region, operation]

  const ofRow = async <Row extends object>(sql: string, name: QuotaName, values: readonly unknown[]): Promise<Row> => {
    for (;;) {
      const { rows } = await database.query<Row>(sql, [...keyOf(name), ...values])
      const [row] = rows
      if (row !== undefined) return row
      await database.query(
        "INSERT INTO keyferry.quota (account, region, operation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        keyOf(name),
      )
    }
  }

  return {
    takeSlots: (name, { everyMs, burst, count }) => ofRow(TAKE_SLOTS, name, [everyMs, burst, count]),
    takeArrival: (name, { everyMs, place }) => ofRow(TAKE_ARRIVAL, name, [everyMs, place]),

    async arrived(name, at, everyMs) {
      await database.query(ARRIVED, [...keyOf(name), everyMs, at])
    },

    async throttled(name, everyMs) {
      await database.query(THROTTLED, [...keyOf(name), everyMs])
    },
  }
}
