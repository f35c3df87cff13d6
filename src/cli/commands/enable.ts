import { defineCommand } from "../command.js"
import { endKey, KEY_NAME, WHICH } from "../end-key.js"

export const enable = defineCommand({
  name: "enable",
  describe: "enable a disabled KMS key, in every Region that it is in",
  examples: [["$0 enable payments", "after it was disabled"]],
  names: KEY_NAME,
  options: WHICH,
  async run(args, surroundings) {
    const request = { ending: "enable", generation: null, pendingWindowDays: 0 } as const
    return await endKey({ ...args, yes: true, loseLastCopy: false }, request, surroundings)
  },
})
