import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"

export const configCheck = defineCommand({
  name: "config check",
  describe: "check the configuration file without token or KMS, and print it with every default filled in",
  examples: [
    [
      "$0 config check --config keyferry.yaml",
      "every fault with its path, line and column; exit status 78 if there are any",
    ],
  ],
  options: {},
  async run(_args, { world }) {
    const { manifest, path } = await world.settings()
    if (manifest === null) {
      throw new KeyferryError("ERR_USAGE", "no configuration file is given", {
        hint: "give --config FILE, or set KEYFERRY_CONFIG",
      })
    }
    const { effective, effectiveText } = await import("../../config/effective.js")
    const { bindingsOf } = await import("../../core/manifest/manifest.js")
    const count = (table: object): number => Object.keys(table).length
    const counts = {
      tokens: count(manifest.tokens),
      targets: count(manifest.targets),
      keys: count(manifest.keys),
      bindings: bindingsOf(manifest).length,
    }
    const sentence = Object.entries(counts).map(([noun, count]) => `${noun} ${count}`)
    const text = `# ${path ?? ""} is right: ${sentence.join(", ")}\n${effectiveText(manifest)}`
    return { result: { file: path, ...counts, configuration: effective(manifest) }, text }
  },
})
