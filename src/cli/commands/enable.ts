import { defineCommand } from "../command.js"
import { endKey } from "./end-key.js"
import { KEY_NAME } from "../options/ending-options.js"
import { KMS } from "../options/options.js"

export const enable = defineCommand({
  name: "enable",
  describe: "enable a disabled KMS key, in every Region that it is in",
  examples: [["$0 enable payments", "after it was disabled"]],
  names: KEY_NAME,
  options: KMS,
  async run(args, surroundings) {
    const request = { ending: "enable", generation: null, pendingWindowDays: 0, idle: null } as const
    return await endKey({ ...args, yes: true, loseLastCopy: false }, request, surroundings)
  },
})
