import { generateKeyPairSync } from "node:crypto"
import { fileURLToPath } from "node:url"
import { KEY_SPEC_NAMES } from "#src/core/key/key-spec.js"
import type { Token } from "#src/core/ports/token.js"
import { custodyLabelOf } from "#src/core/records/sealed-material.js"
import { newSourceKeyId } from "#src/core/key/source-key.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { WRAPPING_ALGORITHM_NAMES } from "#src/core/key/wrapping-algorithm.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import { openToken } from "#src/pkcs11/token.js"
import { newKey, pinOf, sealedMaterialOf } from "#test/support/token-fixture.js"

/** Path of this file, to be run by node with the token's environment, its URI and its PIN. */
export const PROBE_PROCESS = fileURLToPath(import.meta.url)

/**
 * What `token probe --fresh` does, in one session: with several, threads write into one recording at the same time and
 * nobody can tell whose line is whose.
 */
async function probe(uri: string, pin: string): Promise<void> {
  await using token = await openToken({
    uri: parseTokenUri(uri),
    pin: pinOf(pin),
    cache: { get: () => Promise.resolve(undefined), put: () => Promise.resolve() },
    sessions: 1,
  })
  if (process.env["PROBE_SEALS"] !== undefined) {
    await sealAndWrap(token)
    return
  }
  const requests = KEY_SPEC_NAMES.flatMap((keySpec) =>
    WRAPPING_ALGORITHM_NAMES.map((wrappingAlgorithm) => ({
      keySpec,
      wrappingAlgorithm,
      wrappingKeySpec: "RSA_2048" as const,
    })),
  )
  const capabilities = await token.selfTest(requests, { fresh: true })
  await token.probeCustody({ fresh: true, keySpecs: KEY_SPEC_NAMES.filter((spec) => !/^RSA_[34]/.test(spec)) })
  process.stdout.write(JSON.stringify(capabilities.filter(({ usable }) => usable).length))
}

/** The life of two sealed keys under one custody key, which the first run makes and every other finds. */
async function sealAndWrap(token: Token): Promise<void> {
  const owner = "probe"
  const [found] = await token.findCustodyKeys(owner)
  const custodyKey =
    found ?? (await token.generateCustodyKey({ id: newSourceKeyId(), label: custodyLabelOf({ owner, number: 0 }) }))
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const under = parseWrappingKey(publicKey.export({ format: "der", type: "spki" }), "RSA_2048")
  for (const [keySpec, wrappingAlgorithm] of [
    ["HMAC_256", "RSAES_OAEP_SHA_1"],
    ["ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1"],
  ] as const) {
    const [capability] = await token.selfTest([{ keySpec, wrappingAlgorithm, wrappingKeySpec: "RSA_2048" }])
    const key = await token.generateSourceKey(newKey({ keySpec }))
    const material = await sealedMaterialOf(token, key, custodyKey)
    await token.destroySourceKey(key)
    const unsealed = await token.unseal(material)
    await token.wrap(unsealed, under, capability!)
    await token.destroySourceKey(unsealed)
  }
}

if (process.argv[1] === PROBE_PROCESS) await probe(process.env["PROBE_URI"] ?? "", process.env["PROBE_PIN"] ?? "")
