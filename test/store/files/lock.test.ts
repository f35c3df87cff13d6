import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { lockState } from "#src/store/files/lock.js"
import { thisProcess } from "#src/store/files/process-identity.js"
import { keyferry } from "#test/support/cli.js"
import { expectCode } from "#test/support/expect-code.js"
import { openFiles } from "#test/support/open-files.js"
import { CAN_MOUNT } from "#test/support/state-disk.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { firstLine, run, start } from "../../support/second-process.js"

const FLOCK_LIES = fileURLToPath(new URL("../../../../test/store/files/flock-lies.c", import.meta.url))

describe("lockState", () => {
  const folder = temporaryFolder()
  const file = (): string => join(folder(), "lock", "holder.json")

  /** Asks without waiting. */
  const take = (request: Partial<Parameters<typeof lockState>[1]> = {}) =>
    lockState(folder(), { command: "import", scheduled: false, timeout: 0, ...request })
  const takeAndGiveBack = async (): Promise<void> => (await take())[Symbol.asyncDispose]()
  const refused = () => expectCode("ERR_STATE_LOCKED", () => take())

  async function held(action = "hold", prefix: readonly string[] = []) {
    const child = start(action, folder(), { prefix })
    expect(await firstLine(child)).to.equal("held")
    return {
      child,
      end: async () => {
        child.stdin.end()
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
      },
    }
  }

  it("keeps a second taker of the same process out until it is disposed", async () => {
    const lock = await take()
    await refused()
    await lock[Symbol.asyncDispose]()
    await takeAndGiveBack()
    expect(readFileSync(file(), "utf8").trim()).to.equal("{}")
  })

  it("leaves no file open, where it was given back and where it was refused", async () => {
    const lock = await take()
    await refused()
    await lock[Symbol.asyncDispose]()
    expect(openFiles(folder())).to.deep.equal([])
  })

  it("names the process that holds it", async () => {
    const { child, end } = await held()
    const error = await refused()
    expect(error.message)
      .to.include(`process ${child.pid ?? 0} on ${hostname()}, since 2`)
      .and.include("keyferry provision")
      .and.not.include("trusted")
    expect(error.exit).to.equal("TEMPFAIL")
    await end()
    await takeAndGiveBack()
  })

  it("is free as soon as its holder was killed", async () => {
    expect(await run("die-holding", folder())).to.equal("SIGKILL")
    await takeAndGiveBack()
  })

  it("is held by a process that is stopped, which ends well when it goes on", async () => {
    const { child, end } = await held()
    child.kill("SIGSTOP")
    await refused()
    child.kill("SIGCONT")
    await end()
    expect(child.exitCode).to.equal(0)
    await takeAndGiveBack()
  })

  it("is no longer held by a child that outlives its parent", async () => {
    const child = start("die-leaving-child", folder())
    const pid = Number(await firstLine(child))
    if (child.signalCode === null) await once(child, "exit")
    try {
      expect(existsSync(`/proc/${pid}`), "the child lives").to.equal(true)
      await takeAndGiveBack()
    } finally {
      process.kill(pid)
    }
  })

  it("goes to exactly one of many that ask together", async () => {
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
  })

  describe("between namespaces", () => {
    before(function () {
      if (!CAN_MOUNT) this.skip()
    })

    /** Two containers on one volume, as far as the lock can tell. */
    const spaces: [name: string, prefix: readonly string[]][] = [
      ["PID namespaces", ["unshare", "--pid", "--fork", "--mount-proc"]],
      ["mount namespaces", ["unshare", "--mount", "--propagation", "private"]],
      ["host names", ["unshare", "--uts", "sh", "-c", 'hostname "container-$$" && exec "$@"', "sh"]],
      ["user and network namespaces", ["unshare", "--user", "--map-root-user", "--net"]],
    ]
    for (const [name, prefix] of spaces) {
      it(`is one lock for two ${name}, and free when its holder is killed`, async () => {
        const { child, end } = await held("hold", prefix)
        const second = start("hold", folder(), { prefix })
        expect(await firstLine(second)).to.equal("ERR_STATE_LOCKED")
        const error = await refused()
        expect(error.message, "the ticket of another namespace is believed to be whose it says").not.to.include("gone")
        // unshare --fork waits for what it started
        execFileSync("sh", ["-c", `pkill -KILL -P ${child.pid ?? 0} || kill -KILL ${child.pid ?? 0}`])
        await end()
        await takeAndGiveBack()
      })
    }
  })

  describe("whatever lies in its folder", () => {
    /** Things that a person, a backup or an intruder may have left there. */
    const tickets: [name: string, text: string][] = [
      ["a ticket of a process ID with many digits", JSON.stringify({ pid: "9".repeat(400), host: "h" })],
      ["a number without end", `{"pid":${"9".repeat(2000)}`],
      ["another host's ticket", JSON.stringify({ ...thisProcess(), host: "elsewhere", command: "rewrap", since: "x" })],
      ["the ticket of this very process", JSON.stringify({ ...thisProcess(), command: "rewrap", released: false })],
      ["nothing", ""],
      ["no text", "\0".repeat(3000)],
    ]
    for (const [name, text] of tickets) {
      it(`is taken, and kept, over ${name}`, async () => {
        mkdirSync(join(folder(), "lock"), { mode: 0o700 })
        writeFileSync(file(), text, { mode: 0o600 })
        const lock = await take()
        const error = await refused()
        expect(error.message).to.include(`process ${process.pid} on `)
        await lock[Symbol.asyncDispose]()
        await takeAndGiveBack()
      })
    }

    it("is taken over numbered tickets, as keyferry 0.1.0 left them", async () => {
      mkdirSync(join(folder(), "lock"), { mode: 0o700 })
      const ticket = JSON.stringify({ ...thisProcess(), command: "rewrap", since: "x", released: false })
      for (const number of ["7", "9".repeat(16), "9".repeat(200)]) {
        writeFileSync(join(folder(), "lock", `${number}.json`), ticket)
      }
      await takeAndGiveBack()
    })

    it("says that nobody is known where the ticket was written over meanwhile, and repeats nothing of it", async () => {
      const lock = await take()
      for (const planted of ["{}", JSON.stringify({ ...thisProcess(), command: "\u001b[31mrm -rf", since: "now" })]) {
        writeFileSync(file(), planted)
        const error = await refused()
        expect(error.message).to.match(/in use by a process that is not known: its ticket says nothing/)
        expect(error.message).not.to.include("rm -rf")
      }
      await lock[Symbol.asyncDispose]()
    })

    it("says that the ticket cannot be trusted where it names a process that is gone", async () => {
      const lock = await take()
      const ticket = JSON.parse(readFileSync(file(), "utf8")) as object
      writeFileSync(file(), JSON.stringify({ ...ticket, startTime: "1" }))
      expect((await refused()).message).to.match(/\(its ticket cannot be trusted, since that process is gone\)/)
      await lock[Symbol.asyncDispose]()
    })

    it("holds although its file, or the folder of it, was removed meanwhile", async () => {
      const { end } = await held()
      rmSync(file())
      await refused()
      rmSync(join(folder(), "lock"), { recursive: true })
      await refused()
      await end()
      await takeAndGiveBack()
    })

    const writeAs = (path: string, { mode = 0o600, owner = process.getuid?.() ?? 0 }): void => {
      writeFileSync(path, "")
      chmodSync(path, mode)
      chownSync(path, owner, owner)
    }
    const places: [name: string, place: (path: string) => void, message: RegExp][] = [
      ["a symbolic link", (path) => symlinkSync(join(folder(), "elsewhere"), path), /is a symbolic link, not a file/],
      ["a folder", (path) => mkdirSync(path), /is a folder, not a file/],
      ["a pipe", (path) => void execFileSync("mkfifo", [path]), /is a pipe, not a file/],
      ["a file of another owner", (path) => writeAs(path, { owner: 4711 }), /by user 4711/],
      ["a file that all may write", (path) => writeAs(path, { mode: 0o666 }), /mode 0666/],
    ]
    for (const [name, place, message] of places) {
      it(`refuses ${name} in place of its file, unfollowed`, async () => {
        mkdirSync(join(folder(), "lock"), { mode: 0o700 })
        place(file())
        const error = await expectCode("ERR_STATE_UNSAFE", () => take())
        expect(error.message).to.match(message)
        expect(existsSync(join(folder(), "elsewhere"))).to.equal(false)
      })
    }

    it("refuses a symbolic link in place of its folder", async () => {
      mkdirSync(join(folder(), "elsewhere"))
      symlinkSync(join(folder(), "elsewhere"), join(folder(), "lock"))
      expect((await expectCode("ERR_STATE_UNSAFE", () => take())).message).to.match(/symbolic link, not a folder/)
    })
  })

  describe("on a disk that is full", () => {
    before(function () {
      if (!CAN_MOUNT) this.skip()
    })
    beforeEach(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", folder()]))
    afterEach(() => execFileSync("umount", ["--lazy", folder()]))
    const fill = (): void => {
      execFileSync("sh", ["-c", `cat /dev/zero >"${folder()}/filler" 2>/dev/null || true`])
    }

    it("is taken and given back as ever where it was there before", async () => {
      await takeAndGiveBack()
      fill()
      const lock = await take()
      expect((await refused()).message).to.include(`process ${process.pid} on `)
      await lock[Symbol.asyncDispose]()
      await takeAndGiveBack()
    })

    it("is refused, and free, where it was not", async () => {
      fill()
      const error = await expectCode("ERR_STATE_WRITE", () => take())
      expect(error.causes[0]?.code).to.equal("ENOSPC")
      rmSync(join(folder(), "filler"))
      await takeAndGiveBack()
    })
  })

  describe("waiting", () => {
    it("waits as long as it is told, and takes what comes free", async () => {
      const { end } = await held()
      const told: string[] = []
      const lock = take({ timeout: 60_000, onWait: (holder) => void told.push(holder) })
      while (told.length === 0) await sleep(10)
      await end()
      await (await lock)[Symbol.asyncDispose]()
      expect(told).to.have.lengthOf(1)
      expect(told[0]).to.match(/^`keyferry provision`, process \d+ on /)
    })

    it("gives up after that, and says how long it waited", async () => {
      const { end } = await held()
      const error = await expectCode("ERR_STATE_LOCKED", () => take({ timeout: 1000 }))
      expect(error.message).to.match(/, for which it was waited 1 s$/)
      await end()
    })

    for (const [name, action, request] of [
      ["for a scheduled run, where nothing else is asked for", "hold-scheduled", {}],
      ["as a scheduled run, for whoever holds it", "hold", { scheduled: true }],
    ] as const) {
      it(`waits ${name}`, async () => {
        const { end } = await held(action)
        const lock = take({ timeout: null, ...request, onWait: () => void end() })
        await (await lock)[Symbol.asyncDispose]()
      })
    }

    it("does not wait for a run that somebody looks at", async () => {
      const { end } = await held()
      await expectCode("ERR_STATE_LOCKED", () => take({ timeout: null, onWait: () => expect.fail("waits") }))
      await end()
    })

    it("is let go by its holder to who waits, and taken again", async () => {
      const order: string[] = []
      await using first = await take()
      expect(await first.isAwaited()).to.equal(false)
      let passedOn: Promise<void> | undefined
      const second = await take({ timeout: 60_000, onWait: () => void (passedOn = first.passOn()) })
      order.push("the second works")
      await refused()
      order.push("and is done")
      await second[Symbol.asyncDispose]()
      await passedOn
      order.push("the first goes on")
      await refused()
      expect(await first.isAwaited(), "with nobody there").to.equal(false)
      expect(order).to.deep.equal(["the second works", "and is done", "the first goes on"])
    })

    it("is seen by its holder to be waited for, until who waits is gone", async () => {
      await using lock = await take()
      // a look keeps nobody from saying that it waits
      expect(await lock.isAwaited()).to.equal(false)
      let seen: boolean | undefined
      const waiting = take({
        timeout: 300,
        onWait: () => void lock.isAwaited().then((isAwaited) => (seen = isAwaited)),
      })
      expect(await waiting.catch((error: unknown) => error)).to.include({ code: "ERR_STATE_LOCKED" })
      expect(seen).to.equal(true)
      expect(await lock.isAwaited()).to.equal(false)
    })

    it("is seen to be waited for by who came while its holder looked", async () => {
      await using lock = await take()
      const looking = spawn("flock", ["--exclusive", join(folder(), "lock", "waiting"), "sh", "-c", "echo looks; cat"])
      await once(looking.stdout, "data")
      const waiting = take({ timeout: 60_000, onWait: () => looking.stdin.end() })
      while (!(await lock.isAwaited())) await sleep(20)
      await lock[Symbol.asyncDispose]()
      await (await waiting)[Symbol.asyncDispose]()
    })
  })

  describe("on a file system without locks", () => {
    let library: string
    before(() => {
      library = join(process.cwd(), "build", "flock-lies.so")
      execFileSync("cc", ["-shared", "-fPIC", "-o", library, FLOCK_LIES])
    })
    for (const [name, env] of [
      ["that are given to everybody", {}],
      ["at all (ENOLCK)", { FLOCK_ERRNO: "37" }],
      ["that it knows (ENOSYS)", { FLOCK_ERRNO: "38" }],
    ] as const) {
      it(`refuses locks ${name}`, async () => {
        const child = start("hold", folder(), { env: { LD_PRELOAD: library, ...env } })
        expect(await firstLine(child)).to.equal("ERR_STATE_LOCK_UNUSABLE")
      })
      it(`has doctor say so of locks ${name}`, async () => {
        const { stdout } = await keyferry(["doctor", "--json", "--state-dir", folder()], {
          env: { LD_PRELOAD: library, AWS_EC2_METADATA_DISABLED: "true", ...env },
        })
        const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string; message: string }[] }
        const refusal = checks.find(({ id, status }) => id === "state" && status === "fail")
        expect(refusal?.message).to.match(/trial twice|trial cannot be locked/)
      })
    }
  })
})
