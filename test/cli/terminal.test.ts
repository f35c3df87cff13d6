import { spawnSync } from "node:child_process"
import { chmodSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry, MAIN } from "#test/support/cli.js"
import { lyingToken } from "#test/support/liar.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"

/** Controls but the line end, C1, and what turns the direction of writing. */
const ACTS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/ // eslint-disable-line no-control-regex
const SERIAL = "\u001b[2J\u009b1m\u202e"

describe("what reaches a terminal or a shell", () => {
  const folder = temporaryFolder()
  let token: TestToken
  before(() => {
    token = lyingToken(softhsmToken())
  })
  after(() => token.remove())
  const run = (...args: readonly string[]) => keyferry(args, { env: { ...token.env, LIAR_SERIAL: SERIAL } })

  it("is no control character of a token's own words, in text or JSON, and JSON says them exactly", async () => {
    const text = await run("token", "list", "--module", token.module)
    expect(text.status, text.stderr).to.equal(0)
    expect(text.stdout).to.not.match(ACTS)
    expect(text.stdout).to.include("\\x1b[2J")
    const json = await run("token", "list", "--module", token.module, "--json")
    expect(json.stdout).to.not.match(ACTS)
    const { slots } = json.json() as { slots: { token: { label: string; serial: string } | null }[] }
    expect(slots.map((slot) => slot.token?.serial)).to.include(SERIAL)
  })

  it("is none in an error either", async () => {
    const uri = token.uri.replace("token=keyferry", "token=elsewhere")
    const args = ["key", "list", "--token", uri, "--state-dir", join(folder(), "state")]
    for (const more of [[], ["--json"], ["--log-format", "json"], ["--verbose"]]) {
      const { status, stderr } = await run(...args, ...more)
      expect(status).to.equal(69)
      expect(stderr).to.include("x1b[2J".slice(more.includes("--json") || more.includes("--log-format") ? 3 : 0))
      expect(stderr, more.join()).to.not.match(ACTS)
    }
  })

  it("runs nothing by completing in bash", async () => {
    const script = (await keyferry(["completion", "bash"])).stdout
    const program = join(folder(), "keyferry")
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
    chmodSync(program, 0o755)
    const typed = (word: string): string => {
      const words = `COMP_WORDS=(keyferry "$1"); COMP_CWORD=1; _keyferry; printf '%s\\n' "\${COMPREPLY[@]}"`
      const env = { ...process.env, PATH: `${folder()}:${process.env["PATH"] ?? ""}` }
      const { stdout, stderr } = spawnSync("bash", ["-c", `${script}\n${words}`, "bash", word], {
        cwd: folder(),
        env,
        encoding: "utf8",
      })
      expect(stderr).to.equal("")
      return stdout
    }
    expect(typed("prov")).to.equal("provision\n")
    typed("$(touch x)`touch x`;touch x")
    expect(readdirSync(folder())).to.deep.equal(["keyferry"])
  })
})
