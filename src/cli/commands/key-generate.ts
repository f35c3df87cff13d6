import { checkedName } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { settingOptions, settingsFrom } from "../options/key-settings.js"
import { IMPORT_ONCE, KEY_SPEC, NAME, TOKEN } from "../options/options.js"
import { type Layout, unlessQuiet } from "../text/layout.js"
import { sourceKeyText } from "../text/source-key-text.js"

export const keyGenerate = defineCommand({
  name: "key generate",
  describe: "generate a source key in the token, for the three-step flow or a later provision",
  examples: [["$0 key generate --name payments --key-spec SYMMETRIC_DEFAULT", "an AES-256 source key"]],
  options: {
    name: { ...NAME, demandOption: true },
    ...settingOptions("key generate"),
    "key-spec": { ...KEY_SPEC, demandOption: true },
    ...IMPORT_ONCE,
    ...TOKEN,
  },
  async run(args, { world }) {
    const { generateKey, refuseGeneration } = await import("../../app/source-key/generate.js")
    const settings = await settingsFrom("key generate", args)
    const { custody, wrappingKeySpec } = settings
    const { owner, policy } = await world.settings()
    const request = {
      owner,
      name: checkedName("name", args.name),
      ...settings,
      acceptNoReimport: args.acceptNoReimport,
    }
    refuseGeneration(request, policy)
    const deps = await world.withoutKms({ names: [request.name] })
    const { key, capability, unenforced } = await generateKey(deps, request)
    const carried = { wrappingAlgorithm: capability.wrappingAlgorithm, wrappingKeySpec, wrapPath: capability.wrapPath }
    const shown = { ...key, custody, unenforced }
    const text = (layout: Layout): string =>
      `${sourceKeyText(shown, layout)}\n\nfor params on a host without the token: --wrapping-algorithm ${carried.wrappingAlgorithm} --wrapping-key-spec ${wrappingKeySpec}`
    return {
      result: {
        name: request.name,
        ...shown,
        custodyEnforced: unenforced === null,
        custodyReason: unenforced,
        ...carried,
        token: deps.token.info,
      },
      text: unlessQuiet(text),
    }
  },
})
