/**
 * Opens a token in a process of its own, for modules that have their paths compiled in or that spoil the process.
 * Reads a `Script` as JSON from standard input and prints one `Outcome` for each of its PINs.
 */
import { text } from "node:stream/consumers"
import { KeyferryError } from "#src/core/base/error.js"
import type { EnforcementFacts, SealingVerdict } from "#src/core/key/custody.js"
import type { WrapCapability, WrapRequest } from "#src/core/key/wrapping.js"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { inspectToken } from "#src/pkcs11/session/inspect.js"
import { openToken } from "#src/pkcs11/token.js"
import { memoryCache, newCustodyKey, newKey, pinOf } from "./token-fixture.js"

export interface Script {
  readonly uri: string
  /** One login each. */
  readonly pins: readonly string[]
  /** What to do after each login that worked. */
  readonly requests?: readonly WrapRequest[]
  readonly generate?: readonly KeySpec[]
  /** The key specs whose sealing is probed beside custody. */
  readonly probeCustody?: readonly KeySpec[]
}

export interface Outcome {
  /** `ok`, or the code of the failure. */
  readonly code: string
  readonly causes: readonly string[]
  readonly message: string
  /** What was asked of the PIN provider, in order, without the serial. */
  readonly pinEvents: readonly string[]
  readonly warnings: number
  /** The token's flags before the login. */
  readonly flags: readonly string[]
  readonly verdicts: readonly WrapCapability[]
  readonly facts: EnforcementFacts | null
  readonly sealing: Readonly<Partial<Record<KeySpec, SealingVerdict>>>
  /** `ok` or the failure's code. */
  readonly custodyKey: string | null
  /** `ok` or the failure's code, by key spec. */
  readonly generated: Readonly<Record<string, string>>
}

const script = JSON.parse(await text(process.stdin)) as Script
const outcomes: Outcome[] = []
for (const pin of script.pins) outcomes.push(await run(pin))
process.stdout.write(JSON.stringify(outcomes))

async function run(pinText: string): Promise<Outcome> {
  const uri = parseTokenUri(script.uri)
  const pin = pinOf(pinText)
  let warnings = 0
  let flags: readonly string[] = []
  let verdicts: readonly WrapCapability[] = []
  let facts: EnforcementFacts | null = null
  let sealing: Outcome["sealing"] = {}
  let custodyKey: string | null = null
  const generated: Record<string, string> = {}
  const result = (code: string, causes: readonly string[], message: string): Outcome => {
    const pinEvents = pin.events.map((event) => event.split(" ")[0] ?? "")
    return { code, causes, message, pinEvents, warnings, flags, verdicts, facts, sealing, custodyKey, generated }
  }
  try {
    flags = inspectToken(uri).flags
    await using token = await openToken({ uri, pin, cache: memoryCache(), warn: () => warnings++ })
    if (script.requests) verdicts = await token.selfTest(script.requests)
    if (script.probeCustody) {
      const probed = await token.probeCustody({ keySpecs: script.probeCustody })
      facts = probed.facts
      sealing = probed.sealing
      custodyKey = await token.generateCustodyKey(newCustodyKey()).then(() => "ok", codeOf)
    }
    for (const keySpec of script.generate ?? []) {
      generated[keySpec] = await token.generateSourceKey(newKey({ keySpec })).then(() => "ok", codeOf)
    }
    return result("ok", [], "")
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    return result(
      error.code,
      error.causes.map(({ code, message }) => `${message}: ${code}`),
      error.message,
    )
  }
}

function codeOf(error: unknown): string {
  return error instanceof KeyferryError ? error.code : String(error)
}
