import { expect } from "chai"
import { reseal } from "#src/app/custody/reseal.js"
import { carryOutEnding } from "#src/app/ending/carry-out.js"
import { planEnding } from "#src/app/ending/plan.js"
import { planRetirement, retireKeys } from "#src/app/ending/retire.js"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { Ending } from "#src/core/records/ending.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { fleetOf, passDays, REWRAP, runOver } from "../support/fleet-world.js"
import { openWorld, requestFor, type Run, type World, worldEnvironment } from "../support/world.js"

const WRAPPED = "source.wrapped: kmsKey account wrappingAlgorithm mechanisms wrappingKeyFingerprint digest"
const SENT = "region wrappingAlgorithm wrappingKeySpec wrappingKeyFingerprint validTo digest"
const PROVEN = "import.proven: region kind result keyMaterialId validTo"
const GENERATED =
  "source.generated: keySpec custody kcv publicKeyFingerprint local alwaysSensitive neverExtractable keyGenMechanism"
const SEALED = "keySpec custodyKey mechanism ciphertextDigest"
const CREATED = ["kms-key.intended: requestId keySpec keyUsage region", "kms-key.created: requestId"]

/** One import: `pin` are the facts of what it is imported as. */
const imported = (pin = ""): readonly string[] => [
  WRAPPED,
  `import.intended: ${SENT}${pin}`,
  `import.done: ${SENT}${pin} keyMaterialId requestId`,
  PROVEN,
]
const ended = (event: string, facts = ""): readonly string[] => [
  `kms-key.ending: operation region${facts}`,
  `${event}: operation region${facts} keyState`,
]

/** What the flags say where nothing is said. */
const IDLE = { idleFor: 30 * 86_400, althoughUsed: false }

describe("the custody log of a command: every event, with the names of its facts", () => {
  worldEnvironment()
  let world: World
  let run: Run
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    run = await world.run()
  })
  after(() => world[Symbol.asyncDispose]())

  const entryOf = async (name: string): Promise<InventoryEntry> =>
    (await run.deps.inventory.get(name, "us-east-1")) ?? expect.fail(`no entry of ${name}`)
  /** What is written while something is done. */
  const written = async (act: () => Promise<unknown>): Promise<readonly string[]> => {
    const before = custodyEvents(run.stateDir).length
    await act()
    return custodyEvents(run.stateDir)
      .slice(before)
      .map(({ event, facts }) => [`${event}:`, ...Object.keys(facts ?? {})].join(" "))
  }
  const end = async (name: string, ending: Ending): Promise<unknown> => {
    const plan = await planEnding(run.deps, await entryOf(name), {
      ending,
      generation: null,
      pendingWindowDays: 7,
      idle: null,
    })
    return await carryOutEnding(run.deps, plan, { loseLastCopy: true })
  }

  it("provision", async () => {
    expect(await written(() => provision(run.deps, requestFor("l-made", { alias: "alias/l-made" })))).to.deep.equal([
      ...CREATED,
      GENERATED,
      ...imported(),
      "alias.moved: alias found",
    ])
    expect(await written(() => provision(run.deps, requestFor("l-made", { alias: "alias/l-made" })))).to.deep.equal([])
  })

  it("provision of a sealed key with --prove full", async () => {
    const request = requestFor("l-sealed", { custody: "sealed", prove: "full" })
    expect(await written(() => provision(run.deps, request))).to.deep.equal([
      ...CREATED,
      "custody-key.generated: id label kcv allowedMechanisms",
      GENERATED,
      `source.sealed: ${SEALED} origin`,
      ...imported(),
      ...imported(" importType pinnedTo"),
    ])
  })

  it("rewrap", async () => {
    await provision(run.deps, requestFor("l-again"))
    await passDays(world, 62)
    run = await world.run()
    expect(await written(async () => runOver(await fleetOf(run), REWRAP))).to.deep.equal(
      imported(" importType pinnedTo"),
    )
  })

  it("rotate", async () => {
    await provision(run.deps, requestFor("l-turned"))
    const entry = await entryOf("l-turned")
    expect(await written(() => rotateKey(run.deps, entry, AS_BEFORE))).to.deep.equal([
      GENERATED,
      ...imported(" importType"),
      "rotation.requested: keyMaterialId",
      "rotation.done: keyMaterialId",
    ])
  })

  it("replace and retire", async () => {
    await provision(run.deps, requestFor("l-old", { alias: "alias/l-old" }))
    const entry = await entryOf("l-old")
    expect(await written(() => replaceKey(run.deps, entry, { ...AS_BEFORE, description: null }))).to.deep.equal([
      ...CREATED,
      GENERATED,
      ...imported(),
      "alias.moved: alias from",
      "key.replaced: replaced",
    ])
    const terms = { disableOnly: false, pendingWindowDays: 7, idle: IDLE }
    const retirements = await planRetirement(run.deps, await entryOf("l-old"), terms)
    expect(await written(() => retireKeys(run.deps, retirements, terms))).to.deep.equal([
      ...ended("kms-key.disabled"),
      "kms-key.ending: operation region days",
      "kms-key.deletion-scheduled: operation region days keyState deletionDate",
      "key.retired:",
    ])
  })

  it("disable, enable, delete-material, schedule-deletion", async () => {
    await provision(run.deps, requestFor("l-ended"))
    expect(await written(() => end("l-ended", "disable"))).to.deep.equal(ended("kms-key.disabled"))
    expect(await written(() => end("l-ended", "enable"))).to.deep.equal(ended("kms-key.enabled"))
    expect(await written(() => end("l-ended", "delete-material"))).to.deep.equal(
      ended("material.deleted", " keyMaterialIds"),
    )
    expect(await written(() => end("l-ended", "schedule-deletion"))).to.deep.equal([
      "kms-key.ending: operation region days",
      "kms-key.deletion-scheduled: operation region days keyState deletionDate",
    ])
  })

  it("key reseal, of a token object and under a new custody key", async () => {
    await provision(run.deps, requestFor("l-moved"))
    const vault = { ...run.deps, token: run.inToken }
    const request = { owner: "keyferry", names: ["l-moved"], to: "sealed", newerThan: null } as const
    const moved = await written(() => reseal(vault, request))
    // the suite's other test may have made the custody key
    expect(moved.filter((line) => !line.startsWith("custody-key.generated"))).to.deep.equal([
      `source.sealed: ${SEALED} origin`,
      "source.destroyed: step custody object reason",
      "source.destroyed: step custody object reason",
    ])
    expect(await written(() => reseal(vault, { ...request, to: null, newerThan: Infinity }))).to.deep.equal([
      "custody-key.generated: id label kcv allowedMechanisms",
      `source.resealed: ${SEALED} from`,
    ])
  })

  it("logs what happened, with the fields that are sent, and no more", async () => {
    await provision(run.deps, requestFor("l-logged"))
    const { keyArn } = await entryOf("l-logged")
    const info = run.logged.filter(({ event }) => event.startsWith("key."))
    expect(info.map(({ event }) => event)).to.deep.equal(["key.created", "key.imported", "key.proven"])
    for (const line of info) expect(line).to.include({ name: "l-logged", target: "us-east-1", keyArn })
    expect(info[1]).to.include({ generation: 0, expirationModel: "KEY_MATERIAL_EXPIRES" })
    expect(info[2]).to.include({ kind: "none", result: "accepted" })
  })
})
