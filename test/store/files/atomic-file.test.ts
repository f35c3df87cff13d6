import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { expect } from "chai"
import { removeLeftovers, replaceFile, writeTemporary } from "#src/store/files/atomic-file.js"
import { expectCode } from "#test/support/expect-code.js"
import { openFiles } from "#test/support/open-files.js"
import { CAN_MOUNT } from "#test/support/state-disk.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { firstLine, run, start } from "../../support/second-process.js"

describe("replaceFile", () => {
  const folder = temporaryFolder()

  it("writes mode 0600 and leaves nothing beside it", async () => {
    const path = join(folder(), "entry.json")
    await replaceFile(path, "one")
    await replaceFile(path, "two")
    expect(readFileSync(path, "utf8")).to.equal("two")
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    expect(readdirSync(folder())).to.deep.equal(["entry.json"])
  })

  it("fails where the file cannot be replaced, and leaves the old one alone", async function () {
    if (!CAN_MOUNT) this.skip()
    const path = join(folder(), "entry.json")
    writeFileSync(path, "old")
    execFileSync("mount", ["--bind", path, path])
    try {
      const error = await expectCode("ERR_STATE_WRITE", () => replaceFile(path, "new"))
      expect(error.causes[0]?.code).to.equal("EBUSY")
      expect(readFileSync(path, "utf8")).to.equal("old")
      expect(readdirSync(folder())).to.deep.equal(["entry.json"])
    } finally {
      execFileSync("umount", [path])
    }
    expect(openFiles(folder())).to.deep.equal([])
  })

  it("keeps the old file whole when the writer is killed before the rename", async () => {
    const path = join(folder(), "entry.json")
    writeFileSync(path, "old")
    expect(await run("die-before-rename", path)).to.equal("SIGKILL")
    expect(readFileSync(path, "utf8")).to.equal("old")
    expect(readdirSync(folder())).to.have.lengthOf(2)
  })

  it("leaves a whole file whenever the writer is killed", async () => {
    const path = join(folder(), "entry.json")
    for (let round = 0; round < 6; round += 1) {
      const child = start("replace-forever", path)
      await firstLine(child)
      await new Promise((resolve) => setTimeout(resolve, 20 + 17 * round))
      child.kill("SIGKILL")
      await once(child, "exit")
      const text = readFileSync(path, "utf8")
      expect(text.endsWith("end")).to.equal(true)
      expect(text.length % 50_000).to.equal(3)
    }
  })

  it("clears what killed writers left, and nothing that a living one is writing", async () => {
    const path = join(folder(), "entry.json")
    await run("die-before-rename", path)
    await run("die-before-rename", join(folder(), "other.json"))
    const living = await writeTemporary(path, "in progress")
    writeFileSync(join(folder(), ".hidden.tmp"), "the user's own")
    await removeLeftovers(folder(), "entry.json")
    expect(readdirSync(folder())).to.have.lengthOf(3)
    await removeLeftovers(folder())
    expect(readdirSync(folder()).sort()).to.deep.equal([basename(living.path), ".hidden.tmp"].sort())
  })

  it("leaves alone what a process of another PID namespace is writing, whose process ID is nobody's here", async function () {
    if (!CAN_MOUNT) this.skip()
    const path = join(folder(), "entry.json")
    const child = start("hold-temporary", path, { prefix: ["unshare", "--pid", "--fork", "--mount-proc"] })
    const temporary = await firstLine(child)
    await removeLeftovers(folder())
    expect(readdirSync(folder())).to.deep.equal([basename(temporary)])
    child.stdin.end()
    await once(child, "exit")
    await removeLeftovers(folder())
    expect(readdirSync(folder())).to.deep.equal([])
  })

  it("says why it could not", async () => {
    const missing = await expectCode("ERR_STATE_WRITE", () => replaceFile(join(folder(), "no", "entry.json"), "x"))
    expect(missing.causes[0]?.code).to.equal("ENOENT")
    mkdirSync(join(folder(), "entry.json"))
    const blocked = await expectCode("ERR_STATE_UNSAFE", () => replaceFile(join(folder(), "entry.json"), "x"))
    expect(blocked.message).to.match(/entry.json is a folder, not a file$/)
    expect(readdirSync(folder())).to.deep.equal(["entry.json"])
  })
})
