import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { checkedName } from "../options/arguments.js"
import { KEY_SETTINGS } from "../../core/manifest/key-settings.js"
import { defineCommand } from "../command.js"
import { settingOptions, settingsFrom } from "../options/key-settings.js"
import { refuseMaking } from "../options/key-of-others.js"
import { KMS, NAME, TOKEN, WRAPPING } from "../options/options.js"
import { facts } from "../text/facts.js"
import { unlessQuiet } from "../text/layout.js"

export const params = defineCommand({
  name: "params",
  describe: "step 1 of 3, online: fetch import parameters into a file; without --key-id the KMS key is created first",
  examples: [
    ["$0 params --key-id 1234abcd-12ab-34cd-56ef-1234567890ab --out payments.params.json", "for a KMS key that exists"],
    ["$0 params --name payments --key-spec SYMMETRIC_DEFAULT --out payments.params.json", "create the KMS key first"],
  ],
  options: {
    "key-id": { type: "string", requiresArg: true, describe: "existing EXTERNAL key: ID, ARN or alias" },
    name: NAME,
    ...settingOptions("params"),
    ...WRAPPING,
    // a token on another host cannot seal into this state directory
    custody: { choices: KEY_SETTINGS.custody.form.choices, default: "token", describe: KEY_SETTINGS.custody.words },
    out: {
      type: "string",
      requiresArg: true,
      demandOption: true,
      describe: "parameters file to write; must not exist",
    },
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world }) {
    const { params: fetchParameters } = await import("../../app/offline/params.js")
    const { encodeParameters } = await import("../../store/transfer/parameters-file.js")
    const { refuseExisting, writeOutput } = await import("../../store/files/output-file.js")
    const create = args.keyId === undefined ? await creation(args) : null
    await refuseExisting(args.out)
    const { owner, manifest } = await world.settings()
    if (create !== null) refuseMaking(manifest, create.name, "name it: --key-id ARN")
    const deps = { ...(await world.withoutToken()), token: await world.tokenIfGiven() }
    const { parameters, keySpec, why } = await fetchParameters(deps, {
      owner,
      target: await world.target(),
      name: args.name ?? null,
      keyId: args.keyId ?? null,
      wrappingAlgorithm: args.wrappingAlgorithm,
      wrappingKeySpec: args.wrappingKeySpec,
      create: create === null ? null : { ...create, owner, target: await world.target() },
    })
    await writeOutput(args.out, encodeParameters(parameters, keySpec, args.name ?? null))
    const result = {
      keyArn: parameters.keyArn,
      keySpec,
      wrappingAlgorithm: parameters.wrappingAlgorithm,
      wrappingAlgorithmReason: why,
      wrappingKeySpec: parameters.wrappingKeySpec,
      wrappingKeyFingerprint: parameters.wrappingKey.fingerprint,
      parametersValidTo: parameters.parametersValidTo === null ? null : rfc3339(parameters.parametersValidTo),
      requestId: parameters.requestId,
      out: args.out,
    }
    const rows = [
      ["key ARN", result.keyArn],
      ["key spec", keySpec],
      ["wrapping", `${result.wrappingAlgorithm} under ${result.wrappingKeySpec}`],
      ["why this algorithm", why],
      ["wrapping key", result.wrappingKeyFingerprint],
      ["valid to", result.parametersValidTo],
      ["written", args.out],
    ] as const
    return {
      result,
      text: unlessQuiet(
        (layout) =>
          `${facts(rows, layout)}\n\ncompare the fingerprint on the token's host: keyferry wrap --expect-fingerprint ${result.wrappingKeyFingerprint}`,
      ),
    }
  },
})

type Args = Parameters<typeof params.run>[0]

async function creation(args: Args) {
  if (args["keySpec"] === undefined || args.name === undefined) {
    throw new KeyferryError("ERR_USAGE", "give --key-id, or --name and --key-spec to have a KMS key made")
  }
  return { name: checkedName("name", args.name), ...(await settingsFrom("params", args)) }
}
