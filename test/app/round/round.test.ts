import { expect } from "chai"
import { planRound } from "#src/app/round/plan-round.js"
import { runRound } from "#src/app/round/round.js"
import { KeyferryError } from "#src/core/base/error.js"
import type { Binding } from "#src/core/manifest/binding.js"
import { DEFAULT_SETTINGS } from "#src/core/manifest/key-settings.js"
import type { AgentRecords } from "#src/core/ports/agent-records.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedAgentRecords } from "#src/store/records/agent-records.js"
import type { Allowed } from "#src/core/manifest/agent-settings.js"
import { DAY_MS, fleetOf, passDays } from "../../support/fleet-world.js"
import { temporaryFolder } from "../../support/temp-dir.js"
import { HMAC, openWorld, overriding, type World, worldEnvironment } from "../../support/world.js"

const HOUR_MS = DAY_MS / 24

describe("a round of the agent", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())
  const folder = temporaryFolder()
  const memory = (): AgentRecords =>
    storedAgentRecords(fileTexts(folder()), (text) => {
      throw new Error(text)
    })

  const binding = (name: string, more: Partial<Binding> = {}): Binding => ({
    ...DEFAULT_SETTINGS,
    ...HMAC,
    owner: "keyferry",
    name,
    target: "us-east-1",
    token: null,
    custody: "token",
    wrappingKeySpec: "RSA_2048",
    managed: true,
    ...more,
  })

  interface RoundOptions {
    readonly bindings: readonly Binding[]
    readonly records?: AgentRecords
    readonly allow?: readonly Allowed[]
    /** Code with which the import of the key `bad` fails; null for none. */
    readonly failsWith?: "ERR_KMS_OTHER" | "ERR_KMS_UNREACHABLE" | null
  }

  /** `name outcome` of each row, and what is remembered. */
  const round = async ({
    bindings,
    records = memory(),
    allow = ["rewrap", "provision"],
    failsWith = null,
  }: RoundOptions) => {
    const run = await world.run()
    const arnOf = async (name: string) => (await run.deps.inventory.get(name, "us-east-1"))?.keyArn
    const bad = await arnOf("bad")
    const kms = overriding(run.deps.kms, {
      getParametersForImport: async (...args) => {
        if (failsWith !== null && args[0] === bad) throw new KeyferryError(failsWith, "no parameters today")
        return await run.deps.kms.getParametersForImport(...args)
      },
    })
    const fleet = await fleetOf({ ...run, deps: { ...run.deps, kms } }, { bindings })
    const result = await runRound({ openFleet: () => Promise.resolve(fleet), records, allow, isStopping: () => false })
    return { ...result, names: result.rows.map(({ name, outcome }) => `${name} ${outcome}`), now: run.deps.clock.now() }
  }

  it("does what is allowed and nothing else", async () => {
    const bindings = [binding("a")]
    expect((await round({ bindings, allow: ["rewrap"] })).names).to.deep.equal(["a nothing"])
    expect((await round({ bindings, allow: ["provision"] })).names).to.deep.equal(["a done"])
    await passDays(world, 80)
    expect((await round({ bindings, allow: ["rotate", "provision"] })).names).to.deep.equal(["a nothing"])
    expect((await round({ bindings, allow: ["rewrap"] })).names).to.deep.equal(["a done"])
  })

  it("leaves a key that failed alone for its time, longer each time, and helps the others meanwhile", async () => {
    const bindings = [binding("bad"), binding("good")]
    const records = memory()
    await round({ bindings, records })
    await passDays(world, 70)
    const failed = await round({ bindings, records, failsWith: "ERR_KMS_OTHER" })
    expect(failed.names).to.deep.equal(["bad failed", "good done"])
    const [backoff] = await records.backoffs()
    expect(backoff).to.include({ name: "bad", target: "us-east-1", failures: 1, reason: "ERR_KMS_OTHER" })
    expect(Date.parse(backoff?.retryAt ?? "") - failed.now.getTime()).to.be.within(HOUR_MS - 10_000, HOUR_MS + 10_000)
    expect((await round({ bindings, records, failsWith: "ERR_KMS_OTHER" })).names).to.deep.equal(["good nothing"])
    await passDays(world, 1 / 20)
    const again = await round({ bindings, records, failsWith: "ERR_KMS_OTHER" })
    expect([again.names[0], (await records.backoffs())[0]?.failures]).to.deep.equal(["bad failed", 2])
    await passDays(world, 1 / 10)
    expect((await round({ bindings, records })).names).to.deep.equal(["bad done", "good nothing"])
    expect(await records.backoffs(), "what went well waits no longer").to.deep.equal([])
  })

  it("plans what KMS has lost first, the most important before the others", async () => {
    const lost = [binding("third"), binding("second", { priority: 2 }), binding("first", { priority: 1 })]
    await round({ bindings: lost })
    await passDays(world, 100)
    const bindings = [binding("new"), ...lost]
    const planned = async (allow: readonly Allowed[]) => {
      const fleet = await fleetOf(await world.run(), { bindings })
      const dead = { deadLetters: () => Promise.resolve([]) }
      return (await planRound(fleet, { records: memory(), dead, allow })).due.get(null)?.map(({ name }) => name)
    }
    expect(await planned(["provision", "recover"])).to.deep.equal(["first", "second", "third", "new"])
    expect(await planned(["provision"])).to.deep.equal(["new"])
  })

  it("leaves it alone by KMS' clock, and not by a host's that is days behind or ahead", async () => {
    const bindings = [binding("bad")]
    const records = memory()
    await round({ bindings, records })
    await passDays(world, 70)
    await world.kms.clock.advance(3 * (DAY_MS / 1000))
    await round({ bindings, records, failsWith: "ERR_KMS_OTHER" })
    expect((await round({ bindings, records })).names, "by the host's clock it waits for days").to.deep.equal([])
    await world.kms.clock.advance(2 * (HOUR_MS / 1000))
    expect((await round({ bindings, records })).names).to.deep.equal(["bad done"])
  })

  it("blames KMS and not the key where KMS does not answer: it waits for nothing of its own", async () => {
    const bindings = [binding("bad")]
    const records = memory()
    await round({ bindings, records })
    await passDays(world, 70)
    const { names, degraded } = await round({ bindings, records, failsWith: "ERR_KMS_UNREACHABLE" })
    expect([names, degraded.length, await records.backoffs()]).to.deep.equal([["bad failed"], 1, []])
    expect((await round({ bindings, records })).names).to.deep.equal(["bad done"])
  })

  it("forgets a key that is not there any more", async () => {
    const records = memory()
    await round({ bindings: [binding("bad")], records })
    await passDays(world, 70)
    await round({ bindings: [binding("bad")], records, failsWith: "ERR_KMS_OTHER" })
    expect(await records.backoffs()).to.have.lengthOf(1)
    const { deps } = await world.run()
    await deps.inventory.remove("bad", "us-east-1")
    await round({ bindings: [binding("other")], records })
    expect(await records.backoffs()).to.deep.equal([])
  })

  it("brings back what was deleted only where that was allowed beforehand", async () => {
    const bindings = [binding("a")]
    await round({ bindings })
    const { deps } = await world.run()
    const keyArn = (await deps.inventory.get("a", "us-east-1"))?.keyArn ?? ""
    await deps.kms.deleteImportedKeyMaterial(keyArn, null)
    expect((await round({ bindings, allow: ["rewrap", "provision", "rotate", "correct"] })).names).to.deep.equal([
      "a blocked",
    ])
    expect((await round({ bindings, allow: ["rewrap", "recover"] })).names).to.include("a done")
    expect((await deps.kms.describeKey(keyArn)).keyState).to.equal("Enabled")
  })
})
