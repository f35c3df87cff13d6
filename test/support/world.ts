import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import type { Deps } from "#src/app/deps.js"
import { DEFAULT_SETTINGS, settingsFor } from "#src/core/manifest/key-settings.js"
import type { ProvisionRequest } from "#src/app/provision/request.js"
import type { Token } from "#src/core/ports/token.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { DEFAULT_POLICY } from "#src/core/manifest/manifest.js"
import { openKms } from "#src/kms/kms.js"
import { openToken } from "#src/pkcs11/token.js"
import { openStateDir } from "#src/store/files/state-dir.js"
import { custodialToken } from "#src/app/custody/custodial-token.js"
import { RunClock } from "#src/host/clock.js"
import { stateFiles } from "#test/support/state-files.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { sharedSofthsmToken, type TestToken } from "#test/support/tokens.js"
import { awsEnvironment } from "./aws-environment.js"
import { memoryCache, pinOf } from "./token-fixture.js"

/** What the calling suite needs in this process' environment. The token's part stays: its module is loaded once. */
export function worldEnvironment(): void {
  sharedSofthsmToken()
  awsEnvironment()
}

/** One run of a use case: new adapters and what it said, over a state that outlives it. */
export interface Run {
  readonly deps: Deps
  readonly stateDir: string
  /** The same run with parts of its world replaced, under the token as well. */
  with(parts: Partial<Deps>): Deps
  /** The token without what the vault adds. */
  readonly inToken: Token
  readonly steps: readonly string[]
  readonly warnings: readonly string[]
  /** What was logged, whatever its level. */
  readonly logged: readonly Logged[]
}

export interface Logged extends Readonly<Record<string, unknown>> {
  readonly event: string
}

/** Token, KMS and state for use cases run in this process; time passes for all of them without waiting. */
export interface World extends AsyncDisposable {
  readonly testToken: TestToken
  readonly kms: LocalKmsProcess
  readonly sdk: KMS
  /** Forgets keys and state; the token keeps its objects, so names are not used twice. */
  reset(): Promise<void>
  /** A run against this world, or with parts of it replaced; `endpoint` puts something before KMS. */
  run(options?: { readonly endpoint?: string; readonly region?: string }): Promise<Run>
  /** Logs out and in again, by which session objects die; `forgets` what was seen of the token, as another module would. */
  reopenToken(options?: { readonly forgets?: boolean }): Promise<void>
  requests(operation: string): Promise<number>
}

export async function openWorld(
  regions: readonly string[] = ["us-east-1"],
  testToken: TestToken = sharedSofthsmToken(),
): Promise<World> {
  const kms = await startLocalKms({ regions: [...regions] })
  const sdk = kmsClient(kms)
  const folder = mkdtempSync(join(tmpdir(), "keyferry-app-"))
  let cache = memoryCache()
  const open = (): Promise<Token> => openToken({ uri: parseTokenUri(testToken.uri), pin: pinOf(testToken.pin), cache })
  let token = await open()
  let states = 0
  let passedMs = 0
  const opened: Disposable[] = []

  return {
    testToken,
    kms,
    sdk,
    async reset() {
      states += 1
      passedMs = 0
      await kms.reset()
      // a clock far from this machine's would have the SDK try what was refused again, with its own clock set right
      await kms.clock.set(new Date())
    },
    async run({ endpoint = kms.endpoint, region = regions[0] ?? "" } = {}) {
      const steps: string[] = []
      const warnings: string[] = []
      const clock = new RunClock(() => Date.now() + passedMs)
      const onTime = (date: Date): void => clock.learn(null, date)
      const client = await openKms({ region, endpointUrl: endpoint, env: {}, onTime })
      opened.push(client)
      const stateDir = join(folder, String(states))
      await openStateDir(stateDir)
      const files = stateFiles(stateDir, clock)
      const progress: Deps["progress"] = { step: (text) => steps.push(text), warn: (text) => warnings.push(text) }
      const logged: Logged[] = []
      const log: Deps["log"] = { event: (event, fields) => logged.push({ event, ...fields }) }
      const around = { clock, progress, log }
      const deps: Deps = {
        token: custodialToken({ ...files, ...around, token }),
        kms: client,
        kmsIn: async (other) => {
          const one = await openKms({ region: other, endpointUrl: endpoint, env: {}, onTime })
          opened.push(one)
          return one
        },
        ...files,
        ...around,
        policy: DEFAULT_POLICY,
        sleep: async (milliseconds) => {
          passedMs += milliseconds
          await kms.clock.advance(Math.ceil(milliseconds / 1000))
        },
      }
      return {
        deps,
        stateDir,
        inToken: token,
        steps,
        warnings,
        logged,
        with: (parts) => ({ ...deps, token: custodialToken({ ...files, ...parts, ...around, token }), ...parts }),
      }
    },
    async reopenToken({ forgets = false } = {}) {
      if (forgets) cache = memoryCache()
      await token[Symbol.asyncDispose]()
      token = await open()
    },
    requests: async (operation) => (await kms.counts()).requests[operation] ?? 0,
    async [Symbol.asyncDispose]() {
      for (const one of opened) one[Symbol.dispose]()
      // other suites of this process share the token and count what is in it
      const { keys, strays } = await token.search({})
      for (const key of [...keys, ...strays]) await token.destroySourceKey(key)
      for (const key of await token.findCustodyKeys("keyferry")) await token.destroyCustodyKey(key)
      await token[Symbol.asyncDispose]()
      sdk.destroy()
      await kms.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What `provision` is asked for when the flags say no more than they must. */
export function requestFor(name: string, more: Partial<ProvisionRequest> = {}): ProvisionRequest {
  return {
    ...settingsFor("provision", { ...DEFAULT_SETTINGS, keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT" }),
    owner: "keyferry",
    name,
    target: "us-east-1",
    custody: "token",
    wrappingKeySpec: "RSA_2048",
    keyId: null,
    acceptNoReimport: false,
    ...more,
  }
}

export const HMAC = { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" } as const
export const EC = { keySpec: "ECC_NIST_P384", keyUsage: "SIGN_VERIFY" } as const

/** The same object with some of its methods replaced; a copy would lose private fields. */
export function overriding<T extends object>(object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get(target, property) {
      const value = (methods[property as keyof T] ?? target[property as keyof T]) as unknown
      return typeof value === "function" ? (value.bind(target) as unknown) : value
    },
  })
}

/** What a token is left with whose process died while it made a pair: the public half. */
export function deletePrivateHalf(token: TestToken, id: string): void {
  const env = { ...process.env, ...token.env, USER_PIN: token.pin }
  const login = ["--module", token.module, "--token-label", token.label, "--login", "--pin", "env:USER_PIN"]
  execFileSync("pkcs11-tool", [...login, "--delete-object", "--type", "privkey", "--id", id], { env, stdio: "pipe" })
}
