import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import type { CliResult } from "#test/support/cli.js"
import { commandIn, AES, flagIn, type Followed, type Situation } from "./situation.js"

const TOKEN = ["--custody", "token"] as const
const PROVISION = (name: string): readonly string[] => ["provision", "--name", name, ...AES, "--custody", "token"]
const PARAMS = ({ name, file }: Situation, out: string): readonly string[] => [
  ...["params", "--name", name, ...AES, "--wrapping-algorithm", "RSAES_OAEP_SHA_1"],
  ...["--out", file(out)],
]
const WRAP = ({ name, file }: Situation, parameters: string, out: string): readonly string[] => [
  ...["wrap", "--name", name, "--parameters", file(parameters), "--out", file(out)],
]

/** A source key, and the parameters of its KMS key in a file. */
async function lent(situation: Situation, custody = "token"): Promise<void> {
  await situation.well(["key", "generate", "--name", situation.name, ...AES, "--custody", custody])
  await situation.well([...PARAMS(situation, "a.json"), "--custody", custody])
}

/** What puts back what was damaged, by the situation's name. */
const backups = new Map<string, () => void>()

function restoreVault(situation: Situation, hint: string): Promise<CliResult> {
  expect(hint).to.include("restore the vault file")
  backups.get(situation.name)?.()
  return situation.run(WRAP(situation, "a.json", "b.bin"))
}

const KEY_ID = "11111111-2222-3333-4444-555555555555"
const ALGORITHM = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]

