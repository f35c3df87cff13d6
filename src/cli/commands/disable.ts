import { defineCommand } from "../command.js"
import { endKey } from "./end-key.js"
import { CONFIRMED, KEY_NAME } from "../options/ending-options.js"
import { KMS } from "../options/options.js"

export const disable = defineCommand({
  name: "disable",
  describe: "disable a KMS key, in every Region that it is in: nothing works with it until `enable`",
  examples: [["$0 disable payments --yes", "without asking"]],
  names: KEY_NAME,
  options: { ...CONFIRMED, ...KMS },
  async run(args, surroundings) {
    const request = { ending: "disable", generation: null, pendingWindowDays: 0, idle: null } as const
    return await endKey({ ...args, loseLastCopy: false }, request, surroundings)
  },
})
