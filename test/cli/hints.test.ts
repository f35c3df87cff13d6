import { spawnSync } from "node:child_process"
import { expect } from "chai"
import { allCommands, COMMAND_NAMES } from "#src/cli/commands/commands.js"
import { GENERAL } from "#src/cli/options/options.js"
import { type ErrorCode, ERRORS } from "#src/core/base/error.js"
import { REASONS } from "#src/core/plan/reason.js"
import type { CliResult } from "#test/support/cli.js"
import { setStage, type Stage } from "#test/support/stage.js"
import { addSofthsmToken } from "#test/support/tokens.js"

/** One failure, and what its hint says to do: the commands are made of the hint's own words. */
interface Row {
  readonly title: string
  readonly code: ErrorCode
  readonly before?: readonly (readonly string[])[]
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The command line that follows the hint. */
  readonly follow: (hint: string, command: readonly string[]) => readonly string[]
  /** Of the run that followed: it gets further, if not to its end. */
  readonly further?: (result: CliResult) => void
}

const AES = ["--key-spec", "SYMMETRIC_DEFAULT"] as const
/** Words of the hint that begin with two hyphens, with their values; what stands in capitals is the caller's to say. */
const flagsIn = (hint: string): readonly string[] => hint.match(/--[a-z-]+(?: (?:never|auto)\b)?/g) ?? []
const withFlags = (hint: string, command: readonly string[]): readonly string[] => {
  const words = flagsIn(hint).flatMap((flag) => flag.split(" "))
  expect(words, hint).to.not.deep.equal([])
  const [flag = ""] = words
  const at = command.indexOf(flag)
  return at === -1 ? [...command, ...words] : [...command.slice(0, at), ...words, ...command.slice(at + 2)]
}
/** The command that stands in the hint between backticks. */
const commandIn = (hint: string): readonly string[] => {
  const [, words = ""] = /`keyferry ([a-z -]+?)`/.exec(hint) ?? []
  expect(words, hint).to.not.equal("")
  return words.split(" ")
}

