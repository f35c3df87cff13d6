import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import type { KeyRow } from "#src/core/plan/row.js"
import { type CliResult, keyferry } from "../../support/cli.js"
import { hostClock } from "../../support/host-clock.js"
import { CREDENTIALS } from "../../support/aws-environment.js"
import { HOOKED } from "../../support/kill-hook.js"
import { type KmsProxy, startKmsProxy } from "../../support/kms-proxy.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "../../support/local-kms.js"
import { softhsmToken, type TestToken } from "../../support/tokens.js"

export const DAY_S = 86_400
export const LIFE_DAYS = 30

/** Two Regions of one account: a source key may go to both. */
export const TARGETS = ["east", "west"] as const
export type Target = (typeof TARGETS)[number]
const REGIONS: Readonly<Record<Target, string>> = { east: "us-east-1", west: "eu-west-1" }

/** A key of the configuration file. */
export interface Key {
  readonly name: string
  readonly targets: readonly Target[]
  readonly rotateEvery?: string
}

/** Who runs keyferry: a state directory and a clock. */
export interface Host {
  readonly name: string
  readonly state: string
  /** How far its clock is ahead of KMS' time. */
  aheadDays: number
}

export interface Run {
  readonly args: readonly string[]
  readonly ended: CliResult
  readonly killed: boolean
  /** Of a command over many keys; none where it printed no such result. */
  readonly rows: readonly KeyRow[]
}

export interface Site extends AsyncDisposable {
  readonly folder: string
  readonly token: TestToken
  readonly proxy: KmsProxy
  readonly sdk: Readonly<Record<Target, KMS>>
  readonly runs: Run[]
  /** What happened, a line each. */
  readonly journal: string[]
  /** KMS' days since the beginning. */
  readonly day: () => number
  readonly now: () => Promise<Date>
  pass(seconds: number): Promise<void>
  configure(keys: readonly Key[]): void
  /** Whether the profile of the target west gets credentials. */
  profile(works: boolean): void
  /** Kills the command before so many calls; 0 is the first. */
  run(host: Host, args: readonly string[], killAt?: number): Promise<Run>
}

