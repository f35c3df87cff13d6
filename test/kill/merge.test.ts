import { cpSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { HOOKED } from "../support/kill-hook.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"
import { FIRST, STRIDE, strideText } from "../support/stride.js"

/** A merge writes some files; one that never ends fails the test. */
const MOST_STEPS = 200

describe("state merge killed before and after every outside call, and run again", function () {
  this.timeout(600_000)
  let stage: Stage
  let ours: string
  let theirs: string
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
    ours = stage.state()
    const well = async (state: string, ...args: readonly string[]): Promise<void> => {
      const result = await stage.run(args, { state })
      expect(result.status, result.stderr + result.stdout).to.equal(0)
    }
    await well(ours, ...provisionArgs({ name: "both", custody: "sealed" }))
    theirs = stage.state()
    cpSync(ours, theirs, { recursive: true })
    await well(theirs, "rotate", "both")
    await well(theirs, ...provisionArgs({ name: "new", custody: "sealed" }))
    await well(theirs, "key", "backup-confirmed")
    await stage.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand", count: 20 })
    expect((await stage.run(["rotate", "new"], { state: theirs })).status).to.equal(77)
    await stage.kms.clearFaults()
  })
  after(() => stage[Symbol.asyncDispose]())

  /** What the state holds, but for the log and what is of no consequence. */
  const contentOf = (state: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      filesUnder(state)
        .filter((file) => /^(inventory|vault|custody-keys|operations|merged-logs)\/.*[^p]$/.test(file))
        .map((file) => [file, readFileSync(join(state, file), "utf8")]),
    )
  const fresh = (): string => {
    const state = stage.state()
    cpSync(ours, state, { recursive: true })
    return state
  }

  it("ends with the same, whatever the moment: nothing lost, nothing asked of KMS", async () => {
    const whole = fresh()
    const unkilled = await stage.run(["state", "merge", theirs], { state: whole })
    expect(unkilled.status, unkilled.stderr + unkilled.stdout).to.equal(0)
    const expected = contentOf(whole)
    expect(Object.keys(expected).filter((file) => file.startsWith("vault/"))).to.have.length(4)
    await stage.kms.clearCounts()
    let kills = 0
    for (let at = FIRST; at < MOST_STEPS; at += STRIDE) {
      const state = fresh()
      const env = { ...HOOKED, KEYFERRY_TEST_KILL_AT: String(at) }
      const first = await stage.run(["state", "merge", theirs], { state, env })
      if (first.signal === null) {
        expect(first.status, first.stderr).to.equal(0)
        process.stdout.write(`    ${kills} kills of state merge, ${strideText}\n`)
        expect((await stage.kms.counts()).requests).to.deep.equal({})
        return
      }
      kills += 1
      const second = await stage.run(["state", "merge", theirs], { state })
      expect(second.status, second.stderr).to.equal(0)
      expect(contentOf(state), `call ${at}`).to.deep.equal(expected)
      const log = readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n")
      expect(verifyChain(log)).to.have.property("end")
      rmSync(state, { recursive: true })
    }
    throw new Error(`state merge makes more than ${MOST_STEPS} calls`)
  })
})
