import { KeyferryError } from "../../core/base/error.js"
import { checkedGeneration, checkedName } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { NAME, SOURCE_KEY, TOKEN } from "../options/options.js"
import { sourceKeyText } from "../text/source-key-text.js"

export const keyShow = defineCommand({
  name: "key show",
  describe: "one source key: its attributes as the token reads them back, and its imports",
  examples: [["$0 key show --name payments", "attributes and imports"]],
  options: { name: { ...NAME, demandOption: true }, ...SOURCE_KEY, ...TOKEN },
  async run(args, { world }) {
    const { listKeys } = await import("../../app/source-key/list.js")
    const name = checkedName("name", args.name)
    const { owner } = await world.settings()
    const deps = await world.withoutKms({ lock: false })
    const { keys } = await listKeys(deps)
    const generation = checkedGeneration(args.generation)
    const key = keys.findLast(
      (key) =>
        key.owner === owner &&
        key.name === name &&
        (generation === undefined || key.generation === generation) &&
        (args.id === undefined || key.id === args.id),
    )
    if (key === undefined)
      throw new KeyferryError("ERR_KEY_NOT_FOUND", `the token has no source key named ${name}`, { key: name })
    const sides = key.kms.map(
      (side) =>
        `${side.target}: ${side.keyArn ?? "no KMS key"}, ${side.note ?? `${side.status}, expires ${side.validTo ?? "never"}`}`,
    )
    return {
      result: { ...key, token: deps.token.info },
      text: (layout) => [sourceKeyText(key, layout), ...sides].join("\n"),
    }
  },
})
