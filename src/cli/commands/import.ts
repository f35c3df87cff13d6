import { KeyferryError } from "../../core/base/error.js"
import { WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import { checkedName, needed } from "../options/arguments.js"
import { defineCommand } from "../command.js"
import { unlessQuiet } from "../text/layout.js"
import { keyText } from "../text/key-text.js"
import { EXPIRES_IN, KMS, NAME, TOKEN } from "../options/options.js"
import { PARAMETER_FILES } from "../options/parameter-files.js"

const BUNDLE_ENDING = ".json"

export const importCommand = defineCommand({
  name: "import",
  describe: "step 3 of 3, online: import wrapped key material, prove it by the bundle of `wrap`, record it",
  examples: [
    [
      "$0 import --name payments --key-id ID --parameters payments.params.json --wrapped EncryptedKeyMaterial.bin --expires-in 90d",
      "what `keyferry wrap` wrote, with EncryptedKeyMaterial.bin.json beside it",
    ],
  ],
  options: {
    name: { ...NAME, demandOption: true },
    "key-id": { type: "string", requiresArg: true, describe: "KMS key: ID, ARN or alias; the parameters may name it" },
    ...PARAMETER_FILES,
    wrapped: { type: "string", requiresArg: true, describe: "ciphertext of `wrap`" },
    bundle: {
      type: "string",
      requiresArg: true,
      describe: "what `wrap` wrote beside it; default: WRAPPED.json where that exists",
    },
    "wrapping-algorithm": { choices: WRAPPING_ALGORITHM_NAMES, describe: "algorithm given to GetParametersForImport" },
    "wrapping-key-spec": { choices: WRAPPING_KEY_SPEC_NAMES, describe: "size asked of KMS" },
    "expires-in": EXPIRES_IN,
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world }) {
    const name = checkedName("name", args.name)
    const { completeParameters, refuseOtherKeySpec } = await import("../../core/records/transfer.js")
    const { checkExpiresIn } = await import("../../core/base/expiry.js")
    checkExpiresIn(args.expiresIn)
    const { readParameters } = await import("../../store/transfer/parameters.js")
    const loose = await readParameters(args)
    const { wrappingAlgorithm, wrappingKeySpec } = args
    // an alias or a bare ID is resolved later, and then held against what the parameters say
    const keyId = args.keyId ?? needed("key-id", loose.keyId ?? undefined)
    const { encryptedKeyMaterial, bundle } = await readWrapped(args)
    if (bundle !== null) refuseOtherKeySpec(loose, bundle.keySpec, "what the bundle describes")
    const parameters = completeParameters(loose, {
      keyId: loose.keyId ?? keyId,
      wrappingAlgorithm: wrappingAlgorithm ?? bundle?.wrappingAlgorithm,
      wrappingKeySpec,
    })

    const { importWrapped } = await import("../../app/offline/import-wrapped.js")
    const { owner } = await world.settings()
    const deps = {
      ...(await world.withoutToken({ names: [name] })),
      token: bundle === null ? await world.tokenIfGiven() : null,
    }
    const result = await importWrapped(deps, {
      owner,
      name,
      target: await world.target(),
      keyId,
      parameters,
      encryptedKeyMaterial,
      bundle,
      expiresIn: args.expiresIn,
    })
    return { result, text: unlessQuiet((layout) => keyText(result, layout)) }
  },
})

async function readWrapped(args: { readonly wrapped?: string | undefined; readonly bundle?: string | undefined }) {
  const { readInput } = await import("../../store/transfer/input.js")
  const { bundle: bundlePath } = args
  const wrapped =
    args.wrapped ??
    (bundlePath?.endsWith(BUNDLE_ENDING) === true ? bundlePath.slice(0, -BUNDLE_ENDING.length) : undefined)
  const path = needed("wrapped", wrapped)
  const encryptedKeyMaterial = Uint8Array.from(await readInput(path))
  return { encryptedKeyMaterial, bundle: await readBundle(path, bundlePath, encryptedKeyMaterial) }
}

/** The bundle that was named, or the one beside the ciphertext; null where there is none. */
async function readBundle(wrapped: string, named: string | undefined, encryptedKeyMaterial: Uint8Array) {
  const { decodeBundle } = await import("../../store/transfer/bundle-file.js")
  const { readTextInput } = await import("../../store/transfer/input.js")
  const path = named ?? `${wrapped}${BUNDLE_ENDING}`
  try {
    return decodeBundle(await readTextInput(path), path, encryptedKeyMaterial)
  } catch (error) {
    const isMissing = error instanceof KeyferryError && error.causes[0]?.code === "ENOENT"
    if (isMissing && named === undefined) return null
    throw error
  }
}
