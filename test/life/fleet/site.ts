import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { keyferry } from "../../support/cli.js"
import { CREDENTIALS } from "../../support/aws-environment.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "../../support/local-kms.js"
import { startTlsPostgres, type TlsServer } from "../../support/postgres-tls.js"
import { RunningAgent } from "../../support/running-agent.js"
import { addSofthsmToken, softhsmToken } from "../../support/tokens.js"
import { type Gate, openGate, type Passing } from "./gate.js"
import { type Namespace, openNamespaces } from "./namespaces.js"

export const DAY_S = 86_400
const REGIONS = { east: "us-east-1", west: "us-west-2", eu: "eu-west-3" } as const
type Target = keyof typeof REGIONS
export const TARGETS = Object.keys(REGIONS) as Target[]
/** Of three tokens; the first is reached by two hosts, the others by the third alone. */
const TOKENS = ["first", "first", "second", "third"] as const
const KMS_PORT = 4599
const DATABASE = "fleet"

export interface FleetKey {
  readonly name: string
  readonly target: Target
  readonly token: (typeof TOKENS)[number]
  readonly keySpec: KeySpec
  readonly rotateEvery?: string
}

/** A host: a namespace of the network, the tokens that it reaches, and its agent. */
export interface Host {
  readonly name: string
  readonly namespace: Namespace
  /** Starts an agent there. */
  start(): RunningAgent
}

/** Three hosts, three tokens, KMS in three Regions, and one PostgreSQL over TLS. */
export interface Site extends AsyncDisposable {
  readonly kms: LocalKmsProcess
  readonly database: TlsServer
  readonly sdk: Readonly<Record<Target, KMS>>
  readonly hosts: readonly Host[]
  /** Writes the configuration with the first keys. */
  configure(count: number): void
  readonly keys: () => readonly FleetKey[]
  pass(seconds: number): Promise<void>
  /** Takes the third token away, and gives it back. */
  thirdToken(isThere: boolean): void
  sql(text: string): string
}

/** @param onPassing is told of each request of a host that KMS has answered, before the host is */
export async function openSite(most: number, onPassing: (host: number, passing: Passing) => boolean): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-fleet-"))
  const stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const namespaces = stack.use(openNamespaces(3))
  const shared = softhsmToken("first")
  stack.defer(() => shared.remove())
  const second = softhsmToken("second")
  stack.defer(() => second.remove())
  const folders = join(second.dir, "tokens")
  const before = new Set(readdirSync(folders))
  const third = addSofthsmToken(second, "third")
  const thirdFolder = readdirSync(folders).find((name) => !before.has(name)) ?? ""
  const kms = stack.use(await startLocalKms({ regions: Object.values(REGIONS) }))
  await kms.rotationSeconds(0)
  const database = stack.use(await startTlsPostgres([], [namespaces.address]))
  database.admit([`hostssl all all ${namespaces.address}/24 trust`])
  await database.postgres.createDatabase(DATABASE)
  const url = `postgres://postgres@${namespaces.address}:${database.port}/${DATABASE}`
  const names = new Map<string, string>()
  const all = keysOf(most)
  let keys = all

  const config = join(folder, "fleet.json")
  const configure = (count: number): void => {
    keys = all.slice(0, count)
    const manifest = {
      version: 1,
      id: "fleet",
      state: { postgres: { url, tls: { caFile: database.caFile } } },
      tokens: { first: { uri: shared.uri }, second: { uri: second.uri }, third: { uri: third.uri } },
      targets: Object.fromEntries(TARGETS.map((target) => [target, targetOf(target)])),
      defaults: { custody: "sealed", wrappingKeySpec: "RSA_2048", expiresIn: "30d", renewBefore: "10d" },
      keys: Object.fromEntries(
        keys.map(({ name, target, ...key }) => [
          name,
          {
            ...key,
            ...(key.keySpec.startsWith("ECC") ? { keyUsage: "SIGN_VERIFY", custody: "token" } : {}),
            targets: [target],
          },
        ]),
      ),
      // plans are asked for
      agent: { schedule: "0 0 1 1 *", jitter: "0s", allow: ["provision", "rewrap", "rotate"] },
    }
    writeFileSync(`${config}.new`, JSON.stringify(manifest))
    renameSync(`${config}.new`, config)
  }
  // a host sees the tokens of its own SoftHSM alone
  const hosts = [shared.env, shared.env, second.env].map((tokenEnv, index): Host => {
    const namespace = namespaces.list[index]!
    const env = { ...CREDENTIALS, ...tokenEnv, KEYFERRY_CONFIG: config }
    return { name: `host-${index + 1}`, namespace, start: () => new RunningAgent([], env, namespace.prefix) }
  })
  for (const [index, { namespace }] of hosts.entries()) {
    const passing = (seen: Passing): boolean => onPassing(index, seen)
    const gate: Gate = stack.use(await openGate(namespaces.address, kms.endpoint, { names, onPassing: passing }))
    await namespace.forward(KMS_PORT, gate.port)
  }
  const sdk = Object.fromEntries(TARGETS.map((target) => [target, kmsClient(kms, REGIONS[target], 3)])) as Site["sdk"]
  stack.defer(() => Object.values(sdk).forEach((client) => client.destroy()))
  configure(most)
  const migrated = await keyferry(["state", "migrate", "--config", config], {
    env: { ...CREDENTIALS },
    prefix: hosts[0]?.namespace.prefix ?? [],
  })
  if (migrated.status !== 0) throw new Error(migrated.stderr)
  return {
    kms,
    database,
    sdk,
    hosts,
    configure,
    keys: () => keys,
    pass: (seconds) => kms.clock.advance(seconds),
    thirdToken(isThere) {
      const [here, away] = [join(folders, thirdFolder), join(folder, "away")]
      renameSync(isThere ? away : here, isThere ? here : away)
    },
    sql: (text) => database.postgres.sql(DATABASE, text),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Of one key in four. */
export const ROTATE_DAYS = 7

/** Most are symmetric, which are made soonest. */
function keysOf(count: number): readonly FleetKey[] {
  const others: readonly KeySpec[] = ["HMAC_256", "ECC_NIST_P384", "HMAC_384"]
  return Array.from({ length: count }, (_, index) => ({
    name: `k${String(index + 1).padStart(4, "0")}`,
    target: TARGETS[index % TARGETS.length] ?? "east",
    token: TOKENS[Math.floor(index / TARGETS.length) % TOKENS.length] ?? "first",
    keySpec: index % 6 === 5 ? (others[Math.floor(index / 6) % others.length] ?? "HMAC_256") : "SYMMETRIC_DEFAULT",
    ...(index % 4 === 0 ? { rotateEvery: `${ROTATE_DAYS}d` } : {}),
  }))
}

const targetOf = (target: Target): object => ({
  region: REGIONS[target],
  endpoint: `http://127.0.0.1:${KMS_PORT}`,
  // the quarter is to take minutes
  quotas: { GetParametersForImport: 100, CreateKey: 100, ImportKeyMaterial: 100, RotateKeyOnDemand: 100 },
})
