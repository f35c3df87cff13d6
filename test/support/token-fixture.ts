import { KEY_SPEC_NAMES, WRAPPING_KEY_SPEC_NAMES } from "#src/core/key/key-spec.js"
import type { PinProvider } from "#src/core/ports/pin-provider.js"
import type { Token } from "#src/core/ports/token.js"
import type { VerdictCache } from "#src/core/ports/verdict-cache.js"
import type { WrapRequest } from "#src/core/key/wrapping.js"
import { type CustodyKey, custodyLabelOf, type SealedMaterial } from "#src/core/records/sealed-material.js"
import { Secret } from "#src/core/base/secret.js"
import { identityOf, newSourceKeyId, type SourceKey, type SourceKeyTemplate } from "#src/core/key/source-key.js"
import { parseTokenUri, type TokenUri } from "#src/core/token/token-uri.js"
import { WRAPPING_ALGORITHM_NAMES } from "#src/core/key/wrapping-algorithm.js"
import { openToken, type TokenOptions } from "#src/pkcs11/token.js"
import { nssToken, sharedSofthsmToken, type TestToken } from "#test/support/tokens.js"

/** Gives a fixed PIN and counts what happened to it. */
export interface CountingPin extends PinProvider {
  readonly events: readonly string[]
}

export function pinOf(pin: string): CountingPin {
  const events: string[] = []
  return {
    events,
    read({ serial }) {
      const note = (event: string): Promise<void> => {
        events.push(`${event} ${serial}`)
        return Promise.resolve()
      }
      void note("read")
      return Promise.resolve({
        pin: new Secret(pin),
        begin: () => Promise.resolve(),
        taken: () => note("taken"),
        refused: ({ answer }) => note(`refused ${answer}`),
      })
    },
  }
}

/** A verdict cache in memory, through JSON as a file would be. */
export function memoryCache(): VerdictCache & { readonly entries: Map<string, string> } {
  const entries = new Map<string, string>()
  return {
    entries,
    get: (key) => Promise.resolve(entries.has(key) ? (JSON.parse(entries.get(key) ?? "") as unknown) : undefined),
    put: (key, value) => {
      entries.set(key, JSON.stringify(value))
      return Promise.resolve()
    },
  }
}

/** The shared SoftHSM token; KEYFERRY_TEST_MODULE puts another build of SoftHSM, or a spy, in its place. */
export function softhsm(): TestToken {
  const token = sharedSofthsmToken()
  const module = process.env["KEYFERRY_TEST_MODULE"]
  if (module === undefined) return token
  return { ...token, module, uri: token.uri.replace(/module-path=[^&]*/, `module-path=${encodeURIComponent(module)}`) }
}

let nssShared: TestToken | undefined

/** One NSS database for all tests of this process: softokn takes its folder at C_Initialize. */
export function nss(): TestToken {
  if (!nssShared) {
    const token = nssToken()
    process.once("exit", () => token.remove())
    nssShared = token
  }
  return nssShared
}

export function uriOf(token: TestToken): TokenUri {
  return parseTokenUri(token.uri)
}

/** Opens a test token with its own PIN and an empty cache. */
export function open(token: TestToken, more: Partial<TokenOptions> = {}): Promise<Token> {
  return openToken({ uri: uriOf(token), pin: pinOf(token.pin), cache: memoryCache(), ...more })
}

let counter = 0

/** A template with a name of its own. */
export function newKey(template: Partial<SourceKeyTemplate> = {}): SourceKeyTemplate {
  counter++
  return {
    keySpec: "SYMMETRIC_DEFAULT",
    id: newSourceKeyId(),
    label: `keyferry/test/key-${process.pid}-${counter}/0`,
    custody: "session",
    wrapWithTrusted: false,
    ...template,
  }
}

let custodyKeys = 0

/** A custody key of an owner of its own. */
export function newCustodyKey(owner = `owner-${process.pid}-${++custodyKeys}`) {
  return { id: newSourceKeyId(), label: custodyLabelOf({ owner, number: 0 }), owner }
}

/** What the vault would hold of a key that was just sealed. */
export async function sealedMaterialOf(token: Token, key: SourceKey, under: CustodyKey): Promise<SealedMaterial> {
  const { ciphertext, mechanism } = await token.seal(key, under)
  const publicKey = key.publicKeyFingerprint === null ? null : await token.publicKey(key)
  const at = "2026-01-01T00:00:00Z"
  return {
    ...identityOf(key.label)!,
    id: key.id,
    label: key.label,
    keySpec: key.keySpec,
    ciphertext,
    mechanism,
    custodyKey: { id: under.id, label: under.label, kcv: under.kcv },
    token: token.info,
    sealedAt: at,
    provenance: { origin: "generated", at, attributes: key.attributes, kcv: key.kcv, publicKey },
    unenforced: null,
  }
}

/** Every combination that the self-test can be asked about. */
export const ALL_REQUESTS: readonly WrapRequest[] = KEY_SPEC_NAMES.flatMap((keySpec) =>
  WRAPPING_ALGORITHM_NAMES.flatMap((wrappingAlgorithm) =>
    WRAPPING_KEY_SPEC_NAMES.map((wrappingKeySpec) => ({ keySpec, wrappingAlgorithm, wrappingKeySpec })),
  ),
)
