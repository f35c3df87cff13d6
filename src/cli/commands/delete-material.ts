import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"
import { endKey } from "./end-key.js"
import { CONFIRMED, IDLE, idleOf, KEY_NAME, LAST_COPY } from "../options/ending-options.js"
import { KMS } from "../options/options.js"

export const deleteMaterial = defineCommand({
  name: "delete-material",
  describe:
    "delete imported key material from KMS, in every Region: nothing works with the KMS key until `recover NAME --yes` imports it again",
  examples: [["$0 delete-material payments --yes", "all generations, without asking"]],
  names: KEY_NAME,
  options: {
    generation: {
      type: "string",
      describe: "one generation alone, by number; symmetric keys need all of theirs to work",
    },
    ...CONFIRMED,
    ...LAST_COPY,
    ...IDLE,
    ...KMS,
  },
  async run(args, surroundings) {
    const generation = args.generation === undefined ? null : generationOf(args.generation)
    return await endKey(
      args,
      { ending: "delete-material", generation, pendingWindowDays: 0, idle: idleOf(args) },
      surroundings,
    )
  },
})

function generationOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new KeyferryError("ERR_USAGE", `--generation '${text}' is no number`)
}
