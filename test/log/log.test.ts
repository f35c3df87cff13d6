import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { EVENTS } from "#src/core/records/log-event.js"

const PROGRAM = fileURLToPath(new URL("../support/log-process.js", import.meta.url))

function logged(format: "text" | "json", verbosity: "verbose" | "quiet"): { lines: string[]; stdout: string } {
  const { stderr, stdout, status } = spawnSync(process.execPath, [PROGRAM, format, verbosity], { encoding: "utf8" })
  expect(status).to.equal(0)
  return { lines: stderr.split("\n").filter((line) => line !== ""), stdout }
}

/** The poisoned text as it is, as JSON bytes, in hex and in base64. */
const POISON = [
  "7351-poison",
  Buffer.from("7351-poison").toString("hex"),
  Buffer.from("7351-poison").toString("base64").slice(0, 12),
  [...Buffer.from("7351-poison")].slice(0, 6).join(","),
]

describe("createLog", () => {
  const names = Object.keys(EVENTS)

  for (const format of ["text", "json"] as const) {
    it(`shows no secret in any event as ${format}`, () => {
      const { lines, stdout } = logged(format, "verbose")
      for (const name of names) expect(lines.filter((line) => line.includes(name))).to.have.length.greaterThan(10)
      for (const form of POISON) expect(lines.filter((line) => line.includes(form))).to.deep.equal([])
      expect(stdout).to.equal("")
    })
  }

  it("shows an error with its chain of causes", () => {
    const line = logged("json", "verbose").lines.find(
      (text) => text.includes("run.failed") && text.includes("outer words"),
    )
    const { error } = JSON.parse(line ?? "{}") as { error?: unknown }
    expect(error).to.deep.equal({
      name: "KeyferryError",
      message: "outer words",
      code: "ERR_KMS_OTHER",
      causes: ["AwsName: aws words"],
      cause: { name: "Error", message: "inner words", code: "ECONNRESET", requestId: "request-1" },
    })
  })

  it("writes JSON lines with time, level and event", () => {
    const lines = logged("json", "quiet").lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(new Set(lines.map(({ level }) => level))).to.deep.equal(new Set(["info", "warn"]))
    expect(lines.at(-1)).to.deep.include({
      level: "info",
      event: "key.imported",
      name: "a name\nkeyferry: error: forged",
      validTo: "1970-01-01T00:00:00.000Z",
      generation: 0,
      requestId: null,
    })
    expect(Date.parse(String(lines.at(-1)?.["time"]))).to.be.greaterThan(0)
  })

  it("keeps a line a line", () => {
    const { lines } = logged("text", "verbose")
    expect(lines.filter((line) => line.startsWith("keyferry: error"))).to.deep.equal([])
    expect(lines.at(-1)).to.include(String.raw`name="a name\nkeyferry: error: forged"`)
  })

  it("says nothing, and does not load winston, unless asked", () => {
    const run = (format: string) =>
      spawnSync(process.execPath, [PROGRAM, format, "quiet", "modules"], { encoding: "utf8" })
    expect(run("json").stdout).to.equal("winston true\n")
    const { stdout, stderr } = run("text")
    expect({ stdout, stderr }).to.deep.equal({ stdout: "winston false\n", stderr: "" })
  })
})
