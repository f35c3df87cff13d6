import {
  checkedAlias,
  checkedDescription,
  checkedName,
  checkedRegions,
  checkedTags,
  checkedUsage,
} from "../options/arguments.js"
import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"
import { keyText } from "../text/key-text.js"
import { CUSTODY, EXPIRES_IN, IMPORT_ONCE, KEY_SPEC, KMS, KMS_KEY, NAME, TOKEN, WRAPPING } from "../options/options.js"

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
    "key-spec": KEY_SPEC,
    custody: CUSTODY,
    "key-id": {
      type: "string",
      requiresArg: true,
      describe: "existing EXTERNAL key in PendingImport: ID, ARN or alias",
    },
    alias: { type: "string", requiresArg: true, describe: "alias to give the KMS key" },
    ...KMS_KEY,
    replica: {
      type: "string",
      array: true,
      requiresArg: true,
      describe: "Region of a replica of the multi-Region key; may be given again",
    },
    ...WRAPPING,
    "expires-in": EXPIRES_IN,
    prove: {
      choices: ["accept", "full"],
      default: "accept",
      describe: "symmetric keys: full imports once more, pinned, as the proof (one more GetParametersForImport)",
    },
    ...IMPORT_ONCE,
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const { name, keySpec } = args
    const configured = args.config !== undefined || (surroundings.env["KEYFERRY_CONFIG"] ?? "") !== ""
    if (name === undefined && keySpec === undefined && configured) {
      const { applyFleet } = await import("./apply.js")
      return await applyFleet({ ...args, only: "provision", key: undefined, includeDisabled: false }, surroundings)
    }
    if (name === undefined || keySpec === undefined) {
      const missing = [name === undefined && "--name", keySpec === undefined && "--key-spec"]
      throw new KeyferryError("ERR_USAGE", `missing: ${missing.filter((one) => one !== false).join(", ")}`)
    }
    const request = {
      name: checkedName("name", name),
      keySpec,
      keyUsage: checkedUsage(keySpec, args.keyUsage),
      alias: checkedAlias(args.alias),
      custody: args.custody,
      wrappingAlgorithm: args.wrappingAlgorithm,
      wrappingKeySpec: args.wrappingKeySpec,
      expiresIn: args.expiresIn,
      description: checkedDescription(args.description),
      tags: checkedTags(args.tag),
      multiRegion: args.multiRegion,
      replicas: checkedRegions("replica", args.replica),
      prove: args.prove,
      keyId: args.keyId ?? null,
      localUse: args.localUse,
      acceptNoReimport: args.acceptNoReimport,
    }
    const { provision: provisionKey } = await import("../../app/provision/provision.js")
    const { refuseEarly } = await import("../../app/provision/request.js")
    const { settingsOf } = await import("../../host/settings.js")
    const { openWork } = await import("../../host/wiring.js")
    refuseEarly(request, new Date(), (await settingsOf(args, surroundings.env)).policy)
    await using work = await openWork(args, surroundings)
    const result = await provisionKey(work, { ...request, owner: work.owner, target: work.target })
    return { result, text: keyText(result) }
  },
})
