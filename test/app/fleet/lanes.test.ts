import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { KeyferryError } from "#src/core/base/error.js"
import { lockState } from "#src/store/files/lock.js"
import { fleetOf, REWRAP, runOver } from "../../support/fleet-world.js"
import { openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

const NAMES = ["l-a", "l-b", "l-c", "l-d"]

describe("a run of many keys that another process waits for", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world[Symbol.asyncDispose]())

  async function fleetWithLock() {
    await world.reset()
    const run = await world.run()
    for (const name of NAMES) await provision(run.deps, requestFor(name))
    await world.kms.clearCounts()
    const lock = await lockState(run.stateDir, { command: "rewrap", scheduled: false, timeout: 0 })
    return { run, lock, imports: () => world.requests("ImportKeyMaterial") }
  }

  it("lets the lock go between two keys, with nothing under way, and reads the state anew", async () => {
    const { run, lock, imports } = await fleetWithLock()
    let second: Promise<number> | undefined
    const other = async (): Promise<number> => {
      const request = { command: "key destroy", scheduled: false, timeout: 60_000 }
      const taken = await lockState(run.stateDir, request)
      const before = await imports()
      await run.deps.inventory.remove("l-d", "us-east-1")
      await run.deps.sleep(0)
      expect(await imports(), "nothing is imported while another has the state").to.equal(before)
      await taken[Symbol.asyncDispose]()
      return before
    }
    let keys = 0
    const fleet = await fleetOf(run, {
      width: 2,
      lock: {
        // once two keys are begun another process comes, and the third waits until it does
        async isAwaited() {
          keys += 1
          if (keys < 3) return false
          second ??= other()
          while (!(await lock.isAwaited())) await new Promise((resolve) => setTimeout(resolve, 10))
          return true
        },
        passOn: () => lock.passOn(),
      },
    })
    const { rows } = await runOver(fleet, { ...REWRAP, force: "all" })
    await lock[Symbol.asyncDispose]()
    expect(await second).to.be.lessThan(NAMES.length)
    for (const name of ["l-a", "l-b", "l-c"]) expect(rows[name]).to.include({ outcome: "done" })
    expect(rows["l-d"]?.outcome, "the other process took it out of the inventory").not.to.equal("done")
    expect(await imports()).to.equal(3)
  })

  it("begins nothing more where it does not get the lock again", async () => {
    const { run, lock, imports } = await fleetWithLock()
    const lost = new KeyferryError("ERR_STATE_LOCKED", "another has it")
    let keys = 0
    const fleet = await fleetOf(run, {
      width: 1,
      lock: { isAwaited: () => Promise.resolve((keys += 1) === 3), passOn: () => Promise.reject(lost) },
    })
    const { all, exit } = await runOver(fleet, { ...REWRAP, force: "all" })
    await lock[Symbol.asyncDispose]()
    expect(all.map(({ outcome }) => outcome)).to.deep.equal(["done", "done", "failed", "failed"])
    expect(all[2]?.message).to.include("another has it")
    expect(exit).to.equal("TEMPFAIL")
    expect(await imports()).to.equal(2)
  })
})
