import { KeyferryError } from "../../core/base/error.js"
import { WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import { checkedGeneration, checkedName } from "../options/arguments.js"
import { awsImportCommand } from "../text/aws-command.js"
import { defineCommand } from "../command.js"
import { NAME, SOURCE_KEY, TOKEN } from "../options/options.js"
import { PARAMETER_FILES } from "../options/parameter-files.js"
import { facts } from "../text/facts.js"
import { custodyText } from "../text/key-text.js"
import { type Layout, unlessQuiet } from "../text/layout.js"

import { isKeyId, parseKeyArn } from "../../core/key/key-arn.js"
import { pinnedAccounts } from "../../core/manifest/manifest.js"

export const wrap = defineCommand({
  name: "wrap",
  describe: "step 2 of 3, at the token: wrap a source key under parameters from a file; needs no network",
  examples: [
    [
      "$0 wrap --name payments --parameters payments.params.json --out EncryptedKeyMaterial.bin",
      "parameters of `keyferry params`",
    ],
    [
      "$0 wrap --name payments --console-zip Import_Parameters.zip --wrapping-algorithm RSAES_OAEP_SHA_256 --key-id ID --out EncryptedKeyMaterial.bin",
      "the zip of the AWS console",
    ],
  ],
  options: {
    name: { ...NAME, demandOption: true },
    ...SOURCE_KEY,
    ...PARAMETER_FILES,
    "wrapping-algorithm": {
      choices: WRAPPING_ALGORITHM_NAMES,
      describe: "algorithm given to GetParametersForImport; keyferry's own parameters file knows it",
    },
    "wrapping-key-spec": { choices: WRAPPING_KEY_SPEC_NAMES, describe: "size asked of KMS; checked against the key" },
    "key-id": { type: "string", requiresArg: true, describe: "KMS key that the parameters are for: ID or ARN" },
    "expect-fingerprint": {
      type: "string",
      requiresArg: true,
      describe: "refuse any other wrapping key: sha256:HEX as `keyferry params` printed it",
    },
    "expires-in": { type: "string", requiresArg: true, describe: "expiry to put into the printed aws command" },
    out: {
      type: "string",
      requiresArg: true,
      demandOption: true,
      describe: "ciphertext to write; OUT.json is written beside it",
    },
    ...TOKEN,
  },
  async run(args, { world }) {
    const name = checkedName("name", args.name)
    const generation = checkedGeneration(args.generation)
    const fingerprint = args.expectFingerprint ?? null
    if (fingerprint !== null && !/^sha256:[0-9a-f]{64}$/i.test(fingerprint)) {
      throw new KeyferryError("ERR_USAGE", `--expect-fingerprint '${fingerprint}' is not sha256: and 64 hex digits`)
    }
    const { keyId } = args
    if (keyId !== undefined && parseKeyArn(keyId) === undefined && !isKeyId(keyId)) {
      throw new KeyferryError("ERR_USAGE", `--key-id ${keyId} is neither the ID nor the ARN of a KMS key`)
    }
    const { areExpired, completeParameters, endedText, refuseOtherKeySpec } =
      await import("../../core/records/transfer.js")
    const { encodeBundle } = await import("../../store/transfer/bundle-file.js")
    const { readParameters } = await import("../../store/transfer/parameters.js")
    const { validToOffline } = await import("../../core/base/expiry.js")
    const { refuseExisting, writeOutput } = await import("../../store/files/output-file.js")
    const now = world.clock.now()
    const loose = await readParameters(args)
    const { wrappingAlgorithm, wrappingKeySpec } = args
    const parameters = completeParameters(loose, { keyId, wrappingAlgorithm, wrappingKeySpec })
    if (areExpired(parameters, now)) {
      world.progress.warn(`by this host's clock ${endedText(parameters)}; if that is so, KMS will refuse the import`)
    }
    const validTo = args.expiresIn === undefined ? undefined : validToOffline(args.expiresIn, now)
    const sidecar = `${args.out}.json`
    await refuseExisting(args.out)
    await refuseExisting(sidecar)

    const { wrap: wrapKey } = await import("../../app/offline/wrap.js")
    const { namedSource } = await import("../../app/source-key/named.js")
    const { owner, manifest } = await world.settings()
    const deps = await world.withoutKms({ names: [name] })
    const source = await namedSource(deps, { owner, name, generation, id: args.id })
    refuseOtherKeySpec(loose, source.keySpec, `the source key ${source.label}`)
    const { wrapped, bundle } = await wrapKey(deps, source, {
      parameters,
      expectFingerprint: fingerprint,
      accounts: pinnedAccounts(manifest, name),
    })
    await writeOutput(sidecar, encodeBundle(bundle))
    await writeOutput(args.out, wrapped.bytes)

    const awsCommand = awsImportCommand({
      keyId: parameters.keyArn,
      ciphertext: args.out,
      parameterFiles: args,
      validTo,
    })
    const { account = null, partition = null, region = null } = parseKeyArn(parameters.keyArn) ?? {}
    const result = {
      ...bundle,
      account,
      partition,
      region,
      out: args.out,
      bundle: sidecar,
      bytes: wrapped.bytes.length,
      awsCommand,
    }
    const rows = [
      ["name", name],
      ["KMS key", account === null ? `${parameters.keyArn}, its account not known here` : parameters.keyArn],
      ["source key", `${source.label}, ID ${source.id}`],
      ["custody", custodyText(source.custody, bundle.sourceKey.unenforced ?? null)],
      ["wrapping", `${bundle.wrappingAlgorithm} under ${bundle.wrappingKeySpec}, path ${wrapped.wrapPath}`],
      ["mechanisms", wrapped.mechanisms.join(", ")],
      ["wrapping key", bundle.wrappingKeyFingerprint],
      ["written", `${args.out} (${wrapped.bytes.length} bytes), ${sidecar}`],
    ] as const
    const text = (layout: Layout): string =>
      `${facts(rows, layout)}\n\nimport it with keyferry, or with the AWS CLI:\n${awsCommand}`
    return { result, text: unlessQuiet(text) }
  },
})
