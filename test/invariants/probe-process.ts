import { fileURLToPath } from "node:url"
import { KEY_SPEC_NAMES } from "#src/core/key-spec.js"
import { Secret } from "#src/core/secret.js"
import { parseTokenUri } from "#src/core/token-uri.js"
import { WRAPPING_ALGORITHM_NAMES } from "#src/core/wrapping-algorithm.js"
import { openToken } from "#src/pkcs11/token.js"

/** Path of this file, to be run by node with the token's environment, its URI and its PIN. */
export const PROBE_PROCESS = fileURLToPath(import.meta.url)

/**
 * What `token probe --fresh` does, in one session: with several, threads write into one recording at the same time and
 * nobody can tell whose line is whose.
 */
async function probe(uri: string, pin: string): Promise<void> {
  await using token = await openToken({
    uri: parseTokenUri(uri),
    pin: {
      read: () => Promise.resolve(new Secret(pin)),
      refused: () => Promise.resolve(),
      accepted: () => Promise.resolve(),
    },
    cache: { get: () => Promise.resolve(undefined), put: () => Promise.resolve() },
    sessions: 1,
  })
  const requests = KEY_SPEC_NAMES.flatMap((keySpec) =>
    WRAPPING_ALGORITHM_NAMES.map((wrappingAlgorithm) => ({
      keySpec,
      wrappingAlgorithm,
      wrappingKeySpec: "RSA_2048" as const,
    })),
  )
  const capabilities = await token.selfTest(requests, { fresh: true })
  await token.probeCustody({ fresh: true })
  process.stdout.write(JSON.stringify(capabilities.filter(({ usable }) => usable).length))
}

if (process.argv[1] === PROBE_PROCESS) await probe(process.env["PROBE_URI"] ?? "", process.env["PROBE_PIN"] ?? "")
