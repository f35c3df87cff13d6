import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import type { Deps } from "#src/app/deps.js"
import { fleetOf, REWRAP, runOver } from "../../support/fleet-world.js"
import { openWorld, overriding, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

const [HERE, THERE] = ["us-east-1", "eu-west-3"]

describe("many keys in several targets", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld([HERE, THERE])
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  /** Deps of each target, where every import into the first waits until the second has had so many. */
  async function fleetWaiting(imports: number) {
    const here = await world.run()
    const runs: Readonly<Record<string, Run>> = { [HERE]: here, [THERE]: await world.run({ region: THERE }) }
    const order: string[] = []
    let reached: (stop: null) => void = () => undefined
    const enough = new Promise((resolve) => (reached = resolve))
    const depsOf = (target: string): Deps => {
      const { deps } = runs[target] ?? expect.fail(target)
      const { kms } = deps
      const importKeyMaterial: typeof kms.importKeyMaterial = async (...args) => {
        if (target === HERE) await enough
        const answer = await kms.importKeyMaterial(...args)
        order.push(target)
        if (order.length === imports) reached(null)
        return answer
      }
      return { ...deps, kms: overriding(kms, { importKeyMaterial }) }
    }
    const bound: Readonly<Record<string, Deps>> = { [HERE]: depsOf(HERE), [THERE]: depsOf(THERE) }
    const fleet = await fleetOf(here, {
      width: 2,
      depsOf: ({ target }) => Promise.resolve(bound[target] ?? expect.fail(target)),
      kmsOf: (target) => Promise.resolve(bound[target]?.kms ?? expect.fail(target)),
    })
    return { fleet, order }
  }
  const made = async (name: string, target: string): Promise<void> => {
    const { deps } = await world.run({ region: target })
    await provision(deps, requestFor(name, { target }))
  }

  it("have lanes of their own in each: one whose quota is used up keeps no other waiting", async () => {
    for (const name of ["m-a", "m-b", "m-c"]) await made(name, HERE)
    for (const name of ["m-x", "m-y"]) await made(name, THERE)
    const { fleet, order } = await fleetWaiting(2)
    const { exit } = await runOver(fleet, { ...REWRAP, force: "all" })
    expect([exit, order]).to.deep.equal(["OK", [THERE, THERE, HERE, HERE, HERE]])
  })

  it("are imported into each for itself, where nothing but imports is to be done", async () => {
    for (const name of ["n-a", "n-b"]) for (const target of [HERE, THERE]) await made(name, target)
    const { fleet, order } = await fleetWaiting(2)
    const { exit } = await runOver(fleet, { ...REWRAP, actions: new Set(["rewrap"]), force: "all" })
    expect([exit, order]).to.deep.equal(["OK", [THERE, THERE, HERE, HERE]])
  })
})
