import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import { type CliResult, keyferry } from "../../support/cli.js"
import { hostClock } from "../../support/host-clock.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "../../support/local-kms.js"
import { RunningAgent } from "../../support/running-agent.js"
import { addSofthsmToken, softhsmToken } from "../../support/tokens.js"
import { type Receiver, startReceiver } from "./receiver.js"

export const DAY_S = 86_400
const REGIONS = { east: "us-east-1", west: "us-west-2", eu: "eu-west-3" } as const
export type Target = keyof typeof REGIONS
const TARGETS = Object.keys(REGIONS) as Target[]

/** Two tokens, KMS in three Regions, an agent, somebody who is told, and keys that live for ninety days. */
export interface Site extends AsyncDisposable {
  readonly kms: LocalKmsProcess
  readonly receiver: Receiver
  readonly sdk: Readonly<Record<Target, KMS>>
  readonly state: string
  /** Of the manifest: a name and its one target. */
  readonly keys: readonly { readonly name: string; readonly target: Target }[]
  pass(seconds: number): Promise<void>
  /** A new agent, whose host's clock is so many days ahead of KMS' time. */
  agent(aheadDays: number): RunningAgent
  /** A person's command, at the right time. */
  run(...args: readonly string[]): Promise<CliResult>
  /** Takes the second token away, and gives it back. */
  secondToken(isThere: boolean): void
}

export async function openSite(count: number): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-agent-"))
  const first = softhsmToken("first")
  const folders = join(first.dir, "tokens")
  const ofFirst = new Set(readdirSync(folders))
  const second = addSofthsmToken(first, "second")
  const secondFolder = readdirSync(folders).find((name) => !ofFirst.has(name)) ?? ""
  const kms = await startLocalKms({ regions: Object.values(REGIONS) })
  const receiver = await startReceiver()
  const state = join(folder, "state")
  const config = join(folder, "keyferry.json")
  const secretFile = join(folder, "secret")
  writeFileSync(secretFile, "a secret of 24 characters\n", { mode: 0o600 })
  const keys = Array.from({ length: count }, (_, index) => ({
    name: `k${String(index + 1).padStart(4, "0")}`,
    target: TARGETS[index % TARGETS.length] ?? "east",
    token: index % 2 === 0 ? "first" : "second",
  }))
  writeFileSync(
    config,
    JSON.stringify({
      version: 1,
      id: "year",
      tokens: { first: { uri: first.uri }, second: { uri: second.uri } },
      targets: Object.fromEntries(
        TARGETS.map((target) => [target, { region: REGIONS[target], endpoint: kms.endpoint }]),
      ),
      defaults: { custody: "token", wrappingKeySpec: "RSA_2048" },
      keys: Object.fromEntries(
        keys.map(({ name, target, token }) => [name, { keySpec: "SYMMETRIC_DEFAULT", targets: [target], token }]),
      ),
      agent: {
        jitter: "0s",
        allow: ["rewrap", "provision"],
        listen: "127.0.0.1:0",
        notify: [{ webhook: receiver.url, secretFile }],
      },
    }),
  )
  const env = {
    ...kms.env,
    ...first.env,
    KEYFERRY_STATE_DIR: state,
    KEYFERRY_CONFIG: config,
    KEYFERRY_TOKEN: undefined,
  }
  let passedS = 0
  const sdk = Object.fromEntries(TARGETS.map((target) => [target, kmsClient(kms, REGIONS[target])])) as Site["sdk"]
  return {
    kms,
    receiver,
    sdk,
    state,
    keys,
    async pass(seconds) {
      passedS += seconds
      await kms.clock.advance(seconds)
    },
    agent: (aheadDays) => new RunningAgent([], { ...env, ...hostClock(passedS + aheadDays * DAY_S) }),
    run: (...args) => keyferry(args, { env: { ...env, ...hostClock(passedS) } }),
    secondToken(isThere) {
      const [here, away] = [join(folders, secondFolder), join(folder, "away")]
      renameSync(isThere ? away : here, isThere ? here : away)
    },
    async [Symbol.asyncDispose]() {
      for (const client of Object.values(sdk)) client.destroy()
      await receiver[Symbol.asyncDispose]()
      await kms.stop()
      first.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