/** A token, KMS in two Regions, a proxy before one of them, and a configuration file. */
export async function openSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-quarter-"))
  const token = softhsmToken()
  const [east, west] = await Promise.all(TARGETS.map(startTarget))
  const kms = { east: east!, west: west! } satisfies Record<Target, LocalKmsProcess>
  const sdk = { east: kmsClient(kms.east, REGIONS.east, 3), west: kmsClient(kms.west, REGIONS.west, 3) }
  const proxy = await startKmsProxy(kms.east.endpoint)
  const config = join(folder, "keyferry.json")
  const env = { ...token.env, ...awsEnvironment(folder), KEYFERRY_CONFIG: config }
  const runs: Run[] = []
  const journal: string[] = []
  let passedS = 0

  const site: Site = {
    folder,
    token,
    proxy,
    sdk,
    runs,
    journal,
    day: () => Math.floor(passedS / DAY_S),
    now: () => kms.east.clock.now(),
    async pass(seconds) {
      passedS += seconds
      await Promise.all(TARGETS.map((target) => kms[target].clock.advance(seconds)))
    },
    configure(keys) {
      const endpoints = { east: proxy.endpoint, west: kms.west.endpoint }
      writeFileSync(config, JSON.stringify(manifest(token, endpoints, keys), null, 1))
    },
    profile(works) {
      const broken = join(folder, "broken")
      if (works) rmSync(broken, { force: true })
      else writeFileSync(broken, "")
    },
    async run({ name, state, aheadDays }, args, killAt) {
      const clock = hostClock(passedS + aheadDays * DAY_S)
      const kill = killAt === undefined ? {} : { ...HOOKED, KEYFERRY_TEST_KILL_AT: String(killAt) }
      const ended = await keyferry([...args, "--json"], {
        env: { ...env, ...clock, ...kill, KEYFERRY_STATE_DIR: state },
      })
      const run = { args, ended, killed: ended.signal === "SIGKILL", rows: rowsOf(ended) }
      runs.push(run)
      note(`${name} (${aheadDays} d) ${args.join(" ")}: ${ending(run)}`)
      return run
    },
    async [Symbol.asyncDispose]() {
      for (const target of TARGETS) sdk[target].destroy()
      await proxy[Symbol.asyncDispose]()
      await Promise.all(TARGETS.map((target) => kms[target].stop()))
      token.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  const note = (text: string): void => {
    const line = `day ${site.day()}: ${text}`
    journal.push(line)
    const file = process.env["KEYFERRY_TEST_JOURNAL"]
    if (file !== undefined) appendFileSync(file, `${line}\n`)
  }
  return site
}

async function startTarget(target: Target): Promise<LocalKmsProcess> {
  const kms = await startLocalKms({ regions: [REGIONS[target]] })
  await kms.rotationSeconds(1)
  return kms
}

/** The environment's credentials are for the target east; west has a profile, whose provider may fail. */
function awsEnvironment(folder: string): Readonly<Record<string, string>> {
  const answer = JSON.stringify({ Version: 1, AccessKeyId: "AKIALOCALKMSWEST0000", SecretAccessKey: "not-a-secret" })
  const provider = join(folder, "credentials.sh")
  writeFileSync(provider, `#!/bin/sh\n[ ! -e '${join(folder, "broken")}' ] || exit 1\necho '${answer}'\n`, {
    mode: 0o700,
  })
  const file = join(folder, "aws-config")
  writeFileSync(file, `[profile west]\nregion = ${REGIONS.west}\ncredential_process = ${provider}\n`)
  return {
    ...CREDENTIALS,
    AWS_CONFIG_FILE: file,
  }
}

function manifest(token: TestToken, endpoints: Readonly<Record<Target, string>>, keys: readonly Key[]): object {
  const rows = keys.map(({ name, targets, rotateEvery }) => [
    name,
    { keySpec: "SYMMETRIC_DEFAULT", targets, ...(rotateEvery === undefined ? {} : { rotateEvery }) },
  ])
  return {
    version: 1,
    id: "quarter",
    tokens: { hsm: { uri: token.uri } },
    targets: {
      east: { region: REGIONS.east, endpoint: endpoints.east },
      west: { region: REGIONS.west, endpoint: endpoints.west, profile: "west" },
    },
    defaults: {
      token: "hsm",
      custody: "token",
      wrappingKeySpec: "RSA_2048",
      expiresIn: `${LIFE_DAYS}d`,
      renewBefore: "10d",
    },
    keys: Object.fromEntries(rows) as object,
  }
}

function rowsOf({ stdout }: CliResult): readonly KeyRow[] {
  try {
    return (JSON.parse(stdout) as { readonly keys?: readonly KeyRow[] }).keys ?? []
  } catch {
    return []
  }
}

/** How a run ended, for the journal: its status, how many rows had which reason, and the words of one row each that was not well. */
function ending({ ended, killed, rows }: Run): string {
  const reasons = new Map<string, KeyRow[]>()
  for (const row of rows) {
    const word = `${row.outcome} ${row.reason}`
    reasons.set(word, [...(reasons.get(word) ?? []), row])
  }
  const words = [...reasons].map(([word, [first, ...others]]) => {
    const isWell = first?.outcome === "done" || first?.outcome === "nothing"
    const why = first === undefined || isWell ? "" : ` (${first.name}: ${first.message}; ${first.hint ?? "no hint"})`
    return `${others.length + 1} ${word}${why}`
  })
  const said = rows.length > 0 || ended.status === 0 ? "" : ended.stderr.trim().slice(-600)
  return `${killed ? "killed" : String(ended.status)} ${words.join(", ")}${said}`
}
