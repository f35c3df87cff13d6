import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { expect } from "chai"
import { Terminal } from "#src/cli/text/progress-line.js"
import { setStage, type Stage } from "#test/support/stage.js"
import { onTerminal } from "#test/support/terminal.js"

const KEYS = 4
const NAMES = Array.from({ length: KEYS }, (_, index) => `p${index}`)

const ERASED = "\r\u001b[K"

/** What each command over many keys says while it works. */
const COMMANDS: readonly (readonly [words: readonly string[], activity: string])[] = [
  [["apply"], "applying"],
  [["plan"], "looking at"],
  [["status"], "looking at"],
  [["check"], "looking at"],
  [["recover", "--plan"], "looking at"],
  [["rewrap", "--all"], "rewrapping"],
  [["rotate", ...NAMES], "rotating"],
  [["verify"], "verifying"],
  [["key", "reseal", "--all", "--new-custody-key"], "sealing"],
]

describe("the line of long work", () => {
  let stage: Stage
  let env: Readonly<Record<string, string>>
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
    const config = join(stage.folder, "progress.yaml")
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: sealed, wrappingKeySpec: RSA_2048 }
keys: { ${NAMES.map((name) => `${name}: { keySpec: SYMMETRIC_DEFAULT, renewBefore: 89d }`).join(", ")} }
`,
    )
    env = { ...stage.env, KEYFERRY_STATE_DIR: stage.state(), KEYFERRY_CONFIG: config }
  })
  after(() => stage[Symbol.asyncDispose]())

  for (const [words, activity] of COMMANDS) {
    it(`is shown by ${words.slice(0, 2).join(" ")} on a terminal, and is gone before anything else is written`, async () => {
      const { record, screen } = await onTerminal(words, { env, columns: 60 })
      const shown = [...record.matchAll(new RegExp(`keyferry: ${activity} \\d+ of \\d+`, "g"))]
      expect(shown, record).to.not.have.length(0)
      for (const { index, 0: line } of shown) {
        const before = record.slice(0, index)
        expect(
          before === "" || before.endsWith("\n") || before.endsWith(ERASED),
          JSON.stringify(before.slice(-80)),
        ).to.equal(true)
        const after = record.slice(index + line.length)
        expect(after.startsWith(ERASED), JSON.stringify(after.slice(0, 80))).to.equal(true)
      }
      expect(screen.join("\n")).to.not.match(new RegExp(`${activity} \\d`))
      expect(screen.filter((line) => line.lastIndexOf("keyferry: ") > 0)).to.deep.equal([])
    })
  }

  it("is cut where the terminal is narrow: one that goes on in the next line cannot be erased", async () => {
    const { record, screen } = await onTerminal(["status"], { env, columns: 20 })
    expect(record).to.include("keyferry: looking…\r\u001b[K")
    expect(screen.join("\n")).to.not.include("looking")
  })

  it("is not written where standard error is no terminal, or where nothing but errors is wanted", async () => {
    const piped = await stage.run(["status"], { state: "", env })
    expect(piped.stderr).to.not.match(/looking at|\r/)
    expect((await onTerminal(["status", "--quiet"], { env, columns: 60 })).record).to.not.include("looking at")
  })
})

describe("Terminal", () => {
  /** A terminal that keeps what is written to it. */
  function kept() {
    const stream = new PassThrough() as unknown as NodeJS.WriteStream
    Object.assign(stream, { isTTY: true, columns: 80 })
    return { stream, written: () => String((stream as unknown as PassThrough).read() ?? "") }
  }

  it("writes no line behind a question that has no line end yet, and goes on after it", () => {
    const { stream, written } = kept()
    const terminal = new Terminal(stream, { quiet: false })
    stream.write("PIN of token byok: ")
    terminal.progressLine("applying").onRow(1, 12)
    expect(written()).to.equal("PIN of token byok: ")
    stream.write("\n")
    terminal.progressLine("applying").onRow(2, 12)
    stream.write("keyferry: warning: late\n")
    expect(written()).to.equal("\nkeyferry: applying 2 of 12\r\u001b[Kkeyferry: warning: late\n")
  })
})
