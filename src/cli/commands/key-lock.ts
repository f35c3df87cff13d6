import { checkedName } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { NAME, TOKEN } from "../options/options.js"
import { unlessQuiet } from "../text/layout.js"
import { sourceKeyText } from "../text/source-key-text.js"

export const keyLock = defineCommand({
  name: "key lock",
  describe: "set CKA_EXTRACTABLE of a source key to false for good: the end of the three-step flow for custody locked",
  examples: [["$0 key lock --name payments", "once its import is proven, and never expires"]],
  options: {
    name: { ...NAME, demandOption: true },
    id: { type: "string", requiresArg: true, describe: "CKA_ID in hex, where several keys claim the name" },
    "accept-no-reimport": {
      type: "boolean",
      default: false,
      describe: "understood: it can never be imported again, whatever is recorded here of its import",
    },
    ...TOKEN,
  },
  async run(args, { world }) {
    const { lockKey } = await import("../../app/source-key/lock.js")
    const name = checkedName("name", args.name)
    const { owner } = await world.settings()
    const deps = await world.withoutKms({ names: [name] })
    const result = await lockKey(deps, { owner, name, id: args.id, confirmed: args.acceptNoReimport })
    return {
      result: { ...result, token: deps.token.info },
      text: unlessQuiet((layout) => sourceKeyText(result.key, layout)),
    }
  },
})
