import { Cron } from "croner"
import type { AgentSettings } from "../core/manifest/agent-settings.js"

type Schedule = Pick<AgentSettings, "schedule" | "timeZone" | "jitter">

/**
 * When the next round begins: what the cron expression names next in its time zone, and by chance up to `jitter` seconds
 * later. An hour that the change to summer time leaves out is made up for at once; one that comes twice is taken once.
 *
 * @param chance 0 to 1
 */
export function nextRound({ schedule, timeZone, jitter }: Schedule, after: Date, chance: number): Date {
  const cron = new Cron(schedule, { mode: "5-part", paused: true, timezone: timeZone })
  const next = cron.nextRun(after)
  if (next === null) throw new RangeError(`the schedule '${schedule}' names no time after ${after.toISOString()}`)
  return new Date(next.getTime() + Math.floor(chance * jitter * 1000))
}
