import { join } from "node:path"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { provisionArgs } from "#test/support/refusal.js"
import { addOpencryptokiToken, opencryptokiToken, type TestToken } from "#test/support/tokens.js"

/** openCryptoki's soft tokens have no serial number: two of one label differ by their slots alone. */
describe("two tokens of one label on openCryptoki 3.27, which have no serial", () => {
  let token: TestToken
  let kms: LocalKmsProcess
  let slots: readonly string[]

  before(async () => {
    token = opencryptokiToken("same")
    addOpencryptokiToken(token, "same")
    addOpencryptokiToken(token, "other")
    kms = await startLocalKms()
  })
  after(async () => {
    token.remove()
    await kms.stop()
  })

  const run = (uri: string, ...args: readonly string[]): Promise<CliResult> =>
    keyferry([...args, "--token", uri, "--json"], {
      env: { ...kms.env, ...token.env, KEYFERRY_TOKEN: "", KEYFERRY_STATE_DIR: join(token.dir, "state") },
      prefix: token.prefix,
    })
  const inSlot = (slot: string): string => token.uri.replace("token=same", `token=same;${slot}`)
  const namesIn = async (uri: string): Promise<readonly string[]> => {
    const { keys } = (await run(uri, "key", "list")).json() as { keys: { name: string }[] }
    return keys.map(({ name }) => name)
  }

  it("are refused with the slots that tell them apart", async () => {
    const result = await run(token.uri, "key", "list")
    expect(result.status).to.equal(78)
    const { code, message, hint } = result.error()
    expect(code).to.equal("ERR_TOKEN_AMBIGUOUS")
    expect(message).to.include("serial none")
    slots = [...new Set(hint.match(/slot-id=\d+/g))]
    expect(slots, hint).to.have.length(2)
    expect(hint).to.not.include("serial=")
  })

  it("are each opened as the hint says, and carry a key of their own", async () => {
    for (const [index, slot] of slots.entries()) {
      const made = await run(inSlot(slot), ...provisionArgs({ name: `key-${index}`, custody: "token" }))
      expect(made.status, made.stderr).to.equal(0)
    }
    for (const [index, slot] of slots.entries()) expect(await namesIn(inSlot(slot))).to.deep.equal([`key-${index}`])
  })

  it("leave the third, whose label tells it apart, to its label", async () => {
    expect(await namesIn(token.uri.replace("token=same", "token=other"))).to.deep.equal([])
  })
})
