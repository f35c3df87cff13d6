import { expect } from "chai"
import { secondsAtQuota } from "#src/app/fleet/survey.js"
import { estimate, DEFAULT_QUOTAS, PACE } from "#src/core/plan/schedule.js"
import { openClients } from "#src/kms/client.js"
import { inTurn, type Timer, type Turn } from "#src/kms/line.js"
import { createPacer, type Pacer } from "#src/kms/pacing.js"
import { AWS_QUOTAS } from "#src/local-kms/server/quotas.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { awsEnvironment, openAt, SYMMETRIC } from "../support/aws-environment.js"

/** Time that a test moves, timers included. */
class TestTimer implements Timer {
  #now = 0
  #timers: { at: number; run: () => void }[] = []

  now = (): number => this.#now

  after(milliseconds: number, run: () => void): void {
    this.#timers.push({ at: this.#now + milliseconds, run })
  }

  get waiting(): number {
    return this.#timers.length
  }

  /** Lets time pass, and what hangs on the promises of each moment run. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#now = due.at
      due.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#now = end
  }
}

describe("createPacer", () => {
  let timer: TestTimer
  let pacer: Pacer
  beforeEach(() => {
    timer = new TestTimer()
    pacer = createPacer({ timer })
  })

  /** Asks for many turns at once and notes when each came. */
  const ask = (
    count: number,
    operation: string,
    options: { key?: string; quota?: number; requestMs?: number } = {},
  ) => {
    const times: number[] = []
    const { key = "1", quota, requestMs } = options
    const take = (turn: Turn): void => {
      times.push(timer.now())
      if (requestMs !== undefined) timer.after(requestMs, () => turn.answered())
    }
    for (let index = 0; index < count; index += 1) {
      const turn = pacer.turn(key, "r", operation, quota === undefined ? {} : { [operation]: quota })
      if (turn instanceof Promise) void turn.then(take)
      else if (turn !== undefined) take(turn)
    }
    return times
  }

  it("serves who waits by rank, then in the order of asking", async () => {
    const served: string[] = []
    const take = (name: string, rank: number): void => {
      void inTurn(rank, async () => {
        await pacer.turn("1", "r", "GetParametersForImport")
        served.push(name)
      })
    }
    take("the first", 9)
    take("late", 2)
    take("soon", 1)
    take("late again", 2)
    await timer.pass(1100)
    expect(served).to.deep.equal(["the first", "soon"])
    take("sooner", 0)
    await timer.pass(9000)
    expect(served).to.deep.equal(["the first", "soon", "sooner", "late", "late again"])
  })

  it("gives a burst of half a second at once, then 0.97 of the quota, with no timer left", async () => {
    const times = ask(15 * 60, "ImportKeyMaterial")
    expect(times).to.have.length(7)
    await timer.pass(30_000)
    expect(times.length).to.be.within(7 + 30 * 15 * PACE - 1, 7 + 30 * 15 * PACE + 1)
    // no second of it is over the quota and the local KMS' burst of one second
    for (const [index, at] of times.entries()) {
      const inFollowing = times.slice(index).filter((time) => time < at + 1000).length
      expect(inFollowing).to.be.at.most(15 * PACE + 8)
    }
    await timer.pass(60_000)
    expect(times).to.have.length(900)
    expect(timer.waiting).to.equal(0)
  })

  it("spaces a quota of one a second by when requests arrive", async () => {
    const times = ask(10, "GetParametersForImport", { requestMs: 50 })
    await timer.pass(20_000)
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
    expect(Math.min(...gaps)).to.be.at.least(1000)
    expect(gaps[0]).to.be.at.least(1050)
    expect(Math.max(...gaps.slice(1))).to.be.at.most(1040)
  })

  it("serves in the order of asking, each operation, account and Region for itself", async () => {
    const order: string[] = []
    for (const name of ["a", "b", "c"]) {
      void Promise.resolve(pacer.turn("1", "r", "GetParametersForImport")).then(() => order.push(name))
    }
    await timer.pass(0)
    expect(order).to.deep.equal(["a"])
    expect(pacer.turn("2", "r", "GetParametersForImport")).not.to.be.instanceOf(Promise)
    expect(pacer.turn("1", "s", "GetParametersForImport")).not.to.be.instanceOf(Promise)
    expect(pacer.turn("1", "r", "Sign")).to.equal(undefined)
    await timer.pass(5000)
    expect(order).to.deep.equal(["a", "b", "c"])
  })

  it("keeps to the smaller of two quotas for one account", async () => {
    ask(1, "CreateKey", { quota: 100 })
    const times = ask(1000, "CreateKey", { quota: 10 })
    await timer.pass(10_000)
    expect(times.length).to.be.at.most(10 * 10 * PACE + 6)
  })

