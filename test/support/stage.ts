import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import type { LocalKmsOptions } from "#src/local-kms/server/options.js"
import { type CliOptions, type CliResult, keyferry } from "#test/support/cli.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"

/** What a command works with: a token, a local KMS, and state directories in a folder of its own. */
export interface Stage extends AsyncDisposable {
  readonly token: TestToken
  readonly kms: LocalKmsProcess
  /** Independent of keyferry's own client. */
  readonly sdk: KMS
  /** A folder for the test's files, removed with the stage. */
  readonly folder: string
  /** Environment of a command, without a state directory. */
  readonly env: Readonly<Record<string, string>>
  /** A new state directory, in which the self-test's verdicts on this token are known already. */
  state(): string
  run(args: readonly string[], options: CliOptions & { readonly state: string }): Promise<CliResult>
  /** What exists outside the process: to be the same before and after a command that was refused. */
  footprint(state: string): Promise<Footprint>
}

export interface Footprint {
  /** Key IDs in KMS. */
  readonly kmsKeys: readonly string[]
  readonly created: number
  readonly parametersSpent: number
  readonly imports: number
  /** Objects in the token, counted in SoftHSM's own files. */
  readonly tokenObjects: number
  readonly inventory: readonly string[]
}

/** @param options of the local KMS; it serves us-east-1 alone unless they say otherwise */
export async function setStage(options: LocalKmsOptions = {}): Promise<Stage> {
  const token = softhsmToken()
  const kms = await startLocalKms(options)
  const folder = mkdtempSync(join(tmpdir(), "keyferry-cli-"))
  const sdk = kmsClient(kms)
  const env = { ...kms.env, ...token.env, KEYFERRY_TOKEN: token.uri }
  const primed = join(folder, "primed")
  let states = 0

  const stage: Stage = {
    token,
    kms,
    sdk,
    folder,
    env,
    state() {
      states += 1
      const state = join(folder, `state-${states}`)
      if (existsSync(primed)) cpSync(join(primed, "self-test"), join(state, "self-test"), { recursive: true })
      return state
    },
    run(args, { state, ...options }) {
      return keyferry(args, { ...options, env: { ...env, KEYFERRY_STATE_DIR: state, ...options.env } })
    },
    async footprint(state) {
      const { requests } = await kms.counts()
      const { Keys = [] } = await sdk.listKeys({ Limit: 1000 })
      return {
        kmsKeys: Keys.map(({ KeyId = "" }) => KeyId).sort(),
        created: requests["CreateKey"] ?? 0,
        parametersSpent: requests["GetParametersForImport"] ?? 0,
        imports: requests["ImportKeyMaterial"] ?? 0,
        tokenObjects: tokenObjects(token),
        inventory: filesUnder(join(state, "inventory")),
      }
    },
    async [Symbol.asyncDispose]() {
      sdk.destroy()
      await kms.stop()
      token.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  // the self-test takes a second or two, and its verdicts hold for every state directory of this token
  await stage.run(["doctor"], { state: primed })
  return stage
}

/**
 * The smallest whole object in SoftHSM's files has 667 bytes (an AES key). It writes the attributes of a new one in
 * several steps: killed in between it leaves up to 513 bytes, without value and often without label or CKA_ID, which
 * nobody can tell from anything else.
 */
const WHOLE_OBJECT = 600

/** SoftHSM keeps each token object in a file of its own. */
export function tokenObjects(token: TestToken): number {
  const folder = join(token.dir, "tokens")
  return filesUnder(folder).filter(
    (file) =>
      file.endsWith(".object") && !file.endsWith("token.object") && statSync(join(folder, file)).size >= WHOLE_OBJECT,
  ).length
}

/** Paths of all files under a folder, relative to it; none where there is no folder. */
export function filesUnder(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

export interface TaggedKey {
  readonly arn: string
  readonly state: string
  readonly tags: Readonly<Record<string, string>>
}

/** The KMS keys that carry keyferry's name tag, seen through the SDK. */
export async function keysNamed(sdk: KMS, name: string): Promise<readonly TaggedKey[]> {
  const { Keys = [] } = await sdk.listKeys({ Limit: 1000 })
  const all = await Promise.all(
    Keys.map(async ({ KeyId }) => {
      const { KeyMetadata } = await sdk.describeKey({ KeyId })
      const { Tags = [] } = await sdk.listResourceTags({ KeyId })
      const tags = Object.fromEntries(Tags.map(({ TagKey = "", TagValue = "" }) => [TagKey, TagValue]))
      return { arn: KeyMetadata?.Arn ?? "", state: KeyMetadata?.KeyState ?? "", tags }
    }),
  )
  return all.filter(({ tags }) => tags["keyferry:name"] === name)
}
