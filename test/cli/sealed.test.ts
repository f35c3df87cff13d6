import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { nssToken } from "#test/support/tokens.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"
import { freshPath, writeFile } from "../support/three-steps-stage.js"

const RSA_2048 = ["--wrapping-key-spec", "RSA_2048"]

describe("sealed custody on the command line", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  const vault = (state: string): readonly string[] => filesUnder(join(state, "vault"))
  const logged = (state: string): readonly CustodyEvent[] =>
    readFileSync(join(state, CUSTODY_LOG), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as CustodyEvent)

  it("is the default of provision and of the three steps; the vault file goes with key destroy", async () => {
    const state = stage.state()
    const json = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
      const result = await stage.run([...args, "--json"], { state })
      expect(result.status, result.stderr).to.equal(0)
      return result.json() as Record<string, unknown>
    }
    const hmac = ["--key-spec", "HMAC_256"]
    const direct = await json("provision", "--name", "direct", ...hmac, ...RSA_2048)
    expect(direct).to.deep.include({
      custody: "sealed",
      custodyEnforced: true,
      proof: { kind: "mac", result: "proven" },
    })

    const generated = await json("key", "generate", "--name", "steps", ...hmac, ...RSA_2048)
    expect(generated).to.include({ custody: "sealed", custodyEnforced: true, custodyReason: null })
    const [parameters, wrapped] = [freshPath(stage, "params.json"), freshPath(stage, "wrapped.bin")]
    await json("params", "--name", "steps", ...hmac, ...RSA_2048, "--out", parameters)
    const from = ["--name", "steps", "--parameters", parameters]
    await json("wrap", ...from, "--generation", "0", "--out", wrapped)
    const imported = await json("import", ...from, "--wrapped", wrapped)
    expect(imported).to.deep.include({ custody: "sealed", proof: { kind: "mac", result: "proven" } })
    const events = logged(state).filter(({ name }) => name === "steps")
    expect(events.map(({ event }) => event)).to.include.members(["source.sealed", "source.wrapped", "import.proven"])

    expect(vault(state)).to.have.length(2)
    const { keys } = (await json("key", "list")) as { keys: { name: string; custody: string; kms: object[] }[] }
    expect(keys.map(({ name, custody, kms }) => [name, custody, kms.length])).to.deep.equal([
      ["direct", "sealed", 1],
      ["steps", "sealed", 1],
    ])
    await json("key", "generate", "--name", "unused", ...hmac, ...RSA_2048)
    const destroyed = await stage.run(["key", "destroy", "--name", "unused", "--yes"], { state })
    expect(destroyed.status, destroyed.stderr).to.equal(0)
    expect(destroyed.stdout).to.include("copies of it may exist")
    expect(vault(state)).to.have.length(2)
    expect(logged(state).at(-1)).to.include({ event: "source.destroyed", name: "unused" })
  })

  it("of a key spec that the token cannot seal is refused with the reason and what would do", async () => {
    const state = stage.state()
    const before = await stage.footprint(state)
    const args = ["provision", "--name", "p256", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY", "--json"]
    const result = await stage.run(args, { state })
    expect(result.status).to.equal(78)
    const { code, message, hint } = result.error()
    expect(code).to.equal("ERR_CUSTODY_REFUSED")
    expect(message).to.match(/sealed of ECC_NIST_P256: \S/)
    expect(hint).to.include("keyferry token probe")
    expect(await stage.footprint(state)).to.deep.equal(before)
    expect(vault(state)).to.deep.equal([])
  })

  it("that a token does not enforce is refused, or taken by policy and then said everywhere", async () => {
    const nss = nssToken()
    try {
      const state = stage.state()
      const env = { ...nss.env, KEYFERRY_TOKEN: nss.uri }
      const args = ["provision", "--name", "loose", "--key-spec", "HMAC_256", ...RSA_2048]
      const refused = await stage.run([...args, "--json"], { state, env })
      expect([refused.status, refused.error().code]).to.deep.equal([78, "ERR_CUSTODY_REFUSED"])
      expect(refused.error().hint).to.include("allowUnenforcedCustody")

      const config = writeFile(stage, "policy.yaml", "version: 1\npolicy: { allowUnenforcedCustody: true }\n")
      const taken = await stage.run([...args, "--config", config, "--json"], { state, env })
      expect(taken.status, taken.stderr).to.equal(0)
      expect(taken.stderr).to.match(/custody sealed is not enforced: .*allowUnenforcedCustody/)
      const result = taken.json() as KeyResult
      expect(result).to.include({ custody: "sealed", custodyEnforced: false })
      expect(result.custodyReason).to.match(/^the token \S/)
      const again = await stage.run([...args, "--config", config], { state, env })
      expect(again.stdout).to.include(`NOT ENFORCED: ${result.custodyReason ?? ""}`)
      const look = ["--region", "us-east-1", "--endpoint-url", stage.kms.endpoint]
      for (const shown of [
        ["status", ...look],
        ["rewrap", "--all", ...look],
        ["key", "list"],
      ]) {
        const { stdout, stderr } = await stage.run([...shown, "--config", config], { state, env })
        expect(stdout, stderr).to.include(`custody sealed, NOT ENFORCED: ${result.custodyReason ?? ""}`)
      }
      for (const [folder, file] of [
        ["vault", vault(state)[0]],
        ["inventory", filesUnder(join(state, "inventory"))[0]],
      ] as const) {
        const text = readFileSync(join(state, folder, file ?? ""), "utf8")
        expect((JSON.parse(text) as { unenforced: string }).unenforced, folder).to.equal(result.custodyReason)
      }
      for (const said of ["source.generated", "source.sealed", "import.intended"]) {
        expect(logged(state).find(({ event }) => event === said)?.facts, said).to.include({
          unenforced: result.custodyReason,
        })
      }
    } finally {
      nss.remove()
    }
  })

  it("wants the wrapping key's fingerprint where policy does", async () => {
    const state = stage.state()
    const config = writeFile(stage, "policy.yaml", "version: 1\npolicy: { requireFingerprint: true }\n")
    const aes = ["--key-spec", "SYMMETRIC_DEFAULT", ...RSA_2048]
    const parameters = freshPath(stage, "params.json")
    await stage.run(["key", "generate", "--name", "careful", ...aes], { state })
    const made = await stage.run(["params", "--name", "careful", ...aes, "--out", parameters, "--json"], { state })
    const { wrappingKeyFingerprint } = made.json() as { readonly wrappingKeyFingerprint: string }
    const wrap = ["wrap", "--name", "careful", "--parameters", parameters, "--config", config, "--json"]
    const without = await stage.run([...wrap, "--out", freshPath(stage, "out.bin")], { state })
    expect([without.status, without.error().code]).to.deep.equal([78, "ERR_POLICY_REFUSED"])
    const fingerprint = ["--expect-fingerprint", wrappingKeyFingerprint]
    const given = await stage.run([...wrap, ...fingerprint, "--out", freshPath(stage, "out.bin")], { state })
    expect(given.status, given.stderr).to.equal(0)
  })
})