export const FILE_HINTS = {
  ERR_CONFIG_INVALID: {
    fails({ file, run }) {
      writeFileSync(file("keyferry.yaml"), "version: 1\nid: keyferry\nkyes: {}\n")
      return run(["status", "--config", file("keyferry.yaml")])
    },
    follow: ({ file, run }, hint) => run([...commandIn(hint, "config"), "--config", file("keyferry.yaml")]),
    further: ({ stdout, stderr }) => expect(stdout + stderr).to.match(/kyes: .*\(line 3, column 1\)/),
  },
  ERR_WRAPPING_KEY_INVALID: {
    async fails(situation) {
      await lent(situation)
      const { name, file, run } = situation
      writeFileSync(file("public.bin"), Buffer.alloc(300, 7))
      writeFileSync(file("token.bin"), Buffer.alloc(300, 8))
      const loose = ["--public-key", file("public.bin"), "--import-token", file("token.bin"), "--key-id", KEY_ID]
      return await run(["wrap", "--name", name, ...loose, ...ALGORITHM, "--out", file("EncryptedKeyMaterial.bin")])
    },
    async follow(situation) {
      await situation.well([...PARAMS(situation, "b.json"), ...TOKEN])
      return await situation.run(WRAP(situation, "b.json", "EncryptedKeyMaterial.bin"))
    },
  },
  ERR_FINGERPRINT_MISMATCH: {
    async fails(situation) {
      await lent(situation)
      const wrong = `sha256:${"0".repeat(64)}`
      return await situation.run([...WRAP(situation, "a.json", "b.bin"), "--expect-fingerprint", wrong])
    },
    async follow(situation, hint) {
      expect(hint).to.include("`keyferry params` printed")
      const { stdout, stderr } = await situation.well([...PARAMS(situation, "again.json"), ...TOKEN])
      const [fingerprint = ""] = /sha256:[0-9a-f]{64}/.exec(stdout + stderr) ?? []
      return await situation.run([...WRAP(situation, "again.json", "c.bin"), "--expect-fingerprint", fingerprint])
    },
  },
  ERR_TRANSFER_INVALID: {
    async fails(situation) {
      await lent(situation)
      writeFileSync(situation.file("a.json"), readFileSync(situation.file("a.json")).subarray(0, 500))
      return await situation.run(WRAP(situation, "a.json", "b.bin"))
    },
    async follow(situation) {
      await situation.well([...PARAMS(situation, "b.json"), ...TOKEN])
      return await situation.run(WRAP(situation, "b.json", "b.bin"))
    },
  },
  ERR_INPUT_UNREADABLE: {
    async fails(situation) {
      await lent(situation)
      return await situation.run(WRAP(situation, "elsewhere.json", "b.bin"))
    },
    follow: (situation) => situation.run(WRAP(situation, "a.json", "b.bin")),
  },
  ERR_OUTPUT_EXISTS: {
    async fails(situation) {
      await lent(situation)
      writeFileSync(situation.file("b.bin"), "kept")
      return await situation.run(WRAP(situation, "a.json", "b.bin"))
    },
    follow(situation, hint) {
      expect(hint).to.include("name another")
      return situation.run(WRAP(situation, "a.json", "c.bin"))
    },
  },
  ERR_OUTPUT_WRITE: {
    async fails(situation) {
      await lent(situation)
      return await situation.run(WRAP(situation, "a.json", "folder/b.bin"))
    },
    follow(situation) {
      mkdirSync(situation.file("folder"))
      return situation.run(WRAP(situation, "a.json", "folder/b.bin"))
    },
  },
  ERR_STATE_WRITE: {
    fails({ name, file, run }) {
      writeFileSync(file("file"), "")
      return run([...PROVISION(name), "--state-dir", join(file("file"), "state")])
    },
    follow: ({ name, file, run }, hint) => run([...PROVISION(name), flagIn(hint, "--state-dir"), file("state")]),
  },
  ERR_STATE_INVALID: {
    async fails(situation) {
      await situation.well(PROVISION(situation.name))
      backups.set(situation.name, situation.damage("inventory"))
      return await situation.run(["rotate", situation.name])
    },
    follow(situation) {
      backups.get(situation.name)?.()
      return situation.run(["rotate", situation.name])
    },
  },
  ERR_STATE_VERSION: {
    async fails({ name, state, run, well }) {
      await well(PROVISION(name))
      writeFileSync(join(state, "state.json"), '{"version":99}\n')
      return await run(["status"])
    },
    follow: ({ name, file, run }, hint) =>
      run([...PROVISION(`${name}-b`), flagIn(hint, "--state-dir"), file("other-state")]),
  },
  ERR_STATE_UNSAFE: {
    async fails({ name, state, run, well }) {
      await well(PROVISION(name))
      chmodSync(state, 0o777)
      return await run(["rewrap", name])
    },
    async follow({ name, state, run }, hint) {
      expect(hint).to.include(`chmod go-w ${state}`)
      chmodSync(state, 0o700)
      return await run(["rewrap", name])
    },
  },
  ERR_STATE_NOT_EMPTY: {
    async fails({ name, file, run, well }) {
      await well(PROVISION(name))
      await well(["state", "export", file("archive")])
      return await run(["state", "import", file("archive")])
    },
    async follow({ file, run, well }, hint) {
      await well(["state", "import", file("archive"), flagIn(hint, "--state-dir"), file("imported")])
      expect(hint).to.include("`keyferry state merge DIR`")
      return await run(["state", "merge", file("imported")])
    },
  },
  ERR_STATE_ARCHIVE_INVALID: {
    async fails({ name, file, run, well }) {
      await well(PROVISION(name))
      await well(["state", "export", file("archive")])
      writeFileSync(file("archive"), readFileSync(file("archive")).subarray(0, -200))
      return await run(["state", "import", file("archive"), "--state-dir", file("imported")])
    },
    async follow({ file, run, well }, hint) {
      expect(hint).to.include("take another export")
      await well(["state", "export", file("another")])
      return await run(["state", "import", file("another"), "--state-dir", file("imported")])
    },
  },
  ERR_STATE_INCOMPLETE: {
    async fails({ name, state, run, well }) {
      await well(PROVISION(name))
      rmSync(state, { recursive: true })
      return await run(PROVISION(name))
    },
    async follow({ name, run, well }, hint) {
      await well(commandIn(hint, "status"))
      return await run(PROVISION(name))
    },
  },
  ERR_VAULT_DAMAGED: {
    async fails(situation) {
      await lent(situation, "sealed")
      backups.set(situation.name, situation.damage("vault"))
      return await situation.run(WRAP(situation, "a.json", "b.bin"))
    },
    follow: restoreVault,
  },
} as const satisfies Partial<Record<ErrorCode, Followed>>
