import { join } from "node:path"
import { expect } from "chai"
import type { KeyRow } from "#src/core/plan/row.js"
import type { CliResult } from "#test/support/cli.js"
import { filesUnder } from "#test/support/stage.js"
import { type OpencryptokiStage, setOpencryptokiStage } from "./stage.js"

/** None of them short, or all, once in 32,768 times. */
const KEYS = 16

/** Keys that were made as token objects, which wrap exactly: half of them would be a byte short once unsealed. */
describe("P-521 keys of custody token on openCryptoki 3.27", () => {
  let stage: OpencryptokiStage
  let short: readonly string[]

  before(async () => {
    const settings = "{ keySpec: ECC_NIST_P521, keyUsage: SIGN_VERIFY, custody: token }"
    stage = await setOpencryptokiStage(Array.from({ length: KEYS }, (_, index) => `key-${index}: ${settings}`))
  })
  after(() => stage[Symbol.asyncDispose]())

  const rows = (result: CliResult): readonly KeyRow[] => {
    expect(result.stdout, result.stderr).to.not.equal("")
    return (result.json() as { keys: readonly KeyRow[] }).keys
  }

  it("are all imported as they are, short or not", async () => {
    const result = await stage.run("apply")
    expect(result.status, result.stderr + result.stdout).to.equal(0)
    expect(rows(result).map(({ outcome }) => outcome)).to.deep.equal(Array(KEYS).fill("done"))
  })

  it("are sealed by reseal where they come back whole, and else left in the token", async () => {
    const result = await stage.run("key", "reseal", "--all", "--to", "sealed")
    const refused = rows(result).filter(({ outcome }) => outcome === "failed")
    short = refused.map(({ name }) => name)
    expect(short.length).to.be.greaterThan(0).and.lessThan(KEYS)
    expect(new Set(refused.map(({ reason }) => reason))).to.deep.equal(new Set(["ERR_SHORT_SCALAR"]))
    for (const { hint } of refused) expect(hint).to.match(/^leave it in custody token/)
    expect(filesUnder(join(stage.state, "vault"))).to.have.length(KEYS - short.length)
  })

  it("are all imported again when they come due, from the vault or from the token", async () => {
    await stage.kms.clock.advance(85 * 86_400)
    const result = await stage.run("rewrap")
    expect(result.status, result.stderr + result.stdout).to.equal(0)
    expect(rows(result).map(({ outcome }) => outcome)).to.deep.equal(Array(KEYS).fill("done"))
    expect((await stage.kms.counts()).errors["ImportKeyMaterial"]).to.equal(undefined)
  })
})
