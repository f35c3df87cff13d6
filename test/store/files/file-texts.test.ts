import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { fileTexts } from "#src/store/files/file-texts.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("texts as files of the state directory", () => {
  const base = temporaryFolder()

  it("makes a folder that could not be made before, once it can: an agent lives for months", async () => {
    const state = join(base(), "state")
    const texts = fileTexts(state)
    // where nobody makes a folder
    symlinkSync("/proc", state)
    await expectCode("ERR_STATE_WRITE", () => texts.put(["agent", "pause.json"], "1"))
    rmSync(state)
    mkdirSync(state, { mode: 0o700 })
    await texts.put(["agent", "pause.json"], "2")
    expect(await texts.read(["agent", "pause.json"])).to.equal("2")
  })

  it("names what a mark could not be made or taken away for", async () => {
    const texts = fileTexts(base())
    writeFileSync(join(base(), "marks"), "a file in the way")
    await expectCode("ERR_STATE_WRITE", () => texts.mark(["marks", "one"]))
    await expectCode("ERR_STATE_WRITE", () => texts.unmark(["marks", "one"]))
    expect((await expectCode("ERR_STATE_WRITE", () => texts.mark(["marks", "one"]))).message).to.include("marks")
  })
})
