import { defineCommand } from "../command.js"
import { endKey } from "./end-key.js"
import { CONFIRMED, IDLE, idleOf, KEY_NAME, LAST_COPY, PENDING_WINDOW, windowOf } from "../options/ending-options.js"
import { KMS } from "../options/options.js"

export const scheduleDeletion = defineCommand({
  name: "schedule-deletion",
  describe: "have KMS delete a KMS key for good after 7 to 30 days, in every Region that it is in",
  examples: [["$0 schedule-deletion payments --pending-window-days 7 --yes", "in a week, without asking"]],
  names: KEY_NAME,
  options: {
    "pending-window-days": PENDING_WINDOW,
    ...CONFIRMED,
    ...LAST_COPY,
    ...IDLE,
    ...KMS,
  },
  async run(args, surroundings) {
    const pendingWindowDays = windowOf(args.pendingWindowDays)
    return await endKey(
      args,
      { ending: "schedule-deletion", generation: null, pendingWindowDays, idle: idleOf(args) },
      surroundings,
    )
  },
})
