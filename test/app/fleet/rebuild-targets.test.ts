import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { rebuildTargets, type RebuildPlaces } from "#src/app/fleet/rebuild-targets.js"
import { KeyferryError } from "#src/core/base/error.js"
import { stateFiles } from "#test/support/state-files.js"
import { HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

const REGIONS = ["us-east-1", "eu-west-3"] as const

describe("rebuild over several targets and tokens", () => {
  worldEnvironment()
  let world: World
  let folder: string
  before(async () => {
    world = await openWorld(REGIONS)
    folder = mkdtempSync(join(tmpdir(), "keyferry-rebuild-"))
  })
  beforeEach(() => world.reset())
  after(async () => {
    await world[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  const refused = new KeyferryError("ERR_TOKEN_PIN_LOCKED", "the PIN is locked")
  const unreachable = new KeyferryError("ERR_KMS_UNREACHABLE", "no route")

  /** A lost state with two targets, the second of which can be one that is not reached. */
  const places = async (more: { readonly down?: boolean; readonly alias?: boolean } = {}) => {
    const runs = await Promise.all(REGIONS.map((region) => world.run({ region })))
    const [first] = runs
    if (first === undefined) return expect.fail()
    const state = { ...first.deps, ...stateFiles(mkdtempSync(join(folder, "state-")), first.deps.clock) }
    const targets = REGIONS.map((target, index) => ({
      target,
      isElsewhere: () => false,
      open: () =>
        more.down === true && index === 1
          ? Promise.reject(unreachable)
          : Promise.resolve((more.alias === true ? first : (runs[index] ?? first)).deps),
    }))
    const tokens = [
      { name: "lost", open: () => Promise.reject(refused) },
      { name: "main", open: () => Promise.resolve(first.deps.token) },
    ]
    return { state, targets, tokens } satisfies RebuildPlaces
  }
  const make = async (name: string, target: string): Promise<string> => {
    const { deps } = await world.run({ region: target })
    return (await provision(deps, requestFor(name, { ...HMAC, target }))).keyArn
  }

  it("brings back the keys of each, and names the token that could not be opened", async () => {
    const here = await make("r-here", "us-east-1")
    const both = [await make("r-both", "us-east-1"), await make("r-both", "eu-west-3")]
    const lost = await places()
    const { keys, unseen, unclaimed, exit } = await rebuildTargets(lost, { owner: "keyferry", overwrite: false })
    expect(keys.map(({ name, target, keyArn, outcome }) => [name, target, keyArn, outcome])).to.deep.equal([
      ["r-both", "us-east-1", both[0], "done"],
      ["r-here", "us-east-1", here, "done"],
      ["r-both", "eu-west-3", both[1], "done"],
    ])
    expect(unclaimed.filter(({ label }) => label.includes("/r-"))).to.deep.equal([])
    expect(unseen).to.deep.equal(["token lost: the PIN is locked [ERR_TOKEN_PIN_LOCKED]"])
    expect(exit).to.equal("NOPERM")
    const entries = await lost.state.inventory.list("r-both")
    expect(entries.map(({ target, source, token }) => [target, source.id, token?.label])).to.deep.equal([
      ["eu-west-3", entries[0]?.source.id, world.testToken.label],
      ["us-east-1", entries[0]?.source.id, world.testToken.label],
    ])
  })

  it("goes on with one target where another is not reached", async () => {
    await make("r-one", "us-east-1")
    const lost = await places({ down: true })
    const { keys, unseen } = await rebuildTargets(lost, { owner: "keyferry", overwrite: false })
    expect(keys.map(({ name, outcome }) => [name, outcome])).to.deep.equal([["r-one", "done"]])
    expect(unseen).to.include("target eu-west-3: no route [ERR_KMS_UNREACHABLE]")
  })

  it("gives a KMS key that two targets show to one of them alone", async () => {
    const keyArn = await make("r-twice", "us-east-1")
    const lost = await places({ alias: true })
    const { keys } = await rebuildTargets(lost, { owner: "keyferry", overwrite: false })
    expect(keys.map((row) => [row.target, row.keyArn])).to.deep.equal([["us-east-1", keyArn]])
  })

  it("withholds what KMS has lost: it may have been deleted on purpose", async () => {
    const keyArn = await make("r-deleted", "us-east-1")
    await world.sdk.deleteImportedKeyMaterial({ KeyId: keyArn })
    const lost = await places()
    const { keys } = await rebuildTargets(lost, { owner: "keyferry", overwrite: false })
    expect(keys[0]?.lost.join()).to.include("deleted on purpose")
    const entry = await lost.state.inventory.get("r-deleted", "us-east-1")
    expect(entry?.withheldAt).to.be.a("string")
  })
})
