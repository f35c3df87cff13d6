import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { FaultKind } from "#src/local-kms/server/faults.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { setStage, type Stage } from "../support/stage.js"
import { expectConverged } from "../support/converged.js"
import { HOOKED } from "../support/kill-hook.js"
import { next, OPERATIONS, type Operation, prepare, type Subject } from "../support/kill-operations.js"
import { FIRST, STRIDE, strideText } from "../support/stride.js"

interface Trouble {
  readonly kind: FaultKind
  /** As often as keyferry sends a request at most; fewer where it waits for long in between. */
  readonly count: number
}

const TROUBLES: readonly Trouble[] = [
  { kind: "drop-after", count: 3 },
  { kind: "internal", count: 3 },
  { kind: "throttle", count: 1 },
]

/** The commands that call KMS, each once: how the token keeps a key KMS does not see. */
const CALLING = ["provision", "rewrap", "rotate", "replace"]

/** What a command may end with that KMS failed: try again later, or not reachable. */
const PASSING = [0, 69, 75]

let faults = 0

describe("with KMS failing at each of its calls, and run again", () => {
  inParallel(
    OPERATIONS.filter(({ title }) => CALLING.includes(title)),
    {
      width: 2,
      patienceMs: 600_000,
      name: ({ title }) => `${title} converges: answers dropped after they took effect, throttling, 5xx`,
      lane: sharedLane,
      run: failEverywhere,
    },
  )
  after(() => {
    process.stdout.write(`    ${faults} failing calls, ${strideText}\n`)
  })
})

async function failEverywhere(operation: Operation): Promise<void> {
  await using stage = await setStage()
  const state = stage.state()
  const name = (at: number): string => `${operation.title.replaceAll(" ", "-")}-${at}`
  let subject: Subject | null = await prepare(stage, operation, state, name(0))
  const calls = await callsOf(operation, stage, subject)
  subject = next(operation, subject)
  let at = 0
  for (const call of calls.filter((_, index) => index % STRIDE === FIRST)) {
    for (const trouble of TROUBLES) {
      at += 1
      faults += 1
      subject ??= await prepare(stage, operation, state, name(at))
      const args = operation.args(subject.name)
      await stage.kms.fault({ ...trouble, ...call })
      const first = await stage.run(args, { state })
      await stage.kms.clearFaults()
      try {
        expect(first.status, first.stderr).to.be.oneOf(PASSING)
        if (first.status !== 0) {
          // a listing that lags has caught up
          await stage.kms.clock.advance(31)
          const second = await stage.run(args, { state })
          expect(second.status, second.stderr).to.equal(0)
        }
        await expectConverged(stage, operation, subject)
      } catch (error) {
        throw new Error(`${trouble.kind} in ${call.operation} number ${call.skip}`, { cause: error })
      }
      subject = next(operation, subject)
    }
  }
}

/** The requests that the command sends to KMS, in order, each with how many of its kind went before. */
async function callsOf(
  operation: Operation,
  stage: Stage,
  { state, name }: Subject,
): Promise<readonly { readonly operation: string; readonly skip: number }[]> {
  const steps = join(stage.folder, "calls")
  const env = { ...HOOKED, KEYFERRY_TEST_STEPS: steps }
  const run = await stage.run(operation.args(name), { state, env })
  expect(run.status, run.stderr).to.equal(0)
  const sent = readFileSync(steps, "utf8").match(/(?<=^KMS ).+$/gm) ?? []
  return sent.map((call, at) => ({ operation: call, skip: sent.slice(0, at).filter((one) => one === call).length }))
}
