import { KEY_SETTINGS } from "../../core/manifest/key-settings.js"
import { defineCommand } from "../command.js"
import { nameOf } from "../options/arguments.js"
import { KEY_NAME } from "../options/ending-options.js"
import { unlessQuiet } from "../text/layout.js"
import { keyText } from "../text/key-text.js"
import { changesFrom, settingOptions } from "../options/key-settings.js"
import { refuseMaking } from "../options/key-of-others.js"
import { IMPORT_ONCE, KMS, TOKEN } from "../options/options.js"
import { untilTold } from "./until-told.js"

export const replace = defineCommand({
  name: "replace",
  describe: "a new KMS key with new key material in the place of another, and the alias moved to it",
  examples: [["$0 replace signer", "the old KMS key stays, and is rewrapped, until `retire signer`"]],
  names: KEY_NAME,
  options: { ...settingOptions("replace"), ...IMPORT_ONCE, ...TOKEN, ...KMS },
  async run(args, { world }) {
    const name = nameOf(args)
    const { askReplacements, replaceAsked } = await import("../../app/replace/asked.js")
    const changes = await changesFrom("replace", args)
    const prove = changes.prove ?? KEY_SETTINGS.prove.absent
    const wishes = { ...changes, prove, acceptNoReimport: args.acceptNoReimport }
    const { owner, manifest } = await world.settings()
    refuseMaking(manifest, name, "have who made it make another, for another name of the configuration")
    const deps = await world.deps({ names: [name] })
    const request = { owner, target: await world.target(), names: [name], wishes }
    const takenUp = await askReplacements(deps, request)
    return await untilTold(deps, takenUp, async () => {
      const result = await replaceAsked(deps, request, takenUp, name)
      return {
        result,
        text: unlessQuiet((layout) => `${keyText(result, layout)}\nreplaced            ${result.replaced}`),
      }
    })
  },
})