const ROWS: readonly Row[] = [
  {
    title: "a misspelt command",
    code: "ERR_USAGE",
    command: ["provison", "--name", "a"],
    follow: commandIn,
    further: ({ stdout }) => expect(stdout).to.include("provision"),
  },
  {
    title: "an expiry that KMS does not take",
    code: "ERR_EXPIRY_INVALID",
    command: ["provision", "--name", "far", ...AES, "--expires-in", "400d"],
    follow: (hint, command) => [...command.slice(0, -1), /such as (\w+)/.exec(hint)?.[1] ?? ""],
  },
  {
    title: "key lock of a key that could be imported again",
    code: "ERR_CONFIRMATION_MISSING",
    before: [["provision", "--name", "again", ...AES, "--custody", "token"]],
    command: ["key", "lock", "--name", "again"],
    follow: withFlags,
  },
  {
    title: "key lock of a key of which no import is known",
    code: "ERR_CONFIRMATION_MISSING",
    before: [["key", "generate", "--name", "unknown", ...AES, "--custody", "token"]],
    command: ["key", "lock", "--name", "unknown"],
    follow: withFlags,
  },
  {
    title: "disable without a word",
    code: "ERR_CONFIRMATION_MISSING",
    before: [["provision", "--name", "off", ...AES]],
    command: ["disable", "off"],
    follow: withFlags,
  },
  {
    title: "P-256, which SoftHSM 2.6.1 carries in no custody",
    code: "ERR_CUSTODY_REFUSED",
    command: ["provision", "--name", "p256", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY"],
    follow(hint) {
      expect(hint).to.not.match(/give --custody/)
      return commandIn(hint)
    },
    further: ({ stdout }) =>
      expect(stdout)
        .to.match(/^ECC_NIST_P256 .* no /m)
        .and.match(/^SYMMETRIC_DEFAULT .* oaep /m),
  },
  {
    title: "a custody that imports only once",
    code: "ERR_NOT_ACKNOWLEDGED",
    command: ["provision", "--name", "once", ...AES, "--custody", "session"],
    follow: withFlags,
  },
  {
    title: "an algorithm that KMS does not take for the key spec",
    code: "ERR_ALGORITHM_NOT_ALLOWED",
    command: [
      "provision",
      "--name",
      "rsa",
      "--key-spec",
      "RSA_2048",
      "--key-usage",
      "SIGN_VERIFY",
      "--wrapping-algorithm",
      "RSAES_OAEP_SHA_1",
    ],
    follow: (hint, command) => [...command.slice(0, -1), /KMS takes (\w+)/.exec(hint)?.[1] ?? ""],
    // SoftHSM 2.6.1 refuses the key spec: that is another answer, with another hint
    further: ({ stderr }) => expect(stderr).to.not.include("ERR_ALGORITHM_NOT_ALLOWED"),
  },
  {
    title: "a source key that is not there",
    code: "ERR_KEY_NOT_FOUND",
    command: ["key", "show", "--name", "nobody"],
    follow: commandIn,
    further: ({ stdout }) => expect(stdout).to.match(/^NAME /),
  },
  {
    title: "a token that is not there",
    code: "ERR_TOKEN_NOT_FOUND",
    command: ["key", "list"],
    env: { TOKEN_LABEL: "elsewhere" },
    follow: commandIn,
    further: ({ stdout }) => expect(stdout).to.match(/SLOT +TOKEN/),
  },
  {
    title: "no Region",
    code: "ERR_KMS_REGION_MISSING",
    command: ["provision", "--name", "placed", ...AES],
    env: { AWS_REGION: "", AWS_DEFAULT_REGION: "" },
    follow: (hint, command) => [...command, ...flagsIn(hint).slice(0, 1), "us-east-1"],
  },
  {
    title: "a KMS key that is not there",
    code: "ERR_KMS_KEY_NOT_FOUND",
    command: ["provision", "--name", "gone", ...AES, "--key-id", "11111111-2222-3333-4444-555555555555"],
    follow: commandIn,
    further: ({ stdout }) => expect(stdout).to.match(/aws-identity +account 111122223333/),
  },
  {
    title: "a backup that is confirmed before there is a custody key",
    code: "ERR_KEY_NOT_FOUND",
    command: ["key", "backup-confirmed", "--custody-key", "00"],
    follow: (hint, command) => [...command.slice(0, -1), /one of: (\w+)/.exec(hint)?.[1] ?? ""],
  },
]

describe("a hint", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
    await run(["provision", "--name", "first", ...AES])
  })
  after(() => stage[Symbol.asyncDispose]())

  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    stage.run(args, {
      state,
      env: { ...env, ...(env["TOKEN_LABEL"] === undefined ? {} : elsewhere(env["TOKEN_LABEL"])) },
    })
  const elsewhere = (label: string) => ({ KEYFERRY_TOKEN: stage.token.uri.replace(/token=[^?;]+/, `token=${label}`) })

  for (const { title, code, before = [], command, env, follow, further } of ROWS) {
    it(`is followed, and gets further: ${title}`, async () => {
      for (const words of before) {
        const made = await run(words)
        expect(made.status, made.stderr).to.equal(0)
      }
      const refused = await run([...command, "--json"], env)
      expect(refused.error(), refused.stderr).to.include({ code })
      const { hint } = refused.error()
      const followed = follow(hint, command)
      const result = await run(followed, env)
      if (further === undefined) expect(result.status, `${hint}\n${followed.join(" ")}\n${result.stderr}`).to.equal(0)
      else further(result)
    })
  }

  it("is followed for a key without CKA_ID, which is not said to be absent", async () => {
    const { env, module, pin, label } = stage.token
    const tool = (...args: readonly string[]) => {
      const login = ["--module", module, "--token-label", label, "--login", "--pin", pin]
      const { status, stderr } = spawnSync("pkcs11-tool", [...login, ...args], {
        encoding: "utf8",
        env: { ...process.env, ...env },
      })
      expect(status, stderr).to.equal(0)
    }
    tool("--keygen", "--key-type", "AES:32", "--label", "bare", "--extractable")
    const adopt = ["key", "adopt", "--label", "bare", "--name", "adopted", "--custody", "token"]
    const refused = await run([...adopt, "--json"])
    expect(refused.error()).to.include({ code: "ERR_KEY_ATTRIBUTES" })
    expect(refused.error().message).to.include("a key without CKA_ID")
    const [flag = ""] = flagsIn(refused.error().hint)
    expect(flag).to.equal("--set-id")
    tool(flag, "a1b2", "--type", "secrkey", "--label", "bare")
    const again = await run([...adopt, "--json"])
    if (again.status !== 0) expect(again.error().message, "another answer").to.not.include("CKA_ID")
  })

  it("names token and key of each custody key, and is followed where several tokens have one", async () => {
    const other = addSofthsmToken(stage.token, "second")
    const made = await run(["provision", "--name", "second", ...AES, "--token", other.uri])
    expect(made.status, made.stderr).to.equal(0)
    expect(made.stderr).to.match(/no backup of the custody key \S+ of token "second"/)
    const status = await run(["status"])
    const warnings = status.stdout.split("\n").filter((line) => line.includes("no backup of the custody key"))
    expect(warnings, status.stdout).to.have.length(1)
    const refused = await run(["key", "backup-confirmed", "--json"])
    expect([refused.status, refused.error().code]).to.deep.equal([65, "ERR_KEY_AMBIGUOUS"])
    const { hint } = refused.error()
    const [, id = ""] = /(\w+) \(\S+ of token "second", serial \w+, not confirmed\)/.exec(hint) ?? []
    const confirmed = await run(["key", "backup-confirmed", ...flagsIn(hint).slice(0, 1), id])
    expect(confirmed.stdout, confirmed.stderr).to.include(`(ID ${id}) of token "second"`)
  })

  it("names no command and no flag that keyferry does not know", async () => {
    const commands = await allCommands()
    const flags = new Set([...Object.keys(GENERAL), "help", ...commands.flatMap(({ options }) => Object.keys(options))])
    for (const [code, { hint }] of [...Object.entries(ERRORS), ...Object.entries(REASONS)]) {
      for (const [, words = ""] of (hint ?? "").matchAll(/`keyferry ([a-z][a-z -]*)/g)) {
        const named = COMMAND_NAMES.some((name) => `${words} `.startsWith(`${name} `))
        expect(named, `${code}: keyferry ${words}`).to.equal(true)
      }
      for (const flag of flagsIn(hint ?? ""))
        expect(flags.has(flag.slice(2).split(" ")[0] ?? ""), `${code}: ${flag}`).to.equal(true)
    }
  })
})