  it("halves its pace when KMS throttles, once for what was under way together, and comes back by steps", async () => {
    const turn = await Promise.resolve(pacer.turn("1", "r", "ImportKeyMaterial"))
    turn?.throttled()
    turn?.throttled()
    const times = ask(10_000, "ImportKeyMaterial")
    const sentIn = async (seconds: number): Promise<number> => {
      const before = times.length
      await timer.pass(seconds * 1000)
      return (times.length - before) / seconds
    }
    expect(await sentIn(5)).to.be.closeTo(0.5 * PACE * 15, 0.5)
    expect(await sentIn(5)).to.be.closeTo(0.625 * PACE * 15, 0.5)
    await sentIn(10)
    expect(await sentIn(5)).to.be.closeTo(PACE * 15, 0.5)
  })
})

describe("estimate", () => {
  it("takes the time of the operation that takes longest", () => {
    expect(estimate({})).to.equal(0)
    expect(estimate({ DescribeKey: 900, Sign: 5 })).to.equal(0)
    expect(estimate({ GetParametersForImport: 98, ImportKeyMaterial: 98 })).to.equal(100)
    expect(
      estimate({ GetParametersForImport: 98, ImportKeyMaterial: 98 }, { GetParametersForImport: 15 }),
    ).to.be.closeTo(91 / (PACE * 15), 1e-9)
  })

  it("goes by the quotas of each target, which are worked on at the same time", () => {
    const planned = (target: string) => ({ row: { outcome: "planned", target, costs: { GetParametersForImport: 98 } } })
    const rows = ["a", "a", "b"].map(planned) as unknown as Parameters<typeof secondsAtQuota>[1]
    const quotasOf = (target: string) => (target === "a" ? { GetParametersForImport: 100 } : undefined)
    expect(secondsAtQuota({ quotasOf }, rows)).to.equal(100)
    expect(secondsAtQuota({ quotasOf }, rows.slice(0, 2))).to.equal(2)
  })

  it("knows every quota that the local KMS enforces", () => {
    expect(DEFAULT_QUOTAS).to.deep.include(AWS_QUOTAS)
  })
})

describe("pacing over the wire", () => {
  awsEnvironment()

  it("counts all of AWS' endpoints of an account together, whichever profile asks", async () => {
    const keys: string[] = []
    const pacer: Pacer = {
      turn(quotaKey) {
        keys.push(quotaKey)
        return Promise.reject(new Error("nothing is sent"))
      },
    }
    const vpc = "https://vpce-1-2.kms.us-east-1.vpce.amazonaws.com"
    const roleArn = "arn:aws:iam::111122223333:role/keyferry"
    for (const options of [
      { account: "111122223333", endpointUrl: vpc },
      { account: "111122223333" },
      { roleArn },
      { account: "444455556666", roleArn },
      { account: "111122223333", endpointUrl: "https://kms.example.com" },
      {},
    ]) {
      const clients = await openClients({ region: "us-east-1", env: {}, pacer, ...options })
      await clients.send("DescribeKey", {}).catch(() => undefined)
      clients.close()
    }
    expect(keys).to.deep.equal([
      "111122223333",
      "111122223333",
      "111122223333",
      "444455556666",
      "111122223333 https://kms.example.com",
      "default",
    ])
  })

  it("uses the quota and is never throttled by the local KMS", async () => {
    await using local = await startLocalKms()
    const { kms } = await openAt(local, { quotas: { DescribeKey: 40, GetParametersForImport: 15 } })
    const { key } = await kms.createKey(SYMMETRIC)
    await kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")
    await local.quotas({ rates: { DescribeKey: 40, GetParametersForImport: 15 } })
    const work: Promise<unknown>[] = []
    for (let index = 0; index < 400; index += 1) work.push(kms.describeKey(key.keyArn).catch(() => undefined))
    for (let index = 0; index < 150; index += 1) {
      const asked = kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")
      work.push(asked.catch(() => undefined))
    }
    // what the burst gave does not count
    await new Promise((resolve) => setTimeout(resolve, 500))
    const before = (await local.counts()).succeeded
    const start = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 3000))
    const { succeeded, errors } = await local.counts()
    const seconds = (performance.now() - start) / 1000
    kms[Symbol.dispose]()
    expect(errors).to.deep.equal({})
    for (const [operation, quota] of [
      ["DescribeKey", 40],
      ["GetParametersForImport", 15],
    ] as const) {
      const used = ((succeeded[operation] ?? 0) - (before[operation] ?? 0)) / seconds / quota
      expect(used, operation).to.be.at.least(0.93)
    }
  })
})
