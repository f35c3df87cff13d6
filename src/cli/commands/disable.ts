import { defineCommand } from "../command.js"
import { CONFIRMED, endKey, KEY_NAME, WHICH } from "../end-key.js"

export const disable = defineCommand({
  name: "disable",
  describe: "disable a KMS key, in every Region that it is in: nothing works with it until `enable`",
  examples: [["$0 disable payments --yes", "without asking"]],
  names: KEY_NAME,
  options: { ...CONFIRMED, ...WHICH },
  async run(args, surroundings) {
    const request = { ending: "disable", generation: null, pendingWindowDays: 0 } as const
    return await endKey({ ...args, loseLastCopy: false }, request, surroundings)
  },
})
