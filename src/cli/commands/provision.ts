import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"
import { checkedName } from "../options/arguments.js"
import { settingOptions, settingsFrom } from "../options/key-settings.js"
import { keyOfOthers } from "../options/key-of-others.js"
import { IMPORT_ONCE, KMS, NAME, TOKEN } from "../options/options.js"
import { unlessQuiet } from "../text/layout.js"
import { keyText } from "../text/key-text.js"

export const provision = defineCommand({
  name: "provision",
  describe: "make a KMS key of key material born in the token: generate, wrap, import, prove, record",
  examples: [
    [
      "$0 provision --name payments --key-spec SYMMETRIC_DEFAULT --alias alias/payments",
      "a new AES-256 key in KMS, its material from the token",
    ],
    [
      "$0 provision --name signer --key-spec ECC_NIST_P384 --key-usage SIGN_VERIFY --expires-in never --json",
      "a signing key, the result as JSON",
    ],
    ["$0 provision --config keyferry.yaml", "every key of the configuration that has none in KMS yet"],
  ],
  options: {
    name: NAME,
    ...settingOptions("provision"),
    "key-id": {
      type: "string",
      requiresArg: true,
      describe: "existing EXTERNAL key in PendingImport: ID, ARN or alias",
    },
    ...IMPORT_ONCE,
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const { world } = surroundings
    const { name, keySpec } = args
    const { owner, policy, path, manifest } = await world.settings()
    if (name === undefined && keySpec === undefined && path !== null) {
      const { applyFleet } = await import("./apply.js")
      return await applyFleet({ only: "provision", key: undefined, includeDisabled: false }, surroundings)
    }
    if (name === undefined || keySpec === undefined) {
      const missing = [name === undefined && "--name", keySpec === undefined && "--key-spec"]
      const isInFile = name !== undefined && Object.hasOwn(manifest?.keys ?? {}, name)
      throw new KeyferryError("ERR_USAGE", `missing: ${missing.filter((flag) => flag !== false).join(", ")}`, {
        ...(isInFile
          ? { hint: `\`keyferry apply --key ${name}\` makes ${name} as the configuration file has it` }
          : {}),
      })
    }
    const theirs = keyOfOthers(manifest, name, args.keyId)
    const request = {
      name: checkedName("name", name),
      ...(await settingsFrom("provision", args)),
      ...(theirs === null ? {} : { tagKey: theirs.tagKey, multiRegion: theirs.multiRegion }),
      keyId: theirs?.keyArn ?? args.keyId ?? null,
      acceptNoReimport: args.acceptNoReimport,
    }
    const { provision: provisionKey } = await import("../../app/provision/provision.js")
    const { refuseEarly } = await import("../../app/provision/request.js")
    refuseEarly(request, policy)
    const deps = await world.deps({ names: [name] })
    const result = await provisionKey(deps, { ...request, owner, target: await world.target() })
    return { result, text: unlessQuiet((layout) => keyText(result, layout)) }
  },
})
