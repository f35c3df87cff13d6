import { once } from "node:events"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { lockState } from "#src/store/files/lock.js"
import { thisProcess } from "#src/store/files/process-identity.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { firstLine, run, start } from "../../support/second-process.js"

describe("lockState", () => {
  const folder = temporaryFolder()

  /** A lock as some other process would have left it. */
  const leaveLock = (holder: object): void => {
    mkdirSync(join(folder(), "lock"), { recursive: true })
    const whole = {
      ...thisProcess(),
      command: "provision",
      since: "2026-01-01T00:00:00.000Z",
      released: false,
      ...holder,
    }
    writeFileSync(join(folder(), "lock", "7.json"), JSON.stringify(whole))
  }

  it("keeps a second taker of the same process out until it is disposed", async () => {
    const lock = await lockState(folder(), "provision")
    await expectCode("ERR_STATE_LOCKED", () => lockState(folder(), "import"))
    await lock[Symbol.asyncDispose]()
    await (await lockState(folder(), "import"))[Symbol.asyncDispose]()
    expect(readdirSync(join(folder(), "lock"))).to.have.lengthOf(1)
  })

  it("names the process that holds it", async () => {
    const child = start("hold", folder())
    expect(await firstLine(child)).to.equal("held")
    const error = await expectCode("ERR_STATE_LOCKED", () => lockState(folder(), "import"))
    expect(error.message)
      .to.include(`process ${child.pid ?? 0} on ${hostname()}`)
      .and.include("keyferry provision")
    expect(error.exit).to.equal("TEMPFAIL")
    child.stdin.end()
    await once(child, "exit")
    await (await lockState(folder(), "import"))[Symbol.asyncDispose]()
  })

  it("is taken from a process that was killed", async () => {
    expect(await run("die-holding", folder())).to.equal("SIGKILL")
    await (await lockState(folder(), "import"))[Symbol.asyncDispose]()
  })

  it("goes to exactly one of many that find a stale lock together", async () => {
    await run("die-holding", folder())
    const children = Array.from({ length: 6 }, () => start("hold", folder()))
    const answers = await Promise.all(children.map(firstLine))
    for (const child of children) child.stdin.end()
    for (const child of children) if (child.exitCode === null) await once(child, "exit")
    expect(answers.filter((answer) => answer === "held")).to.have.lengthOf(1)
    expect(answers.filter((answer) => answer === "ERR_STATE_LOCKED")).to.have.lengthOf(5)
  })

  it("loses no count between four processes", async () => {
    writeFileSync(join(folder(), "count"), "0")
    await run("die-holding", folder())
    const statuses = await Promise.all(Array.from({ length: 4 }, () => run("count", folder())))
    expect(statuses).to.deep.equal([0, 0, 0, 0])
    expect(readFileSync(join(folder(), "count"), "utf8")).to.equal("100")
    expect(readdirSync(join(folder(), "lock"))).to.have.lengthOf(1)
  })

  const cases: [name: string, holder: object, held: boolean][] = [
    ["a process that has our ID but started at another time", { startTime: "1" }, false],
    ["a process of an earlier boot", { bootId: "00000000-0000-0000-0000-000000000000" }, false],
    ["a process of another host", { host: "elsewhere", pid: 1 }, true],
    ["a process of another host, of another boot", { host: "elsewhere", bootId: "x" }, true],
    ["a process that gave it back", { released: true }, false],
    ["this very process", {}, true],
  ]
  for (const [name, holder, held] of cases) {
    it(`${held ? "respects" : "takes over from"} ${name}`, async () => {
      leaveLock(holder)
      if (held) {
        await expectCode("ERR_STATE_LOCKED", () => lockState(folder(), "import"))
        return
      }
      await (await lockState(folder(), "import"))[Symbol.asyncDispose]()
      expect(readdirSync(join(folder(), "lock"))).to.deep.equal(["8.json"])
    })
  }

  it("refuses a lock file that is none", async () => {
    leaveLock({ pid: "many" })
    await expectCode("ERR_STATE_INVALID", () => lockState(folder(), "import"))
  })
})
