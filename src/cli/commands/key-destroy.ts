import { KeyferryError } from "../../core/error.js"
import { checkedGeneration, checkedName } from "../arguments.js"
import { defineCommand } from "../command.js"
import { KMS, NAME, SOURCE_KEY, TOKEN } from "../options.js"

export const keyDestroy = defineCommand({
  name: "key destroy",
  describe:
    "destroy a source key for good; refused while a KMS key depends on it, by the state directory or by KMS in --region",
  examples: [["$0 key destroy --name payments --yes", "without asking"]],
  options: {
    name: { ...NAME, demandOption: true },
    ...SOURCE_KEY,
    unrecorded: {
      type: "boolean",
      default: false,
      describe: "no KMS key depends on it, as you know where neither the state directory nor KMS can tell",
    },
    yes: { type: "boolean", default: false, describe: "yes, destroy it" },
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const { openKms, openRegion, openTokenAndState } = await import("../../wiring.js")
    const { destroyKey } = await import("../../app/destroy-key.js")
    const name = checkedName("name", args.name)
    const generation = checkedGeneration(args.generation)
    if (!args.yes) {
      throw new KeyferryError("ERR_CONFIRMATION_MISSING", `destroying the source key ${name} cannot be undone`, {
        key: name,
      })
    }
    await using work = await openTokenAndState(args, surroundings)
    const request = { owner: work.owner, name, generation, id: args.id, unrecorded: args.unrecorded }
    const result = await destroyKey(work, request, {
      openRegion: (region) => openRegion(args, surroundings, region),
      openKms: () => openKms(args, surroundings),
    })
    return { result, text: [`destroyed ${result.label} (ID ${result.id})`, result.note ?? []].flat().join("\n") }
  },
})
