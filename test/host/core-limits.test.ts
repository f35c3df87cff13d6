import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import { expect } from "chai"
import { MAIN } from "../support/cli.js"

/** A command that runs until it is told to end, in an environment where no program is found. */
describe("what a running command keeps of its memory to itself (I7)", () => {
  let command: ChildProcess
  let address: string
  let stderr = ""
  before(async () => {
    const env = { PATH: "/nonexistent", NODE_V8_COVERAGE: "" }
    command = spawn(process.execPath, [MAIN, "local-kms", "--port", "0"], { env, stdio: ["ignore", "pipe", "pipe"] })
    command.stderr?.setEncoding("utf8").on("data", (piece: string) => (stderr += piece))
    const lines = createInterface({ input: command.stdout ?? process.stdin })
    const [line] = (await once(lines, "line")) as [string]
    address = /http:\S+/.exec(line)?.[0] ?? ""
  })
  after(() => command.kill("SIGKILL"))

  const ofProcess = (file: string): string => readFileSync(`/proc/${command.pid}/${file}`, "utf8")

  it("writes no core file, and a core that is piped to a program would hold no memory", () => {
    expect(ofProcess("limits")).to.match(/^Max core file size +0 +0 +bytes/m)
    expect(ofProcess("coredump_filter")).to.equal("00000000\n")
  })

  it("opens no inspector on SIGUSR1, and goes on", async () => {
    for (let times = 0; times < 3; times++) {
      command.kill("SIGUSR1")
      // by its answers the signal has been handled
      for (let requests = 0; requests < 5; requests++) await (await fetch(`${address}/_admin/clock`)).text()
    }
    command.kill("SIGTERM")
    await once(command, "close")
    expect(stderr).not.to.match(/Debugger|inspector/)
    expect(command.signalCode).to.equal(null)
  })

  it("gives its children the limit too: they may be handed a PIN", async () => {
    const module = new URL("../../src/host/core-limits.js", import.meta.url)
    const script = `
      const { execFileSync } = await import("node:child_process")
      await (await import(${JSON.stringify(module.href)})).coreDumpsOff()
      process.stdout.write(execFileSync("sh", ["-c", "ulimit -Sc; ulimit -Hc"]))`
    const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script])
    expect(child.stdout).to.equal("0\n0\n")
  })
})
