import { renameSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { setStage, type Stage } from "../support/stage.js"
import { expectConverged } from "../support/converged.js"
import { next, OPERATIONS, type Operation, prepare, type Subject } from "../support/kill-operations.js"
import { CAN_MOUNT, type StateDisk, stateDisk } from "../support/state-disk.js"

const CHOSEN = ["provision", "rewrap", "rotate", "replace", "reseal under a new custody key"]
const COMMANDS = OPERATIONS.filter(({ title }) => CHOSEN.includes(title))
const CALLING = COMMANDS.filter(({ title }) => !title.startsWith("reseal"))

const nameOf = ({ title }: Operation, at: number): string => `${title.replaceAll(" ", "-")}-${at}`

/** What broke is over: the same command once more, and exactly one of everything. */
async function converges(stage: Stage, operation: Operation, subject: Subject, first: CliResult): Promise<void> {
  if (first.status !== 0) {
    const again = await stage.run(operation.args(subject.name, subject.state), { state: subject.state })
    expect(again.status, `${first.stderr}\nthen ${again.stderr}`).to.equal(0)
  }
  await expectConverged(stage, operation, subject)
}

/** A failure of which the user is told in one line what failed and of which file, with what to do. */
function expectNoSpace({ status, stderr, stdout }: CliResult): void {
  expect(status, stderr).to.equal(74)
  expect(stderr + stdout).to.match(/could not write \S+ .*\[ERR_STATE_WRITE\]|ERR_STATE_WRITE/)
  expect(stderr + stdout).to.match(/EFBIG|ENOSPC|EROFS/)
  expect(stderr + stdout).to.match(/check --state-dir .* the space left/)
}

/** Runs a command and does something while KMS, asked for import parameters, has not answered yet. */
async function whileAsking(
  stage: Stage,
  args: readonly string[],
  state: string,
  act: () => void | Promise<void>,
): Promise<CliResult> {
  const operation = "GetParametersForImport"
  await stage.kms.clearCounts()
  await stage.kms.fault({ kind: "delay", operation, milliseconds: 25_000, count: 100 })
  const running = stage.run(args, { state })
  while ((await stage.kms.counts()).requests[operation] === undefined) await sleep(20)
  await act()
  await stage.kms.clearFaults()
  return await running
}

/** What goes wrong while a command runs; gives its result. */
interface Trouble {
  readonly title: string
  readonly calling?: true
  readonly mounted?: true
  readonly run: (act: Act) => Promise<CliResult>
}

interface Act {
  readonly stage: Stage
  readonly disk: StateDisk
  readonly state: string
  readonly args: readonly string[]
}

const log = (state: string): number => statSync(join(state, "custody.log.jsonl"), { throwIfNoEntry: false })?.size ?? 0

const full = (pages: number): Trouble => ({
  title: `a disk with room for ${pages} files`,
  mounted: true,
  async run({ stage, disk, state, args }) {
    const makeRoom = disk.fill(pages)
    const result = await stage.run(args, { state })
    makeRoom()
    if (result.status !== 0 || pages === 0) expectNoSpace(result)
    return result
  },
})

/** RLIMIT_FSIZE ends in the middle of a line of the custody log, which is the longest file. */
const cramped = (room: number): Trouble => ({
  title: `a custody log that can grow by ${room} bytes`,
  async run({ stage, state, args }) {
    const prefix = ["env", "-u", "NODE_V8_COVERAGE", "prlimit", `--fsize=${log(state) + room}`]
    const result = await stage.run(args, { state, prefix })
    if (result.status !== 0 || room < 200) expectNoSpace(result)
    return result
  },
})

const TROUBLES: readonly Trouble[] = [
  cramped(60),
  cramped(1500),
  full(0),
  full(1),
  full(2),
  {
    title: "a read-only state directory, of which status can be read",
    mounted: true,
    async run({ stage, disk, state, args }) {
      disk.readOnly()
      const before = await stage.footprint(state)
      const result = await stage.run(args, { state })
      expectNoSpace(result)
      expect(await stage.footprint(state)).to.deep.equal(before)
      // a PIN that could not be marked as refused is not presented: what needs no login is still told
      const status = await stage.run(["status"], { state })
      expect(status.status, status.stderr).to.equal(74)
      expect(status.stdout)
        .to.match(/Enabled/)
        .and.to.match(/the token was not looked at: could not write/)
      expectNoSpace(await stage.run(["key", "list"], { state }))
      disk.writable()
      return result
    },
  },
  {
    // not one that turns read-only: the lock's file is open for writing as long as a command runs
    title: "a disk that fills up half-way",
    mounted: true,
    calling: true,
    async run({ stage, disk, state, args }) {
      let makeRoom = (): void => undefined
      const result = await whileAsking(stage, args, state, () => {
        makeRoom = disk.fill(0)
      })
      makeRoom()
      expectNoSpace(result)
      return result
    },
  },
  {
    title: "a token that goes half-way",
    calling: true,
    async run({ stage, state, args }) {
      const tokens = join(stage.token.dir, "tokens")
      const result = await whileAsking(stage, args, state, () => renameSync(tokens, `${tokens}.away`))
      renameSync(`${tokens}.away`, tokens)
      expect(result.status, result.stderr).to.equal(69)
      expect(result.stdout + result.stderr).to.match(/the token does not answer any more .*\[ERR_TOKEN_UNAVAILABLE\]/)
      return result
    },
  },
  {
    title: "a second command at the same time",
    calling: true,
    async run({ stage, state, args }) {
      return await whileAsking(stage, args, state, async () => {
        const second = await stage.run(args, { state })
        expect(second.status, second.stderr).to.equal(75)
        expect(second.stderr).to.match(HOLDER)
        expect(second.stderr).to.match(/hint: wait for that process to end/)
        expect(second.stdout).to.equal("")
      })
    },
  },
]

const HOLDER = /is in use by `keyferry [a-z ]+`, process \d+ on \S+, since \d{4}-\d\d-\d\dT\S+Z \[ERR_STATE_LOCKED\]/

describe("in trouble, and run again", () => {
  inParallel(COMMANDS, {
    width: 2,
    patienceMs: 1_500_000,
    name: ({ title }) => `${title} converges: no space, a read-only state, a token that goes, not alone`,
    lane: sharedLane,
    run: everyTrouble,
  })
})

async function everyTrouble(operation: Operation): Promise<void> {
  await using stage = await setStage()
  // mounting is root's
  using disk = CAN_MOUNT ? stateDisk(stage) : undefined
  const state = disk?.state ?? stage.state()
  const troubles = TROUBLES.filter(
    ({ mounted, calling }) =>
      (disk !== undefined || mounted !== true) && (calling !== true || CALLING.includes(operation)),
  )
  // makes the custody log longer than any file of the token, which the limit is not to reach
  await prepare(stage, { ...operation, fresh: false }, state, "earlier")
  let subject: Subject | null = null
  for (const [at, { title, run }] of troubles.entries()) {
    subject ??= await prepare(stage, operation, state, nameOf(operation, at))
    try {
      const first = await run({ stage, disk: disk!, state, args: operation.args(subject.name, subject.state) })
      await converges(stage, operation, subject, first)
    } catch (error) {
      throw new Error(title, { cause: error })
    }
    subject = next(operation, subject)
  }
}
