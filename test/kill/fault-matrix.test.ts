import type { CliResult } from "#test/support/cli.js"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { FaultKind } from "#src/local-kms/server/faults.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { generationsOf } from "#src/core/records/inventory.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { cut, endless, otherKey, webPage, withoutRequestId, wrongTypes } from "../support/bad-answers.js"
import { type KmsProxy, type Spoiling, startKmsProxy } from "../support/kms-proxy.js"
import { setStage, type Stage } from "../support/stage.js"
import { expectConverged } from "../support/converged.js"
import { HOOKED } from "../support/kill-hook.js"
import {
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
import { FIRST, STRIDE, strideText } from "../support/stride.js"

interface Call {
  readonly operation: string
  /** How many of its kind went before. */
  readonly skip: number
}

/** What is wrong with the answer to one call; set, it gives how to ask whether it was hit. */
interface Trouble {
  readonly title: string
  readonly set: (stage: Stage, proxy: KmsProxy, call: Call) => Promise<() => Promise<boolean>>
}

/** As often as keyferry sends a request at most; fewer where it waits for long in between. */
const failing = (kind: FaultKind, count: number): Trouble => ({
  title: kind,
  async set({ kms }, _proxy, call) {
    await kms.fault({ kind, count, ...call })
    return async () => (await kms.faults()).every((fault) => fault.skip === 0 && fault.count < count)
  },
})

const spoilt = (title: string, effect: boolean, respond: Spoiling["respond"], times = 1): Trouble => ({
  title: `${title}, ${effect ? "done" : "not done"}`,
  set({ kms }, proxy, { operation, skip }) {
    // a listing that would show the key by then shows none: nobody waits for it
    const onHit = effect || operation !== "CreateKey" ? () => Promise.resolve() : () => kms.clock.advance(31)
    const hits = proxy.spoil(operation, { effect, respond, skip, times, onHit })
    return Promise.resolve(() => Promise.resolve(hits() > 0))
  },
})

/** What KMS itself may do. */
const OF_KMS: readonly Trouble[] = [failing("drop-after", 3), failing("internal", 3), failing("throttle", 1)]

const OTHER_KEY = spoilt("another key's ID", true, otherKey)

/** What may come between; each call meets some of them, so that all are met by some calls of each kind. */
const BETWEEN: readonly Trouble[] = [
  spoilt("a web page with 403", true, webPage(403)),
  spoilt("a web page with 307", true, webPage(307)),
  spoilt("a web page with 503", true, webPage(503), 3),
  spoilt("a web page with 413", false, webPage(413)),
  spoilt("a web page with 408", true, webPage(408), 3),
  spoilt("a web page with 200", false, webPage(200)),
  spoilt("no request ID", true, withoutRequestId),
  spoilt("wrong types", true, wrongTypes),
  OTHER_KEY,
  spoilt("half a body", true, cut, 3),
  spoilt("a body without end", true, endless(300_000, 1), 3),
]
const EACH_CALL = 3

/** It takes the whole deadline of an answer, each time that the request is sent, so one call of each command meets it. */
const SLOW = spoilt("a byte a second", true, endless(1, 1000))
const SLOW_AT = "ImportKeyMaterial"
const SLOW_FLAGS = ["--kms-timeout", "3s"]

/** The commands that call KMS, each once: how the token keeps a key KMS does not see. */
const CALLING = ["provision", "rewrap", "rotate", "replace", "recover", "apply of a new key"]
const COMMANDS = [...[...OPERATIONS, ...SCHEDULED].filter(({ title }) => CALLING.includes(title)), ...THREE_STEPS]

/** What a command may end with: try again later, not reachable, or an answer that contradicts the request. */
const PASSING = [0, 69, 75, 76]

/** An alias can name any key, so that an answer about another contradicts nothing: the alias is then somebody else's. */
const endsOf = ({ stdout, stderr }: CliResult, { operation }: Call, trouble: Trouble): readonly number[] =>
  trouble === OTHER_KEY && operation === "DescribeKey" && (stdout + stderr).includes("ALIAS_TAKEN")
    ? [...PASSING, 65]
    : PASSING

let faults = 0

describe("with KMS failing at each of its calls, and run again", () => {
  inParallel(COMMANDS, {
    width: 2,
    patienceMs: 1_500_000,
    name: ({ title }) =>
      `${title} converges: answers dropped, 5xx, throttling, web pages, wrong types, other IDs, cut and endless bodies`,
    lane: sharedLane,
    run: failEverywhere,
  })
  after(() => {
    process.stdout.write(`    ${faults} failing calls, ${strideText}\n`)
  })
})

async function failEverywhere(operation: Operation): Promise<void> {
  await using stage = await setStage()
  await using proxy = await startKmsProxy(stage.kms.endpoint)
  const state = stage.state()
  const name = (at: number): string => `${operation.title.replaceAll(" ", "-")}-${at}`
  let subject: Subject | null = await prepare(stage, operation, state, name(0))
  const calls = await callsOf(operation, stage, subject)
  subject = next(operation, subject)
  const cells = calls.filter((_, index) => index % STRIDE === FIRST).flatMap(troublesOf)
  const slow = calls.find((call) => call.operation === SLOW_AT)
  if (slow !== undefined && FIRST === 0) cells.push({ call: slow, trouble: SLOW })
  for (const [index, { call, trouble }] of cells.entries()) {
    faults += 1
    subject ??= await prepare(stage, operation, state, name(index + 1))
    const args = operation.args(subject.name, subject.state)
    await becomeDue(stage, operation, subject)
    const wasHit = await trouble.set(stage, proxy, call)
    const impatient = trouble === SLOW ? SLOW_FLAGS : []
    const first = await stage.run([...args, ...impatient], { state, env: { AWS_ENDPOINT_URL: proxy.endpoint } })
    try {
      expect(await wasHit(), "the fault was hit").to.equal(true)
      await stage.kms.clearFaults()
      proxy.unspoil()
      expect(first.status, first.stderr).to.be.oneOf(endsOf(first, call, trouble))
      if (first.status !== 0) {
        // a listing that lags has caught up
        await stage.kms.clock.advance(31)
        const second = await stage.run(args, { state })
        expect(second.status, `${first.stderr}\nthen ${second.stderr}`).to.equal(0)
      }
      await followUp(stage, operation, subject)
      await expectConverged(stage, operation, subject)
    } catch (error) {
      throw new Error(`${trouble.title} in ${call.operation} number ${call.skip}`, { cause: error })
    }
    subject = next(operation, subject)
  }
  await expectCounts(stage, state)
}

function troublesOf(call: Call, at: number): { readonly call: Call; readonly trouble: Trouble }[] {
  const between = Array.from({ length: EACH_CALL }, (_, place) => BETWEEN[(at * EACH_CALL + place) % BETWEEN.length]!)
  return [...OF_KMS, ...between].map((trouble) => ({ call, trouble }))
}

/** Over all names of the state: KMS has the keys, the key materials and the rotations that the inventory has, and no more. */
async function expectCounts(stage: Stage, state: string): Promise<void> {
  const entries = (await storedInventory(fileTexts(state)).list()).flatMap((entry) => [entry, ...entry.former])
  const { Keys = [] } = await stage.sdk.listKeys({ Limit: 1000 })
  expect(Keys.length, "KMS keys").to.equal(entries.length)
  for (const entry of entries.filter(({ keySpec }) => keySpec === "SYMMETRIC_DEFAULT")) {
    const KeyId = entry.keyArn ?? ""
    const { Rotations = [] } = await stage.sdk.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })
    expect(Rotations.length, `materials of ${entry.name}`).to.equal(generationsOf(entry).length)
    const rotated = Rotations.filter(({ RotationDate }) => RotationDate !== undefined)
    expect(rotated.length, `rotations of ${entry.name}`).to.equal(generationsOf(entry).length - 1)
  }
}

/** The requests that the command sends to KMS, in order, each with how many of its kind went before. */
async function callsOf(operation: Operation, stage: Stage, subject: Subject): Promise<readonly Call[]> {
  const { state, name } = subject
  await becomeDue(stage, operation, subject)
  const steps = join(stage.folder, "calls")
  const env = { ...HOOKED, KEYFERRY_TEST_STEPS: steps }
  const run = await stage.run(operation.args(name, state), { state, env })
  expect(run.status, run.stderr).to.equal(0)
  await followUp(stage, operation, subject)
  const sent = readFileSync(steps, "utf8").match(/(?<=^KMS ).+$/gm) ?? []
  return sent.map((call, at) => ({ operation: call, skip: sent.slice(0, at).filter((one) => one === call).length }))
}
