import { join } from "node:path"
import { expect } from "chai"
import { filesUnder } from "#test/support/stage.js"
import { type OpencryptokiStage, setOpencryptokiStage } from "./stage.js"

const KEYS = 200

/** Every second P-521 key of this token is a byte short once it was unsealed, and the local KMS takes no such key. */
describe("200 sealed P-521 keys on openCryptoki 3.27", function () {
  this.timeout(400_000)
  let stage: OpencryptokiStage

  before(async () => {
    const names = Array.from({ length: KEYS }, (_, index) => `key-${String(index).padStart(3, "0")}`)
    stage = await setOpencryptokiStage(
      names.map((name) => `${name}: { keySpec: ECC_NIST_P521, keyUsage: SIGN_VERIFY }`),
    )
  })
  after(() => stage[Symbol.asyncDispose]())

  const refused = async (): Promise<object | undefined> => (await stage.kms.counts()).errors["ImportKeyMaterial"]
  const imports = async (): Promise<number> => (await stage.kms.counts()).requests["ImportKeyMaterial"] ?? 0

  it("are provisioned by one apply, without one import that fails", async () => {
    const result = await stage.run("apply")
    expect(result.status, result.stderr).to.equal(0)
    const { summary, keys } = result.json() as { summary: object; keys: { outcome: string; imports: object[] }[] }
    expect(summary).to.deep.include({ keys: KEYS, done: KEYS, failed: 0 })
    expect(keys.filter(({ outcome }) => outcome !== "done")).to.deep.equal([])
    // an import that was refused would have been sent again, with a KMS key or parameters of its own
    const { requests } = await stage.kms.counts()
    expect(requests).to.include({ CreateKey: KEYS, GetParametersForImport: KEYS, ImportKeyMaterial: KEYS })
    expect(await refused()).to.equal(undefined)
    expect(filesUnder(join(stage.state, "vault"))).to.have.length(KEYS)
  })

  it("are unsealed and imported again, all of them, when they come due", async () => {
    await stage.kms.clock.advance(85 * 86_400)
    const before = await imports()
    const result = await stage.run("rewrap")
    expect(result.status, result.stderr).to.equal(0)
    expect((result.json() as { summary: object }).summary).to.deep.include({ keys: KEYS, done: KEYS, failed: 0 })
    expect((await imports()) - before).to.equal(KEYS)
    expect(await refused()).to.equal(undefined)
  })
})
