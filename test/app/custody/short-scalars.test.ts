import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { reseal } from "#src/app/custody/reseal.js"
import { provision } from "#src/app/provision/provision.js"
import type { Policy } from "#src/core/manifest/binding.js"
import { DEFAULT_POLICY } from "#src/core/manifest/manifest.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { expectCode } from "#test/support/expect-code.js"
import { lyingToken } from "#test/support/liar.js"
import { fleetOf, REWRAP, runOver } from "../../support/fleet-world.js"
import { nss } from "../../support/token-fixture.js"
import { openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

/** NSS enforces no custody. */
const POLICY = { ...DEFAULT_POLICY, allowUnenforcedCustody: true }
const RISKY = { ...POLICY, allowShortScalars: true }

/** Of P-521 keys every second one has a scalar that begins with a zero byte. */
describe("EC keys of a token that shortens their scalars", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    const lying = lyingToken(nss())
    Object.assign(process.env, lying.env)
    world = await openWorld(["us-east-1"], lying)
  })
  beforeEach(() => world.reset())
  afterEach(() => {
    delete process.env["LIAR"]
  })
  after(() => world[Symbol.asyncDispose]())

  const tell = async (lie: string): Promise<void> => {
    process.env["LIAR"] = lie
    await world.reopenToken({ forgets: true })
  }
  let names = 0
  const p521 = (custody: "sealed" | "token") =>
    requestFor(`short-${++names}`, { keySpec: "ECC_NIST_P521", keyUsage: "SIGN_VERIFY", custody })

  it("once unsealed: a sealed key is generated anew until it opens to itself, and no import fails", async () => {
    await tell("short scalars once unsealed")
    const run = await world.run()
    const deps = run.with({ policy: POLICY })
    for (let count = 0; count < 12; count++) {
      const result = await provision(deps, p521("sealed"))
      expect(result).to.include({ outcome: "done", custody: "sealed" })
      expect(result.proof).to.deep.equal({ kind: "public-key", result: "proven" })
    }
    for (const operation of ["CreateKey", "GetParametersForImport", "ImportKeyMaterial"]) {
      expect(await world.requests(operation), operation).to.equal(12)
    }
    const log = readFileSync(join(run.stateDir, CUSTODY_LOG), "utf8")
    expect(log.match(/"source\.generated"/g), "what was thrown away was never a source key").to.have.length(12)
  })

  it("once unsealed: what was sealed before is refused with nothing spent, unless policy takes it", async () => {
    await world.reopenToken({ forgets: true })
    const before = await world.run()
    const requests = Array.from({ length: 16 }, () => p521("sealed"))
    for (const request of requests) await provision(before.with({ policy: POLICY }), request)
    await tell("short scalars once unsealed")
    const rewrap = async (policy: Policy) => {
      const run = await world.run()
      await world.kms.clearCounts()
      return await runOver(await fleetOf({ ...run, deps: run.with({ policy }) }), { ...REWRAP, force: "all" })
    }
    const { all } = await rewrap(POLICY)
    const refused = all.filter(({ reason }) => reason === "ERR_SHORT_SCALAR")
    expect(refused.length).to.be.within(1, 15)
    expect(all.filter(({ outcome }) => outcome === "done")).to.have.length(16 - refused.length)
    for (const { message } of refused) expect(message).to.include("when it unseals it")
    expect(await world.requests("GetParametersForImport")).to.equal(16 - refused.length)
    // what KMS answers to such a key is its own affair: it is asked
    const risky = await rewrap(RISKY)
    expect(risky.all.some(({ reason }) => reason === "ERR_SHORT_SCALAR")).to.equal(false)
    expect(await world.requests("ImportKeyMaterial")).to.be.at.least(16)
  })

  it("once unsealed: a token object that would come back changed stays where it is, as the hint says", async () => {
    await tell("short scalars once unsealed")
    const run = await world.run()
    for (let count = 0; count < 16; count++) await provision(run.with({ policy: POLICY }), p521("token"))
    const deps = { ...run.with({ policy: POLICY }), token: run.deps.token.hsm }
    const request = { owner: "keyferry", names: null, to: "sealed", newerThan: null } as const
    const { keys } = await reseal(deps, request)
    const refused = keys.filter(({ outcome }) => outcome === "failed")
    expect(refused.length).to.be.within(1, 15)
    for (const { reason, hint } of refused) {
      expect(reason).to.equal("ERR_SHORT_SCALAR")
      expect(hint).to.match(/^leave it in custody token/)
    }
    expect(keys.filter(({ outcome }) => outcome === "done")).to.have.length(16 - refused.length)
    // every one of them is imported again, from where it is
    const { all } = await runOver(await fleetOf({ ...run, deps: run.with({ policy: POLICY }) }), {
      ...REWRAP,
      force: "all",
    })
    expect(all.map(({ outcome }) => outcome)).to.deep.equal(Array(16).fill("done"))
  })

  it("at every wrap: refused with the reason and nothing made, unless policy takes it", async () => {
    await tell("short scalars")
    const run = await world.run()
    for (const custody of ["token", "sealed"] as const) {
      const { causes } = await expectCode("ERR_NO_USABLE_ALGORITHM", () =>
        provision(run.with({ policy: POLICY }), p521(custody)),
      )
      expect(causes.map(({ message }) => message).join()).to.include("drops leading zero bytes")
    }
    expect(await world.requests("CreateKey")).to.equal(0)
    const request = { ...p521("sealed"), keySpec: "ECC_NIST_P384" } as const
    expect(await provision(run.with({ policy: RISKY }), request)).to.include({ outcome: "done" })
    expect(run.steps.join("\n")).to.include("policy.allowShortScalars is true")
  })
})
