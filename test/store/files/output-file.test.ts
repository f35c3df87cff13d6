import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { refuseExisting, writeOutput } from "#src/store/files/output-file.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { firstLine, run, start } from "../../support/second-process.js"

const NO_LINKS = fileURLToPath(new URL("../../../../test/store/files/no-links.c", import.meta.url))

describe("writeOutput", () => {
  const base = temporaryFolder()

  it("writes bytes, mode 0600, with nothing beside them", async () => {
    const path = join(base(), "EncryptedKeyMaterial.bin")
    await refuseExisting(path)
    await writeOutput(path, Uint8Array.of(0, 255, 10))
    expect([...readFileSync(path)]).to.deep.equal([0, 255, 10])
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    expect(readdirSync(base())).to.deep.equal(["EncryptedKeyMaterial.bin"])
  })

  it("overwrites nothing", async () => {
    const path = join(base(), "out")
    writeFileSync(path, "kept")
    await expectCode("ERR_OUTPUT_EXISTS", () => refuseExisting(path))
    await expectCode("ERR_OUTPUT_EXISTS", () => writeOutput(path, "new"))
    expect(readFileSync(path, "utf8")).to.equal("kept")
    expect(readdirSync(base())).to.deep.equal(["out"])
  })

  it("does not write through a dangling link", async () => {
    symlinkSync(join(base(), "elsewhere"), join(base(), "out"))
    await expectCode("ERR_OUTPUT_EXISTS", () => refuseExisting(join(base(), "out")))
    await expectCode("ERR_OUTPUT_EXISTS", () => writeOutput(join(base(), "out"), "new"))
    expect(existsSync(join(base(), "elsewhere"))).to.equal(false)
  })

  it("leaves no output when it is killed, and clears up at the next run", async () => {
    const path = join(base(), "out")
    expect(await run("die-before-rename", path)).to.equal("SIGKILL")
    expect(existsSync(path)).to.equal(false)
    await writeOutput(path, "whole")
    expect(readdirSync(base())).to.deep.equal(["out"])
  })

  it("is whole, or overwrites nothing, on a file system without hard links too", async () => {
    const library = join(base(), "no-links.so")
    execFileSync("cc", ["-shared", "-fPIC", "-o", library, NO_LINKS])
    const folder = join(base(), "stick")
    mkdirSync(folder)
    const path = join(folder, "out")
    const write = (): Promise<string> => firstLine(start("write-output", path, { env: { LD_PRELOAD: library } }))
    expect(await write()).to.equal("written")
    expect(readFileSync(path, "utf8")).to.equal("whole")
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    writeFileSync(path, "kept")
    expect(await write()).to.equal("ERR_OUTPUT_EXISTS")
    expect(readFileSync(path, "utf8")).to.equal("kept")
    expect(readdirSync(folder)).to.deep.equal(["out"])
  })

  it("fails where there is no folder, before the work is done", async () => {
    const early = await expectCode("ERR_OUTPUT_WRITE", () => refuseExisting(join(base(), "no", "out")))
    expect(early.causes[0]?.code).to.equal("ENOENT")
    writeFileSync(join(base(), "file"), "")
    await expectCode("ERR_OUTPUT_WRITE", () => refuseExisting(join(base(), "file", "out")))
    const error = await expectCode("ERR_OUTPUT_WRITE", () => writeOutput(join(base(), "no", "out"), "x"))
    expect(error.causes[0]?.code).to.equal("ENOENT")
  })
})
