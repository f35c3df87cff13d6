import { defineCommand } from "../command.js"
import { CONFIRMED, endKey, KEY_NAME, LAST_COPY, WHICH } from "../end-key.js"
import { PENDING_WINDOW, windowOf } from "../options/pending-window.js"

export const scheduleDeletion = defineCommand({
  name: "schedule-deletion",
  describe: "have KMS delete a KMS key for good after 7 to 30 days, in every Region that it is in",
  examples: [["$0 schedule-deletion payments --pending-window-days 7 --yes", "in a week, without asking"]],
  names: KEY_NAME,
  options: {
    "pending-window-days": PENDING_WINDOW,
    ...CONFIRMED,
    ...LAST_COPY,
    ...WHICH,
  },
  async run(args, surroundings) {
    const pendingWindowDays = windowOf(args.pendingWindowDays)
    return await endKey(args, { ending: "schedule-deletion", generation: null, pendingWindowDays }, surroundings)
  },
})
