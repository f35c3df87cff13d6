import { checkedDescription } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { KEY_NAME, nameOf } from "../end-key.js"
import { keyText } from "../text/key-text.js"
import { IMPORT_ONCE, KMS, KMS_KEY, REWRAPPING, TOKEN } from "../options/options.js"

export const replace = defineCommand({
  name: "replace",
  describe: "a new KMS key with new key material in the place of another, and the alias moved to it",
  examples: [["$0 replace signer", "the old KMS key stays, and is rewrapped, until `retire signer`"]],
  names: KEY_NAME,
  options: { ...REWRAPPING, description: KMS_KEY.description, ...IMPORT_ONCE, ...TOKEN, ...KMS },
  async run(args, surroundings) {
    const name = nameOf(args)
    const { replaceKey } = await import("../../app/replace/replace.js")
    const { findKey } = await import("../../app/kms-key/entry.js")
    const { openWork } = await import("../../host/wiring.js")
    const wishes = {
      expiresIn: args.expiresIn ?? null,
      wrappingAlgorithm: args.wrappingAlgorithm ?? null,
      wrappingKeySpec: args.wrappingKeySpec ?? null,
      prove: args.prove,
      description: checkedDescription(args.description),
      acceptNoReimport: args.acceptNoReimport,
      localUse: args.localUse,
    }
    await using work = await openWork({ ...args, name }, surroundings)
    const entry = await findKey(work, { owner: work.owner, name, target: work.target })
    const result = await replaceKey(work, entry, wishes)
    return { result, text: `${keyText(result)}\nreplaced            ${result.replaced}` }
  },
})
