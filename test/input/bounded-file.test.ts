import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { readBounded } from "#src/input/bounded-file.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("readBounded", () => {
  const folder = temporaryFolder()
  const pipe = (): string => {
    const path = join(folder(), "pipe")
    spawnSync("mkfifo", [path])
    return path
  }

  for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    it(`reads a file of ${length} bytes whole`, async () => {
      const path = join(folder(), "file")
      const bytes = Buffer.from(Array.from({ length }, (_, index) => index % 251))
      writeFileSync(path, bytes)
      expect((await readBounded(path, length)).equals(bytes)).to.equal(true)
      if (length > 0) expect(await readBounded(path, length - 1)).to.have.lengthOf(length)
    })
  }

  it("reads what has no end one byte further than the limit", async () => {
    expect(await readBounded("/dev/zero", 100_000)).to.have.lengthOf(100_001)
  })

  it("waits for what is written to a pipe, in pieces and late", async () => {
    const path = pipe()
    const writer = spawn("sh", ["-c", 'sleep 0.2; { printf one; sleep 0.2; printf two; } > "$0"', path])
    expect((await readBounded(path, 10)).toString()).to.equal("onetwo")
    if (writer.exitCode === null) await once(writer, "exit")
  })

  it("leaves a pipe that goes on for ever", async () => {
    const path = pipe()
    const writer = spawn("sh", ["-c", 'exec yes > "$0"', path], { stdio: ["ignore", "ignore", "ignore"] })
    expect(await readBounded(path, 1000)).to.have.lengthOf(1001)
    writer.kill()
  })

  it("throws what the system says", async () => {
    for (const [path, code] of [
      [join(folder(), "none"), "ENOENT"],
      [folder(), "EISDIR"],
    ] as const) {
      const error = await readBounded(path, 10).then(
        () => null,
        (thrown: unknown) => thrown,
      )
      expect(error).to.include({ code })
    }
  })
})
