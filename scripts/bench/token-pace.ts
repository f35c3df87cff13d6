import { generateKeyPairSync } from "node:crypto"
import type { Token } from "#src/core/ports/token.js"
import type { WrapCapability, WrapRequest } from "#src/core/key/wrapping.js"
import { labelOf, newSourceKeyId } from "#src/core/key/source-key.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { parseWrappingKey, type WrappingKey } from "#src/core/key/wrapping-key.js"
import { openToken } from "#src/pkcs11/token.js"
import { pinOf } from "#test/support/token-fixture.js"
import type { TestToken } from "#test/support/tokens.js"
import type { Pace } from "./wrap-loop.js"

/** The best that SoftHSM 2.6.1 has for a symmetric key: it does OAEP with SHA-1 only. */
const REQUEST: WrapRequest = {
  keySpec: "SYMMETRIC_DEFAULT",
  wrappingAlgorithm: "RSAES_OAEP_SHA_1",
  wrappingKeySpec: "RSA_4096",
}

/** keyferry's own token with so many sessions; verdicts are kept for as long as `verdicts` is. */
export async function benchToken(
  { uri, pin }: TestToken,
  sessions: number,
  verdicts: Map<string, unknown>,
): Promise<Token> {
  return await openToken({
    uri: parseTokenUri(uri),
    sessions,
    pin: pinOf(pin),
    cache: {
      get: (key) => Promise.resolve(verdicts.get(key)),
      put(key, value) {
        verdicts.set(key, value)
        return Promise.resolve()
      },
    },
  })
}

/** A wrapping key such as KMS lends. */
export function wrappingKey4096(): WrappingKey {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 4096 })
  return parseWrappingKey(publicKey.export({ type: "spki", format: "der" }), REQUEST.wrappingKeySpec)
}

/** Generates, reads back, wraps and destroys keys by the calls of the use cases, so many at one time. */
export async function tokenPace(
  token: Token,
  under: WrappingKey,
  limits: { readonly seconds: number; readonly keys?: number; readonly atOnce: number },
): Promise<Pace> {
  const [capability] = await token.selfTest([REQUEST])
  if (capability?.usable !== true) throw new Error(`the token cannot wrap: ${capability?.reason ?? ""}`)
  const start = performance.now()
  const end = start + limits.seconds * 1000
  let keys = 0
  const work = async (): Promise<void> => {
    while (keys < (limits.keys ?? Infinity) && performance.now() < end) {
      keys++
      await oneKey(token, under, capability)
    }
  }
  await Promise.all(Array.from({ length: limits.atOnce }, work))
  return { keys, seconds: (performance.now() - start) / 1000 }
}

async function oneKey(token: Token, under: WrappingKey, capability: WrapCapability): Promise<void> {
  const id = newSourceKeyId()
  const label = labelOf({ owner: "bench", name: id.slice(0, 10), generation: 0 })
  const { keySpec } = REQUEST
  const key = await token.generateSourceKey({ keySpec, id, label, custody: "session", wrapWithTrusted: false })
  await token.wrap(key, under, capability)
  await token.destroySourceKey(key)
}
