import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry, MAIN } from "#test/support/cli.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const CONFIG = `
version: 1
tokens: { primary: { uri: "pkcs11:token=none?module-path=/nonexistent.so" } }
targets: { prod-eu: { region: eu-west-3 }, prod-us: { region: us-east-1, endpoint: "http://127.0.0.1:1" } }
keys: { payments: { keySpec: HMAC_256 }, "bad name; touch x": { keySpec: HMAC_256 }, paylater: { keySpec: NONE } }
`

/** What each shell does with the script and the words; the last word is the one to complete. */
const SHELLS = {
  bash: (script: string) => `${script}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keyferry; printf '%s\\n' "\${COMPREPLY[@]}"`,
  // the parts of its completion system that the script calls, which need a prompt
  zsh: (script: string) => `compdef() { : }; _default() { : }; _describe() { print -l -- "\${(@P)2%%:*}" }
    ${script}
    words=("$@"); CURRENT=$#; _keyferry`,
  fish: (script: string) => `${script}
    complete -C (string join ' ' -- $argv)`,
} as const

describe("completion of names", () => {
  const folder = temporaryFolder()
  const scripts = new Map<string, string>()
  let env: NodeJS.ProcessEnv

  before(async () => {
    for (const shell of Object.keys(SHELLS)) scripts.set(shell, (await keyferry(["completion", shell])).stdout)
  })
  beforeEach(() => {
    const program = join(folder(), "keyferry")
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
    chmodSync(program, 0o755)
    writeFileSync(join(folder(), "kf.yaml"), CONFIG)
    mkdirSync(join(folder(), "state", "inventory", "old-target"), { recursive: true })
    // damaged entries have names too, and nothing is opened
    for (const name of ["ledger.json", "paying.json", ".ledger.json.tmp", "$(touch x).json"])
      writeFileSync(join(folder(), "state", "inventory", "old-target", name), "{")
    env = {
      PATH: `${folder()}:${process.env["PATH"] ?? ""}`,
      HOME: folder(),
      KEYFERRY_STATE_DIR: join(folder(), "state"),
      KEYFERRY_CONFIG: join(folder(), "kf.yaml"),
    }
  })

  const complete = (shell: keyof typeof SHELLS, words: readonly string[], more: NodeJS.ProcessEnv = {}) => {
    const flags = { bash: [], zsh: ["-f"], fish: ["--no-config"] }[shell]
    const script = SHELLS[shell](scripts.get(shell) ?? "")
    // fish has no word for the name of the script
    const ownName = shell === "fish" ? [] : [shell]
    const result = spawnSync(shell, [...flags, "-c", script, ...ownName, "keyferry", ...words], {
      encoding: "utf8",
      cwd: folder(),
      env: { ...env, ...more },
    })
    expect(result.stderr).to.equal("")
    const offers = result.stdout.split("\n").filter((line) => line !== "")
    // zsh itself leaves out what does not begin so
    return shell === "zsh" ? offers.filter((offer) => offer.startsWith(words.at(-1) ?? "")) : offers
  }

  for (const shell of ["bash", "zsh", "fish"] as const) {
    it(`offers keys, targets and tokens of configuration and inventory in ${shell}`, () => {
      expect(complete(shell, ["rewrap", "pay"])).to.have.members(["paying", "paylater", "payments"])
      expect(complete(shell, ["status", "--target", "prod"])).to.have.members(["prod-eu", "prod-us"])
      expect(complete(shell, ["doctor", "--token", "p"])).to.deep.equal(["primary"])
      expect(complete(shell, ["plan", "--key", "l"])).to.deep.equal(["ledger"])
      expect(complete(shell, ["help", "key", "sh"])).to.deep.equal(["show"])
    })

    it(`says nothing in ${shell} where nothing can be read`, () => {
      const broken = { KEYFERRY_CONFIG: "/nonexistent", KEYFERRY_STATE_DIR: "/proc/1/nonexistent" }
      expect(complete(shell, ["rewrap", "pay"], broken)).to.deep.equal([])
    })
  }

  it("goes by what is on the command line, and offers no name twice", () => {
    const elsewhere = { KEYFERRY_CONFIG: "", KEYFERRY_STATE_DIR: "/nonexistent" }
    const words = ["status", "--config", "~/kf.yaml", "--state-dir=~/state", "pay"]
    expect(complete("bash", words, elsewhere)).to.have.members(["paying", "paylater", "payments"])
    expect(complete("bash", ["rewrap", "payments", "paym"])).to.deep.equal([])
    expect(complete("bash", ["key", "show", "--name", "=", "le"])).to.deep.equal(["ledger"])
    expect(complete("fish", ["key", "show", "--name=le"])).to.deep.equal(["--name=ledger"])
  })
})
