import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { setStage, type Stage } from "../support/stage.js"
import { expectConverged } from "../support/converged.js"
import { HOOKED } from "../support/kill-hook.js"
import { FIRST, STRIDE, strideText } from "../support/stride.js"
import {
  againOf,
  becomeDue,
  followUp,
  next,
  OPERATIONS,
  type Operation,
  prepare,
  SCHEDULED,
  type Subject,
  THREE_STEPS,
} from "../support/kill-operations.js"

/** Nothing that keyferry does takes so many calls: a command that never ends fails the test. */
const MOST_STEPS = 400

const KILLED = [...OPERATIONS, ...SCHEDULED, ...THREE_STEPS]

let kills = 0

describe("killed before and after every outside call, and run again", () => {
  inParallel(KILLED, {
    width: 2,
    patienceMs: 1_500_000,
    name: ({ title }) => `${title} converges: nothing lost, nothing double`,
    lane: sharedLane,
    run: killEverywhere,
  })
  after(() => {
    process.stdout.write(`    ${kills} kills over ${KILLED.length} operations, ${strideText}\n`)
  })
})

/** Kills the command before its first call, its second, and so on, until it ends before it is killed. */
async function killEverywhere(operation: Operation): Promise<void> {
  await using stage = await setStage()
  const state = stage.state()
  let subject: Subject | null = null
  const most = operation.grows === true ? await callsOf(operation, stage) : MOST_STEPS
  for (let at = FIRST; at < most; at += STRIDE) {
    subject ??= await prepare(stage, operation, state, `${operation.title.replaceAll(" ", "-")}-${at}`)
    const steps = join(stage.folder, `steps-${at}`)
    const hook = { ...HOOKED, KEYFERRY_TEST_STEPS: steps }
    const args = operation.args(subject.name, subject.state)
    await becomeDue(stage, operation, subject)
    await stage.kms.clearCounts()
    const first = await stage.run(args, { state, env: { ...hook, KEYFERRY_TEST_KILL_AT: String(at) } })
    if (first.signal === null) {
      expect(first.status, first.stderr).to.equal(0)
      expect(at, "steps").to.be.greaterThan(operation.steps === undefined ? 15 : 5)
      return
    }
    kills += 1
    const where = readFileSync(steps, "utf8").trim().split("\n").at(-1) ?? ""
    rmSync(steps)
    try {
      // a CreateKey whose outcome is not known is looked for until a listing that lags would show it
      await stage.kms.clock.advance(31)
      const second = await stage.run(args, { state })
      expect(second.status, second.stderr).to.be.oneOf(againOf(operation))
      if (operation.deleted === true) {
        const { requests } = await stage.kms.counts()
        // the one that was on its way is sent again, pinned, where its answer was not written down
        expect(requests["ImportKeyMaterial"], "imports").to.be.within(2, 3)
        expect(requests["CreateKey"], "new KMS keys").to.equal(undefined)
      }
      await followUp(stage, operation, subject)
      await expectConverged(stage, operation, subject)
    } catch (error) {
      throw new Error(`call ${at}, ${where}`, { cause: error })
    }
    subject = next(operation, subject)
  }
  if (operation.grows === true) return
  throw new Error(`${operation.title} makes more than ${MOST_STEPS} calls`)
}

/** How many calls the command makes the first time, for one that makes more each time. */
async function callsOf(operation: Operation, stage: Stage): Promise<number> {
  const { state, name } = await prepare(stage, operation, stage.state(), "counted")
  const steps = join(stage.folder, "steps")
  const env = { ...HOOKED, KEYFERRY_TEST_STEPS: steps }
  const run = await stage.run(operation.args(name, state), { state, env })
  expect(run.status, run.stderr).to.equal(0)
  return readFileSync(steps, "utf8").trim().split("\n").length
}
