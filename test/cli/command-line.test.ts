import { spawnSync } from "node:child_process"
import { expect } from "chai"
import { keyferry, MAIN } from "#test/support/cli.js"

// nothing here may reach a token or KMS: neither is named, so that whatever passes the command line fails otherwise
const PROVISION = ["provision", "--name", "a", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token"] as const

/** `--json` where the words leave it room: not where it would be a value, a repetition or behind `--`. */
function withJson(words: readonly string[]): readonly string[] {
  return words.some((word) => word.startsWith("--json")) ? words : ["--json", ...words]
}

describe("command line", () => {
  type Row = readonly [words: readonly string[], tells: RegExp]
  const refusals: readonly Row[] = [
    [["provision", "--name", "a"], /^missing: --key-spec$/],
    [["key", "show", "--name"], /^--name needs a value$/],
    [["key", "show", "--name", "-x"], /^--name needs a value$/],
    [[...PROVISION, "--key-id"], /^--key-id needs a value$/],
    [["key", "list", "--output"], /^--output needs a value$/],
    [["params", "--key-spec", "--name", "a"], /^--key-spec needs a value$/],
    [
      [...PROVISION.slice(0, 3), "--key-spec", "SM2", "--custody", "token"],
      /^--key-spec 'SM2' is none of .*: SM2 exists in China/,
    ],
    [[...PROVISION.slice(0, 3), "--key-spec", "FOO", "--custody", "token"], /^--key-spec 'FOO' is none of .*RSA_2048/],
    [["key", "list", "--foo"], /^unknown argument: --foo$/],
    [["key", "list", "--pin-sourc=fd:3"], /^unknown argument: --pin-sourc; did you mean --pin-source\?$/],
    [["key", "list", "--pinSource", "fd:3"], /^unknown argument: --pinSource; did you mean --pin-source\?$/],
    [["key", "show", "--nmae", "a"], /^unknown argument: --nmae; did you mean --name\?$/],
    [["provision", "-name", "a"], /^unknown argument: -name; did you mean --name\?$/],
    [["key", "destroy", "--ye", "a"], /^unknown argument: --ye$/],
    [["--cofnig", "x", "status"], /^unknown argument: --cofnig; did you mean --config\?$/],
    [["provison"], /^unknown command: provison; did you mean `provision`\?$/],
    [["help", "provison"], /^unknown command: provison; did you mean `provision`\?$/],
    [["--region", "eu-west-3", "stauts"], /^unknown command: stauts; did you mean `status`\?$/],
    [["key", "shwo", "a"], /^unknown command: key shwo; did you mean `key show`\?$/],
    [["kye", "list"], /^unknown command: kye; did you mean `key list`\?$/],
    [["list"], /^unknown command: list; did you mean `token list` or `key list`\?$/],
    [["help", "nosuch"], /^unknown command: nosuch$/],
    [["apply", "payments"], /^unexpected argument: 'payments'; did you mean --key payments\?$/],
    [["plan", "payments"], /^unexpected argument: 'payments'; did you mean --key payments\?$/],
    [["key", "show", "payments"], /^unexpected argument: 'payments'; did you mean --name payments\?$/],
    [["help", "key", "list", "junk"], /^unexpected argument: 'junk'$/],
    [["key", "list", "--no-verbose"], /^unknown argument: --no-verbose$/],
    [["key", "lst"], /lst|list/],
    [["keys"], /key/],
    [["key"], /^give a command of key$/],
    [[], /^give a command$/],
    [["key", "list", "junk"], /junk/],
    [["key", "list", "--", "junk"], /junk/],
    [["key", "list", "--json=maybe"], /^--json takes no value$/],
    [["key", "list", "--json", "--retry-pin=maybe"], /^--retry-pin takes no value$/],
    [["key", "list", "--json", "false"], /false/],
    [[...PROVISION, "--name", "b"], /^--name is given more than once$/],
    [[...PROVISION, "--custody=session"], /^--custody is given more than once$/],
    [[...PROVISION, "--tag", "a=b", "--tag", "a=c"], /repeats a key/],
    [[...PROVISION, "--tag", "a=b", "--tag", "c"], /^--tag 'c' is not KEY=VALUE$/],
    [[...PROVISION, "--tag", "aws:a=b", "--tag", "c=d"], /reserved prefix/],
    ...["key-id", "region", "alias", "description", "endpoint-url", "state-dir", "token", "role-arn"].map(
      (option): Row => [[...PROVISION, `--${option}`, ""], new RegExp(`^--${option} is empty$`)],
    ),
    [[...PROVISION, "--alias="], /^--alias is empty$/],
    [["params", "--key-id", "a", "--out", ""], /^--out is empty$/],
    [[...PROVISION, "--region", "no such"], /^--region 'no such' /],
    [[...PROVISION, "--region", "us-east-1.evil.example"], /^--region /],
    [[...PROVISION, "--role-arn", "foo"], /^--role-arn 'foo' /],
    [[...PROVISION, "--role-arn", "arn:aws:iam::1:role/a"], /^--role-arn /],
    [["completion", "tcsh"], /tcsh/],
  ]
  for (const [words, tells] of refusals) {
    it(`refuses ${JSON.stringify(words.join(" "))}`, async () => {
      const result = await keyferry(withJson(words))
      const { status, stdout, stderr } = result
      expect(result.error(), stderr).to.include({ code: "ERR_USAGE" })
      expect(result.error().message).to.match(tells)
      expect(status).to.equal(64)
      expect(stdout).to.equal("")
    })
  }

  it("shows the same help for -h, --help and help COMMAND, wherever they stand", async () => {
    for (const [asked, same] of [
      [["help"], ["-h"]],
      [
        ["help", "key", "list"],
        ["key", "list", "-h"],
      ],
      [
        ["help", "key"],
        ["key", "--help"],
      ],
      [
        ["provision", "--key-spec", "-h"],
        ["help", "provision"],
      ],
    ] as const) {
      const [first, second] = [await keyferry(asked), await keyferry(same)]
      expect([first.status, first.stderr], first.stderr).to.deep.equal([0, ""])
      expect(first.stdout)
        .to.match(/^keyferry .*\n\n\S/)
        .and.include("-q, --quiet")
      expect(second.stdout).to.equal(first.stdout)
    }
  })

  it("says nothing but errors with -q, while what is called for to be printed is printed", async () => {
    const refused = await keyferry(["key", "list", "-q"])
    expect(refused.stderr).to.match(/^keyferry: error: /)
    const script = await keyferry(["completion", "bash", "-q"])
    expect(script.stdout).to.match(/^# keyferry/)
  })

  it("lets well-formed options pass as far as the token, tags given again among them", async () => {
    const more = [
      "--tag",
      "a=b",
      "--tag=c=",
      "--region",
      "us-gov-west-1",
      "--role-arn",
      "arn:aws:iam::111122223333:role/a/b",
    ]
    const result = await keyferry([...PROVISION, ...more, "--json"])
    expect(result.error().message).to.match(/token/)
  })

  it("writes the text form without --json, and the last line of stderr as JSON with it", async () => {
    const text = await keyferry(["key", "list", "--foo"])
    expect(text.stderr).to.match(/^keyferry: error: .*\[ERR_USAGE\]\nkeyferry: hint: .*\n$/)
    for (const words of [["--output=json"], ["--output", "json"], ["--json=true"]]) {
      const result = await keyferry(["key", "list", ...words, "--foo"])
      expect(result.error().code).to.equal("ERR_USAGE")
    }
  })

  it("answers in JSON only where JSON was asked for", async () => {
    const { stdout } = await keyferry(["completion", "bash", "--output", "text", "--json=false"])
    expect(stdout).to.match(/^# keyferry/)
  })

  it("finds the command behind a general option's value that is called like a command", async () => {
    const result = await keyferry(["--state-dir", "provision", "key", "list", "--foo", "--json"])
    expect(result.error().message).to.equal("unknown argument: --foo")
  })

  it("says the same in every locale", async () => {
    const { stderr } = await keyferry(["provision"], { env: { LC_ALL: "fr_FR.UTF-8", LANG: "fr_FR.UTF-8" } })
    expect(stderr).to.match(/^keyferry: error: missing: --name, /)
  })

  it("escapes control characters of what it repeats", async () => {
    const { stderr } = await keyferry(["key", "show", "--name", "a\u001b[31m\nkeyferry: done\u202e"])
    expect(stderr).to.include(String.raw`'a\x1b[31m\nkeyferry: done\u202e'`)
    expect(stderr.trim().split("\n")).to.have.length(2)
  })

  describe("output", () => {
    const into = (target: string, words: string) =>
      spawnSync("sh", ["-c", `"$0" "$1" ${words} ${target}`, process.execPath, MAIN], { encoding: "utf8" })

    for (const words of ["completion bash", "completion bash --json", "key --help"]) {
      it(`'${words}' fails where stdout cannot be written`, () => {
        const { status, stderr } = into(">/dev/full", words)
        expect(stderr)
          .to.match(/ERR_OUTPUT_WRITE/)
          .and.match(/ENOSPC/)
        expect(status).to.equal(74)
      })
    }

    it("ends quietly where the reader went away", () => {
      const { status, stderr } = into("| true; exit ${PIPESTATUS:-0}", "completion bash")
      expect([status, stderr]).to.deep.equal([0, ""])
    })
  })

  describe("completion", () => {
    it("has help with an example", async () => {
      const { status, stdout } = await keyferry(["completion", "--help"])
      expect(status).to.equal(0)
      expect(stdout)
        .to.match(/Examples:/)
        .and.match(/keyferry completion bash >> /)
    })

    it("goes by SHELL", async () => {
      const zsh = await keyferry(["completion"], { env: { SHELL: "/usr/bin/zsh" } })
      const named = await keyferry(["completion", "zsh"], { env: { SHELL: "/bin/bash" } })
      expect(zsh.stdout).to.match(/^#compdef keyferry\n/)
      expect(named.stdout).to.equal(zsh.stdout)
      expect((await keyferry(["completion"])).stdout).to.match(/complete .* keyferry\n$/)
    })

    const cases: readonly (readonly [line: string, expected: readonly string[]])[] = [
      ["prov", ["provision"]],
      ["key sh", ["show"]],
      ["provision --custody se", ["sealed", "session"]],
      ["wrap --parameters ", []],
      ["wrap --verbose --wrapping-algorithm RSAES_OAEP_SHA_2", ["RSAES_OAEP_SHA_256"]],
    ]
    for (const [line, expected] of cases) {
      it(`completes '${line}' in bash, whatever SHELL says`, async () => {
        const { stdout } = await keyferry(["completion", "bash"])
        const words = ["keyferry", ...line.split(" ")]
        const script = `keyferry() { "$NODE" "$MAIN" "$@"; }; ${stdout}
          COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keyferry; printf '%s\\n' "\${COMPREPLY[@]}"`
        const bash = spawnSync("bash", ["-c", script, "bash", ...words], {
          encoding: "utf8",
          env: { ...process.env, SHELL: "/usr/bin/zsh", NODE: process.execPath, MAIN },
        })
        expect(bash.stderr).to.equal("")
        expect(bash.stdout.split("\n").filter((word) => word !== "")).to.have.members([...expected])
      })
    }
  })
})
