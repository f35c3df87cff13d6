import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { CAN_RECORD, type DiskCall, lostByPowerCut, recordedCalls } from "#test/support/disk-calls.js"
import { prepare, WAYS } from "#test/support/disk-process.js"

const PROGRAM = fileURLToPath(new URL("../../support/disk-process.js", import.meta.url))

/** The calls of a real process, recorded by strace(1): what the disk was asked for, and in which order. */
describe("what is written survives a power cut:", () => {
  let base: string
  let calls: readonly DiskCall[]
  before(function () {
    if (!CAN_RECORD) this.skip()
    base = mkdtempSync(join(tmpdir(), "keyferry-durability-"))
    prepare(base)
    calls = recordedCalls([PROGRAM, base], join(base, "calls"))
  })
  after(() => {
    if (CAN_RECORD) rmSync(base, { recursive: true, force: true })
  })

  for (const way of Object.keys(WAYS)) {
    it(way, () => {
      const root = join(base, way)
      const own = calls.filter(({ path, to = "" }) => [path, to].some((name) => `${name}/`.startsWith(`${root}/`)))
      expect(own.filter(({ call }) => call === "fsync")).not.to.have.length(0)
      expect(lostByPowerCut(own, { root, inOrder: true })).to.deep.equal([])
    })
  }
})
