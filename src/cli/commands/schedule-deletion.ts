import { KeyferryError } from "../../core/error.js"
import { defineCommand } from "../command.js"
import { CONFIRMED, endKey, KEY_NAME, LAST_COPY, WHICH } from "../end-key.js"

/** KMS ScheduleKeyDeletion, `PendingWindowInDays`. */
const WINDOW = { least: 7, most: 30 }

export const scheduleDeletion = defineCommand({
  name: "schedule-deletion",
  describe: "have KMS delete a KMS key for good after 7 to 30 days, in every Region that it is in",
  examples: [["$0 schedule-deletion payments --pending-window-days 7 --yes", "in a week, without asking"]],
  names: KEY_NAME,
  options: {
    "pending-window-days": { type: "string", default: "30", describe: "7 to 30: so long it can be cancelled" },
    ...CONFIRMED,
    ...LAST_COPY,
    ...WHICH,
  },
  async run(args, surroundings) {
    const pendingWindowDays = windowOf(args.pendingWindowDays)
    return await endKey(args, { ending: "schedule-deletion", generation: null, pendingWindowDays }, surroundings)
  },
})

function windowOf(given: string): number {
  const days = /^\d{1,2}$/.test(given) ? Number(given) : NaN
  if (days >= WINDOW.least && days <= WINDOW.most) return days
  throw new KeyferryError("ERR_USAGE", `--pending-window-days '${given}' is not ${WINDOW.least} to ${WINDOW.most}`)
}
