import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import { lockState, type StateLock } from "#src/store/files/lock.js"
import { type CliResult, keyferry } from "../../support/cli.js"
import { settableClock } from "../../support/host-clock.js"
import { type KmsProxy, startKmsProxy } from "../../support/kms-proxy.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "../../support/local-kms.js"
import { RunningAgent } from "../../support/running-agent.js"
import { addSofthsmToken, softhsmToken } from "../../support/tokens.js"
import { type Receiver, startReceiver } from "./receiver.js"

export const DAY_S = 86_400
const REGIONS = { east: "us-east-1", west: "us-west-2", eu: "eu-west-3" } as const
export type Target = keyof typeof REGIONS
export const TARGETS = Object.keys(REGIONS) as Target[]
/** The one that is reached through a proxy. */
export const BEHIND_PROXY: Target = "eu"

export interface SiteKey {
  readonly name: string
  readonly target: Target
  /** Days. */
  readonly expiresIn: number
}

/** Two tokens, KMS in three Regions, one of them behind a proxy, an agent, and somebody who is told. */
export interface Site extends AsyncDisposable {
  readonly kms: LocalKmsProcess
  readonly proxy: KmsProxy
  readonly receiver: Receiver
  readonly sdk: Readonly<Record<Target, KMS>>
  readonly state: string
  /** Of the manifest now: a name and its one target. */
  readonly keys: () => readonly SiteKey[]
  /** Has so many keys in the manifest from now on. */
  growTo(count: number): void
  /** KMS' time goes on, and the host's with it. */
  pass(seconds: number): Promise<void>
  /** Sets the host's clock so many seconds ahead of KMS' time, or behind. */
  hostAhead(seconds: number): void
  startAgent(): RunningAgent
  /** A person's command. */
  run(...args: readonly string[]): Promise<CliResult>
  /** What a person's command does first. */
  lock(): Promise<StateLock>
  /** Takes the second token away, and gives it back. */
  secondToken(isThere: boolean): void
  readonly tokenUris: readonly string[]
  /** Files of objects in both tokens: also of those that SoftHSM was killed in making, which are no keys. */
  tokenObjects(): number
}

/** All of up to so many keys; the manifest begins with the first `count`. */
export async function openSite(most: number, count: number): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-agent-"))
  const first = softhsmToken("first")
  const folders = join(first.dir, "tokens")
  const ofFirst = new Set(readdirSync(folders))
  const second = addSofthsmToken(first, "second")
  const secondFolder = readdirSync(folders).find((name) => !ofFirst.has(name)) ?? ""
  const kms = await startLocalKms({ regions: Object.values(REGIONS) })
  const proxy = await startKmsProxy(kms.endpoint)
  const receiver = await startReceiver()
  const clock = settableClock(join(folder, "host-clock"))
  const state = join(folder, "state")
  const config = join(folder, "keyferry.json")
  const secretFile = join(folder, "secret")
  writeFileSync(secretFile, "a secret of 24 characters\n", { mode: 0o600 })
  const all = Array.from({ length: most }, (_, index) => ({
    name: `k${String(index + 1).padStart(4, "0")}`,
    target: TARGETS[index % TARGETS.length] ?? "east",
    token: index % 2 === 0 ? "first" : "second",
    // so that they do not come due together
    expiresIn: 55 + ((index * 5) % 36),
  }))
  const targets = TARGETS.map((target): [string, object] => [
    target,
    { region: REGIONS[target], endpoint: target === BEHIND_PROXY ? proxy.endpoint : kms.endpoint },
  ])
  let keys = all
  const growTo = (length: number): void => {
    keys = all.slice(0, length)
    const settings = keys.map(({ name, target, token, expiresIn }): [string, object] => [
      name,
      { keySpec: "SYMMETRIC_DEFAULT", targets: [target], token, expiresIn: `${expiresIn}d` },
    ])
    const manifest = {
      version: 1,
      id: "year",
      tokens: { first: { uri: first.uri }, second: { uri: second.uri } },
      targets: Object.fromEntries(targets),
      defaults: { custody: "token", wrappingKeySpec: "RSA_2048" },
      keys: Object.fromEntries(settings),
      agent: {
        // rounds are asked for
        schedule: "0 0 1 1 *",
        jitter: "0s",
        allow: ["rewrap", "provision"],
        listen: "127.0.0.1:0",
        notify: [{ webhook: receiver.url, secretFile }],
      },
    }
    writeFileSync(`${config}.new`, JSON.stringify(manifest))
    renameSync(`${config}.new`, config)
  }
  growTo(count)
  const env = () => ({
    ...kms.env,
    ...first.env,
    ...clock.env(),
    KEYFERRY_STATE_DIR: state,
    KEYFERRY_CONFIG: config,
    KEYFERRY_TOKEN: undefined,
  })
  let [passedS, aheadS] = [0, 0]
  const sdk = Object.fromEntries(TARGETS.map((target) => [target, kmsClient(kms, REGIONS[target])])) as Site["sdk"]
  return {
    kms,
    proxy,
    receiver,
    sdk,
    state,
    keys: () => keys,
    growTo,
    async pass(seconds) {
      passedS += seconds
      await kms.clock.advance(seconds)
      clock.set(passedS + aheadS)
    },
    hostAhead(seconds) {
      aheadS = seconds
      clock.set(passedS + aheadS)
    },
    startAgent: () => new RunningAgent([], env()),
    run: (...args) => keyferry(args, { env: env() }),
    lock: () => lockState(state, { command: "rotate", scheduled: false, timeout: 120_000 }),
    secondToken(isThere) {
      const [here, away] = [join(folders, secondFolder), join(folder, "away")]
      renameSync(isThere ? away : here, isThere ? here : away)
    },
    tokenUris: [first.uri, second.uri],
    tokenObjects: () =>
      readdirSync(folders, { recursive: true, encoding: "utf8" }).filter((path) => /(?<!token)\.object$/.test(path))
        .length,
    async [Symbol.asyncDispose]() {
      for (const client of Object.values(sdk)) client.destroy()
      await receiver[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
      await kms.stop()
      first.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
