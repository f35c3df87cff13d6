import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { defineCommand } from "../command.js"

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

export const agentPause = defineCommand({
  name: "agent pause",
  describe: "have the agent do nothing until a time, for maintenance; it looks on, and `check` says so",
  examples: [
    ["$0 agent pause --until 2026-12-01T06:00:00Z", "it goes on by itself then"],
    ["$0 agent pause --until now", "it goes on at its next round"],
  ],
  options: {
    until: {
      type: "string",
      requiresArg: true,
      demandOption: true,
      describe: "a time (RFC 3339), by KMS' clock; `now` ends a pause",
    },
  },
  async run(args, { world }) {
    const until = args.until === "now" ? null : timeOf(args.until)
    const records = await world.stored.agentRecords()
    const before = await records.pause()
    if (until === null) {
      await records.putPause(null)
      const outcome = before === null ? "nothing" : "done"
      return {
        result: { outcome, until: null },
        text: before === null ? "the agent is not paused" : "the pause is over",
      }
    }
    const since = rfc3339(world.clock.now())
    await records.putPause({ until, since })
    return {
      result: { outcome: "done", until },
      text: `the agent is paused until ${until}: a round that runs goes on, and the next does nothing before then`,
    }
  },
})

/** RFC 3339 UTC. */
function timeOf(text: string): string {
  const time = INSTANT.test(text) ? new Date(text) : new Date(Number.NaN)
  if (!Number.isNaN(time.getTime())) return rfc3339(time)
  throw new KeyferryError("ERR_USAGE", `--until '${text}' is no time (RFC 3339), such as 2026-12-01T06:00:00Z`)
}
