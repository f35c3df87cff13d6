import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { opencryptokiToken, type TestToken } from "#test/support/tokens.js"

/** Enough for none of the keys to wait for AWS' quotas, which would take most of the time. */
const QUOTAS = "{ CreateKey: 1000, GetParametersForImport: 1000, ImportKeyMaterial: 1000, GetPublicKey: 1000 }"

/** An openCryptoki token, a local KMS, and a configuration file of keys in both. */
export interface OpencryptokiStage extends AsyncDisposable {
  readonly token: TestToken
  readonly kms: LocalKmsProcess
  readonly state: string
  readonly config: string
  /** With the configuration file, as JSON. */
  run(...args: readonly string[]): Promise<CliResult>
}

/** @param keys lines of `keys` in the configuration file, in YAML */
export async function setOpencryptokiStage(keys: readonly string[]): Promise<OpencryptokiStage> {
  const token = opencryptokiToken()
  const kms = await startLocalKms()
  const config = join(token.dir, "keyferry.yaml")
  const state = join(token.dir, "state")
  const targets = `targets: { main: { region: us-east-1, quotas: ${QUOTAS} } }\n`
  const lines = keys.map((key) => `  ${key}\n`).join("")
  writeFileSync(config, `version: 1\ntokens: { ock: { uri: "${token.uri}" } }\n${targets}keys:\n${lines}`)
  return {
    token,
    kms,
    state,
    config,
    run: (...args) =>
      keyferry([...args, "--config", config, "--json"], {
        env: { ...kms.env, ...token.env, KEYFERRY_STATE_DIR: state },
        prefix: token.prefix,
      }),
    async [Symbol.asyncDispose]() {
      token.remove()
      await kms.stop()
    },
  }
}
