import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { KeyferryError } from "#src/core/base/error.js"
import type { SharedQuotas } from "#src/core/ports/shared-quotas.js"
import { inTurn, type Timer } from "#src/kms/line.js"
import { createPacer } from "#src/kms/pacing.js"
import { openDatabase, type Queryable } from "#src/store/postgres/database.js"
import { sharedQuotas } from "#src/store/postgres/shared-quota.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"
import type { QuotaWork } from "#test/support/quota-process.js"
import { awsEnvironment, CREDENTIALS, openAt, SYMMETRIC } from "../support/aws-environment.js"
import { farAway } from "../support/far-away.js"
import { hostClock } from "../support/host-clock.js"

const PROGRAM = fileURLToPath(new URL("../support/quota-process.js", import.meta.url))

/** An agent that sends, with when its answers came; failures by their codes. */
interface Sender {
  readonly child: ChildProcessWithoutNullStreams
  readonly answers: number[]
  readonly failures: string[]
}

/** Of a quota, by agents that share a machine with other tests; what it is on a quiet one is in docs/performance.md. */
const MOST = 0.5

describe("quotas that agents share", () => {
  awsEnvironment()
  let postgres: PostgresServer
  let local: LocalKmsProcess
  let databases = 0
  let url: string
  let keyArn: string

  before(async () => {
    postgres = await startPostgres()
    local = await startLocalKms()
    const { kms } = await openAt(local)
    keyArn = (await kms.createKey(SYMMETRIC)).key.keyArn
    kms[Symbol.dispose]()
  })
  after(async () => {
    await local.stop()
    await postgres[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    databases += 1
    const name = `quota_${databases}`
    await using database = await migratedDatabase(postgres, name)
    expect(database.transport).to.equal("socket")
    url = postgres.urlOf(name)
    await local.clearCounts()
  })

  const start = (
    work: Pick<QuotaWork, "operation" | "quota"> & Partial<QuotaWork>,
    env: Readonly<Record<string, string>> = {},
  ): Sender => {
    const given: QuotaWork = { database: url, endpoint: local.endpoint, keyArn, waiting: 2, ...work }
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(given)], {
      env: { PATH: process.env["PATH"], HOME: "/nonexistent", ...CREDENTIALS, ...env },
    })
    child.stderr.pipe(process.stderr)
    const [answers, failures]: [number[], string[]] = [[], []]
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "answered") answers.push(performance.now())
      else failures.push(line)
    })
    return { child, answers, failures }
  }

  const end = async (senders: readonly Sender[]): Promise<void> => {
    await Promise.all(
      senders.map(async ({ child }) => {
        const ended = once(child, "close")
        child.stdin.end()
        await ended
      }),
    )
    expect(senders.flatMap(({ failures }) => failures)).to.deep.equal([])
  }

  /** Answers a second of the whole time between the first and the last that came after `from`, of the quota. */
  const shareOf = (senders: readonly Sender[], quota: number, from = 0, to = Infinity): number => {
    const times = senders
      .flatMap(({ answers }) => answers)
      .filter((at) => at >= from && at <= to)
      .sort((one, other) => one - other)
    const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000
    return (times.length - 1) / seconds / quota
  }

  const bothAnswer = async (senders: readonly Sender[]): Promise<number> => {
    while (senders.some(({ answers }) => answers.length === 0)) await sleep(20)
    return performance.now()
  }

  /** None of two waits while the other is served. */
  const expectFair = (senders: readonly Sender[]): void => {
    const all = senders.reduce((sum, { answers }) => sum + answers.length, 0)
    for (const { answers } of senders) expect(answers.length / all).to.be.at.least(1 / 3)
  }

  const noneThrottled = async (): Promise<void> => {
    expect((await local.counts()).errors).to.deep.equal({})
  }

  it("two agents use 15 a second together", async () => {
    await local.quotas({ rates: { DescribeKey: 15 } })
    const senders = [0, 1].map(() => start({ operation: "DescribeKey", quota: 15 }))
    // what the burst gave does not count
    const from = (await bothAnswer(senders)) + 1000
    await sleep(13_000)
    await end(senders)
    await noneThrottled()
    const share = shareOf(senders, 15, from)
    expect(share).to.be.at.least(MOST)
  })

  it("two agents use one a second together", async () => {
    await local.quotas({ rates: { GetParametersForImport: 1 } })
    const work = { operation: "GetParametersForImport", quota: 1 } as const
    const senders = [start(work), start(work)]
    const from = await bothAnswer(senders)
    await sleep(22_000)
    await end(senders)
    await noneThrottled()
    expect(shareOf(senders, 1, from)).to.be.at.least(MOST)
    expectFair(senders)
  })

  it("one that is far from KMS, and whose clock is an hour fast, throttles nobody", async () => {
    await local.quotas({ rates: { GetParametersForImport: 1 } })
    await using far = await farAway(local.endpoint, 120)
    const work = { operation: "GetParametersForImport", quota: 1 } as const
    const senders = [start(work), start({ ...work, endpoint: far.endpoint }, hostClock(3600))]
    await bothAnswer(senders)
    await sleep(22_000)
    await end(senders)
    await noneThrottled()
    expectFair(senders)
  })

  it("three agents that start one after the other use it too, one of them killed in the middle", async () => {
    await local.quotas({ rates: { DescribeKey: 15 } })
    const work = { operation: "DescribeKey", quota: 15 } as const
    const senders = [start(work)]
    await bothAnswer(senders)
    senders.push(start(work))
    await bothAnswer(senders)
    senders.push(start(work))
    const from = (await bothAnswer(senders)) + 1000
    await sleep(4000)
    const [first, ...others] = senders
    if (first === undefined) throw new Error("none was started")
    const ended = once(first.child, "close")
    first.child.kill("SIGKILL")
    await ended
    const killed = performance.now()
    await sleep(4000)
    await end(others)
    await noneThrottled()
    expect(shareOf(senders, 15, from)).to.be.at.least(MOST)
    expect(shareOf(others, 15, killed)).to.be.at.least(MOST)
  })

  it("gives the next slot to who is first in line by then, and goes on after the database was away", async () => {
    await using database = openDatabase({ url }, "keyferry test")
    const pacer = createPacer({ shared: sharedQuotas(database) })
    const served: string[] = []
    const take = (name: string, rank: number): Promise<void> =>
      inTurn(rank, async () => {
        await pacer.turn("111122223333", "us-east-1", "CreateKey")
        served.push(name)
      })
    await Promise.all([take("late", 2), take("soon", 1), take("late again", 2), take("first", 0)])
    expect(served).to.deep.equal(["first", "soon", "late", "late again"])

    await postgres.stop("immediate")
    const codes = await Promise.all([0, 1, 2].map(async () => await codeOf(take("never", 0))))
    expect(codes).to.deep.equal(Array.from({ length: 3 }, () => "ERR_DATABASE_UNREACHABLE"))
    await postgres.start()
    await take("again", 0)
    expect(served.slice(4)).to.deep.equal(["again"])
  })

  it("gives a slot back that it came to too late, so that nobody waits for its answer", async () => {
    await using database = openDatabase({ url }, "keyferry test")
    const shared = sharedQuotas(database)
    let asked = 0
    let isGranted = false
    let lateMs = 0
    const takeArrival: SharedQuotas["takeArrival"] = async (name, wanted) => {
      asked += 1
      const arrival = await shared.takeArrival(name, wanted)
      isGranted = arrival.granted
      return arrival
    }
    // the process stands still while it waits for the first slot that it does not have at once
    const after: Timer["after"] = (ms, run) => {
      setTimeout(() => {
        if (isGranted) lateMs = 2_000
        run()
      }, ms)
    }
    const timer = { now: () => performance.now() + lateMs, after }
    const pacer = createPacer({ shared: { ...shared, takeArrival }, timer })
    const turn = async (): Promise<void> =>
      (await pacer.turn("111122223333", "us-east-1", "GetParametersForImport"))?.answered()
    await turn()
    await turn()
    expect(lateMs).to.equal(2_000)
    // whoever waits for an answer asks again and again
    expect(asked).to.be.within(4, 12)
  })

  it("asks the database once for many requests where the quota is large", async () => {
    await using database = openDatabase({ url }, "keyferry test")
    let statements = 0
    const counted = {
      query: ((sql, values) => {
        statements += 1
        return database.query(sql, values)
      }) as Queryable["query"],
    }
    const pacer = createPacer({ shared: sharedQuotas(counted) })
    const turn = (): unknown => pacer.turn("111122223333", "us-east-1", "ListAliases", { ListAliases: 2000 })
    await Promise.all(Array.from({ length: 3000 }, turn))
    expect(statements).to.be.within(2, 300)
  })
})

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return "done"
  } catch (error) {
    return error instanceof KeyferryError ? error.code : String(error)
  }
}
