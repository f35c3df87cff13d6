import { spawn } from "node:child_process"
import { DEFAULT_SETTINGS } from "#src/core/manifest/key-settings.js"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { provision } from "#src/app/provision/provision.js"
import { wrap } from "#src/app/offline/wrap.js"
import { KeyferryError } from "#src/core/base/error.js"
import { KEY_SPECS, type WrappingKeySpec } from "#src/core/key/key-spec.js"
import { Secret } from "#src/core/base/secret.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import type { Deps } from "#src/app/deps.js"
import { openWorld } from "#src/host/open.js"
import { type Cell, CELLS, isTaken } from "./matrix-cells.js"

const THIS_FILE = fileURLToPath(import.meta.url)

/** A public RSA key of the test for each size (SubjectPublicKeyInfo, DER, base64), to wrap under besides KMS'. */
export type LocalKeys = Readonly<Record<WrappingKeySpec, string>>

/** A cell that the token carried to KMS, with what the test needs to open the same key's blob itself. */
export interface Carried {
  readonly wrapPath: string | null
  readonly wrappingAlgorithm: string
  readonly proof: { readonly kind: string; readonly result: string }
  readonly sourceKey: string
  /** The source key wrapped by the same path under the local key, base64. */
  readonly blob: string
  /** SubjectPublicKeyInfo by the token, base64; null for secret keys. */
  readonly publicKey: string | null
  /** HMAC of {@link MESSAGE} by the token, hex; null for others. */
  readonly mac: string | null
  readonly kcv: string | null
}

export interface Outcome {
  readonly cell: Cell
  readonly carried: Carried | null
  readonly refused: { readonly code: string; readonly hint: string; readonly causes: readonly string[] } | null
}

export const MESSAGE = "keyferry matrix"

export interface MatrixRun {
  /** Of the token, and of the KMS. */
  readonly env: Readonly<Record<string, string>>
  /** What a process must start with to see the token. */
  readonly prefix: readonly string[]
  readonly localKeys: LocalKeys
  readonly folder: string
}

/** Carries every cell from the token of the environment to the KMS of the environment, in a process of its own. */
export async function runMatrix({ env, prefix, localKeys, folder }: MatrixRun): Promise<readonly Outcome[]> {
  writeFileSync(`${folder}/keys.json`, JSON.stringify(localKeys))
  const [command, ...args] = [...prefix, process.execPath, THIS_FILE, folder]
  const child = spawn(command, args, { env: { ...env }, stdio: ["ignore", "inherit", "inherit"] })
  const status = await new Promise((resolve) => child.once("exit", resolve))
  if (status !== 0) throw new Error(`the matrix process ended with ${String(status)}`)
  return JSON.parse(readFileSync(`${folder}/outcomes.json`, "utf8")) as readonly Outcome[]
}

/** What carries a cell, and who owns the keys. */
type Carrier = Deps & { readonly owner: string }

async function main(folder: string): Promise<void> {
  const localKeys = JSON.parse(readFileSync(`${folder}/keys.json`, "utf8")) as LocalKeys
  const silent = { step: () => undefined, warn: () => undefined }
  const surroundings = { env: process.env, progress: silent, log: { event: () => undefined }, command: "matrix" }
  await using world = openWorld({ stateDir: `${folder}/state` }, surroundings)
  const { owner } = await world.settings()
  const deps = await world.deps()
  // all at once, so that throw-away keys serve several paths; provision answers from the cache then
  await deps.token.selfTest(CELLS.filter(isTaken))
  const outcomes: Outcome[] = []
  for (const cell of CELLS) outcomes.push(await carry({ ...deps, owner }, cell, localKeys))
  writeFileSync(`${folder}/outcomes.json`, JSON.stringify(outcomes))
}

async function carry(carrier: Carrier, cell: Cell, localKeys: LocalKeys): Promise<Outcome> {
  try {
    return { cell, carried: await carried(carrier, cell, localKeys), refused: null }
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    const { code, hint, causes } = error
    return { cell, carried: null, refused: { code, hint, causes: causes.map(({ message }) => message) } }
  }
}

async function carried(carrier: Carrier, cell: Cell, localKeys: LocalKeys): Promise<Carried> {
  const { keySpec, wrappingAlgorithm, wrappingKeySpec } = cell
  const result = await provision(carrier, {
    ...DEFAULT_SETTINGS,
    ...cell,
    owner: carrier.owner,
    // one source key for each key spec, with a target of its own for each cell: another KMS key each time
    name: keySpec,
    target: `${wrappingAlgorithm}.${wrappingKeySpec}`,
    keyUsage: KEY_SPECS[keySpec].usages[0]!,
    custody: "token",
    expiresIn: "never",
    prove: "full",
    keyId: null,
    acceptNoReimport: false,
  })
  const [source] = await carrier.token.findSourceKeys({ id: result.sourceKey.id })
  if (source === undefined) throw new Error(`the token lost ${result.sourceKey.label}`)
  const wrappingKey = parseWrappingKey(Buffer.from(localKeys[wrappingKeySpec], "base64"), wrappingKeySpec)
  const parameters = {
    keyArn: result.keyArn,
    wrappingAlgorithm,
    wrappingKeySpec,
    wrappingKey,
    importToken: new Secret(Uint8Array.of(1)),
    parametersValidTo: null,
    requestId: null,
  }
  const { wrapped } = await wrap(carrier, source, { parameters, expectFingerprint: null, accounts: [] })
  const { proof, mac } = KEY_SPECS[keySpec]
  return {
    wrapPath: result.wrapPath,
    wrappingAlgorithm: result.wrappingAlgorithm,
    proof: result.proof,
    sourceKey: source.id,
    blob: Buffer.from(wrapped.bytes).toString("base64"),
    publicKey: proof === "public-key" ? Buffer.from(await carrier.token.publicKey(source)).toString("base64") : null,
    mac: mac ? Buffer.from(await carrier.token.mac(source, Buffer.from(MESSAGE))).toString("hex") : null,
    kcv: source.kcv,
  }
}

if (process.argv[1] === THIS_FILE) await main(process.argv[2] ?? "")
