import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { KMS } from "@aws-sdk/client-kms"
import type { FaultOptions } from "#src/local-kms/server/faults.js"
import type { LocalKmsOptions } from "#src/local-kms/server/options.js"
import type { RequestCounts } from "#src/local-kms/server/request-log.js"
import { startLocalKms as serve } from "#src/local-kms/server/server.js"

const THIS_FILE = fileURLToPath(import.meta.url)

/** A local KMS in a process of its own, and its admin path. */
export interface LocalKmsProcess extends AsyncDisposable {
  readonly endpoint: string
  readonly pid: number
  /** The line on standard output that said it listens. */
  readonly ready: string
  /** What it said on standard error so far. */
  readonly stderr: () => string
  /** Environment under which the AWS CLI, the SDK and keyferry talk to it with dummy credentials and nothing else. */
  readonly env: Readonly<Record<string, string>>
  readonly clock: {
    now(): Promise<Date>
    set(instant: string | Date): Promise<void>
    advance(seconds: number): Promise<void>
    freeze(): Promise<void>
    tick(): Promise<void>
  }
  fault(options: Partial<FaultOptions> & Pick<FaultOptions, "kind">): Promise<void>
  faults(): Promise<readonly FaultOptions[]>
  clearFaults(): Promise<void>
  /** Token buckets: a preset, then rates per second over it. */
  quotas(wanted: { readonly preset?: "aws" | "off"; readonly rates?: Readonly<Record<string, number>> }): Promise<void>
  /** Keeps new keys and aliases out of the lists for so many seconds of its clock. */
  lag(seconds: number): Promise<void>
  rotationSeconds(seconds: number): Promise<void>
  /** How long new replicas are `Creating` and changed primary keys `Updating`. */
  replicationSeconds(seconds: number): Promise<void>
  counts(): Promise<RequestCounts>
  clearCounts(): Promise<void>
  reset(): Promise<void>
  /** Any path under `/_admin/`. */
  admin(method: string, path: string, body?: object): Promise<unknown>
  /** Resolves when its process is gone. */
  readonly ended: Promise<unknown>
  stop(): Promise<void>
}

const DUMMY_CREDENTIALS = { accessKeyId: "AKIALOCALKMSTEST0000", secretAccessKey: "not-a-secret" }

/** Starts a local KMS on a free port; it ends with `stop`, with `await using`, or with this process. */
export async function startLocalKms(options: LocalKmsOptions = {}): Promise<LocalKmsProcess> {
  const child = spawn(process.execPath, [THIS_FILE, "serve", JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "pipe"],
  })
  let stderr = ""
  child.stderr.on("data", (piece: Buffer) => (stderr += piece.toString()))
  const ended = once(child, "exit")
  const ready = await firstLine(child, () => stderr)
  const endpoint = /http:\S+/.exec(ready)?.[0] ?? ""

  const admin = async (method: string, path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`${endpoint}/_admin/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer: unknown = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }
  const tell = async (method: string, path: string, body?: object): Promise<void> => {
    await admin(method, path, body)
  }
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, "exit")
  }

  return {
    endpoint,
    ready,
    pid: child.pid ?? 0,
    ended,
    stderr: () => stderr,
    env: environment(endpoint, options.regions?.[0] ?? "us-east-1"),
    clock: {
      now: async () => new Date(((await admin("GET", "clock")) as { now: string }).now),
      set: (instant) => tell("PUT", "clock", { set: typeof instant === "string" ? instant : instant.toISOString() }),
      advance: (seconds) => tell("PUT", "clock", { advance: seconds }),
      freeze: () => tell("PUT", "clock", { ticking: false }),
      tick: () => tell("PUT", "clock", { ticking: true }),
    },
    fault: (fault) => tell("POST", "faults", fault),
    faults: async () => ((await admin("GET", "faults")) as { faults: FaultOptions[] }).faults,
    clearFaults: () => tell("DELETE", "faults"),
    quotas: (wanted) => tell("PUT", "quotas", wanted),
    lag: (seconds) => tell("PUT", "lag", { seconds }),
    rotationSeconds: (seconds) => tell("PUT", "rotation", { seconds }),
    replicationSeconds: (seconds) => tell("PUT", "replication", { seconds }),
    counts: async () => (await admin("GET", "requests")) as RequestCounts,
    clearCounts: () => tell("DELETE", "requests"),
    reset: () => tell("POST", "reset"),
    admin,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** An SDK client of it; one attempt a call, unless the test asks for retries. */
export function kmsClient(kms: Pick<LocalKmsProcess, "endpoint">, region = "us-east-1", maxAttempts = 1): KMS {
  return new KMS({ region, endpoint: kms.endpoint, credentials: DUMMY_CREDENTIALS, maxAttempts })
}

function environment(endpoint: string, region: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: "/nonexistent",
    AWS_ACCESS_KEY_ID: DUMMY_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: DUMMY_CREDENTIALS.secretAccessKey,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ENDPOINT_URL: endpoint,
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
  }
}

async function firstLine(
  child: ChildProcess & { stdout: NodeJS.ReadableStream },
  stderr: () => string,
): Promise<string> {
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, "exit").then(() => {
    throw new Error(`the local KMS ended before it listened: ${stderr()}`)
  })
  // later it may end without that being an error
  ended.catch(() => undefined)
  const [line] = (await Promise.race([once(lines, "line"), ended])) as [string]
  return line
}

/** The child: serves until its standard input closes, which it does when the parent ends in whatever way. */
async function main(options: LocalKmsOptions): Promise<void> {
  const kms = await serve(options)
  for (const warning of kms.warnings) process.stderr.write(`keyferry: warning: ${warning}\n`)
  process.stdout.write(`${kms.ready}\n`)
  process.stdin.resume().once("end", () => process.exit())
}

if (process.argv[1] === THIS_FILE && process.argv[2] === "serve") {
  await main(JSON.parse(process.argv[3] ?? "{}") as LocalKmsOptions)
}
