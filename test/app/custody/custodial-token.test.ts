import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { listKeys } from "#src/app/source-key/list.js"
import { namedSource } from "#src/app/source-key/named.js"
import { provision } from "#src/app/provision/provision.js"
import { verifyChain } from "#src/core/records/custody-chain.js"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import type { Deps } from "#src/app/deps.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { expectCode } from "#test/support/expect-code.js"
import { filesUnder } from "../../support/stage.js"
import {
  EC,
  HMAC,
  openWorld,
  overriding,
  requestFor,
  type Run,
  type World,
  worldEnvironment,
} from "../../support/world.js"

describe("sealed custody", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const sealed = { custody: "sealed" } as const
  const ask = (name: string, more: Parameters<typeof requestFor>[1] = {}) => requestFor(name, { ...sealed, ...more })
  const vaultOf = ({ stateDir }: Run): readonly string[] => filesUnder(join(stateDir, "vault"))
  const logOf = ({ stateDir }: Run): readonly CustodyEvent[] => {
    const lines = readFileSync(join(stateDir, CUSTODY_LOG), "utf8").trimEnd().split("\n")
    expect(verifyChain(lines)).to.have.property("end")
    return lines.map((line) => JSON.parse(line) as CustodyEvent)
  }
  const inToken = async ({ inToken: token }: Run, id: string) => (await token.search({ id })).keys

  it("leaves no extractable object, and is in the vault before KMS gets anything", async () => {
    const run = await world.run()
    const at: string[][] = []
    const importKeyMaterial: Deps["kms"]["importKeyMaterial"] = async (...args) => {
      const objects = await run.inToken.search()
      at.push([...vaultOf(run), ...objects.keys.map(({ label }) => label)])
      return await run.deps.kms.importKeyMaterial(...args)
    }
    const kms = overriding(run.deps.kms, { importKeyMaterial })
    const result = await provision({ ...run.deps, kms }, ask("payments", { prove: "full" }))
    expect(result).to.include({ outcome: "done", custody: "sealed", custodyEnforced: true, custodyReason: null })
    expect(result.proof).to.deep.equal({ kind: "key-material-id", result: "proven" })
    expect(result.sourceKey.attributes).to.include({ local: true, alwaysSensitive: true, sensitive: true })
    const file = `keyferry/payments/0-${result.sourceKey.id}.json`
    expect(at).to.deep.equal([[file], [file]])
    expect(await inToken(run, result.sourceKey.id)).to.deep.equal([])
    const [custodyKey, another] = await run.inToken.findCustodyKeys("keyferry")
    expect(custodyKey?.attributes).to.include({ extractable: false, sensitive: true, encrypt: false, decrypt: false })
    expect(another).to.equal(undefined)
    expect(
      (await run.deps.custodyKeys.list()).map(({ id, backupConfirmedAt }) => [id, backupConfirmedAt]),
    ).to.deep.equal([[custodyKey?.id, null]])
    expect(run.warnings.join()).to.include("no backup")
    const events = logOf(run).map(({ event }) => event)
    expect(events).to.deep.equal([
      ...["kms-key.intended", "kms-key.created", "custody-key.generated", "source.generated", "source.sealed"],
      ...["source.wrapped", "import.intended", "import.done", "import.proven"],
      ...["source.wrapped", "import.intended", "import.done", "import.proven"],
    ])
  })

  it("run again does nothing, in the token, in KMS and on disk", async () => {
    const first = await provision((await world.run()).deps, ask("idle", HMAC))
    await world.kms.clearCounts()
    const again = await world.run()
    const before = [vaultOf(again), logOf(again).length]
    const second = await provision(again.deps, ask("idle", HMAC))
    expect({ ...second, outcome: "done", wrappingAlgorithmReason: first.wrappingAlgorithmReason }).to.deep.equal(first)
    expect(second.outcome).to.equal("nothing")
    expect((await world.kms.counts()).requests).to.deep.equal({ DescribeKey: 1 })
    expect([vaultOf(again), logOf(again).length]).to.deep.equal(before)
  })

  for (const [name, key, kind] of [
    ["hmac", HMAC, "mac"],
    ["p384", EC, "public-key"],
  ] as const) {
    it(`proves ${key.keySpec}, after the process that sealed it is gone`, async () => {
      await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
      const stopped = await world.run()
      await expectCode("ERR_KMS_ACCESS_DENIED", () => provision(stopped.deps, ask(name, key)))
      const [file] = vaultOf(stopped)
      await world.reopenToken()
      const run = await world.run()
      const result = await provision(run.deps, ask(name, key))
      expect(result.proof).to.deep.equal({ kind, result: "proven" })
      expect(vaultOf(run)).to.deep.equal([file])
      expect(file).to.include(result.sourceKey.id)
      expect(await inToken(run, result.sourceKey.id)).to.deep.equal([])
      expect(await world.requests("CreateKey")).to.equal(1)
    })
  }

  it("killed between sealing and the vault file has lost nothing, since nothing was imported", async () => {
    const run = await world.run()
    const put = (): Promise<never> => Promise.reject(new Error("killed"))
    const deps = run.with({ vault: { ...run.deps.vault, put } })
    let thrown: unknown
    try {
      await provision(deps, ask("killed"))
    } catch (error) {
      thrown = error
    }
    expect(String(thrown)).to.include("killed")
    expect((await run.inToken.search()).keys).to.deep.equal([])
    expect(await world.requests("ImportKeyMaterial")).to.equal(0)
    const result = await provision((await world.run()).deps, ask("killed"))
    expect(result.outcome).to.equal("done")
    expect(await world.requests("CreateKey")).to.equal(1)
  })

  it("destroys the unsealed object where the wrap fails", async () => {
    const run = await world.run()
    const source = await run.deps.token.generateSourceKey({
      keySpec: "SYMMETRIC_DEFAULT",
      id: "ab".repeat(16),
      label: "keyferry/keyferry/failing/0",
      custody: "sealed",
      wrapWithTrusted: false,
    })
    await expectCode("ERR_BUG", () => run.deps.token.mac(source, Uint8Array.of(1)))
    expect((await run.inToken.search({ id: source.id })).keys).to.deep.equal([])
  })

  it("is refused where the token cannot seal the key spec, with nothing made", async () => {
    const run = await world.run()
    const request = ask("p256", { keySpec: "ECC_NIST_P256", keyUsage: "SIGN_VERIFY", custody: "sealed" })
    const error = await expectCode("ERR_CUSTODY_REFUSED", () => provision(run.deps, request))
    expect(error.message).to.match(/ECC_NIST_P256/)
    expect(await world.requests("CreateKey")).to.equal(0)
    expect(vaultOf(run)).to.deep.equal([])
  })

  it("is kept by rotate and replace: a vault file for each generation of each KMS key", async () => {
    await provision((await world.run()).deps, ask("long-lived"))
    const entryNow = async (): Promise<InventoryEntry> =>
      (await (await world.run()).deps.inventory.get("long-lived", "us-east-1")) ?? expect.fail("no entry")
    const rotated = await rotateKey((await world.run()).deps, await entryNow(), AS_BEFORE)
    expect(rotated).to.include({ generation: 1, custody: "sealed" })
    const replaced = await replaceKey((await world.run()).deps, await entryNow(), { ...AS_BEFORE, description: null })
    const run = await world.run()
    expect(vaultOf(run).map((file) => file.slice(0, -38))).to.deep.equal([
      ...["keyferry/long-lived/0", "keyferry/long-lived/0", "keyferry/long-lived/1"],
    ])
    expect((await run.inToken.search()).keys).to.deep.equal([])
    // two keys carry the label of generation 0 by now; the inventory tells which is in use
    const named = { owner: "keyferry", name: "long-lived", generation: 0 }
    expect((await namedSource(run.deps, named)).id).to.equal(replaced.sourceKey.id)
    const { keys } = await listKeys(run.deps)
    expect(keys.map(({ generation, kms }) => [generation, kms.length])).to.deep.equal([
      [0, 1],
      [0, 1],
      [1, 1],
    ])
  })

  it("refuses to import what its vault file no longer holds, and never replaces it silently", async () => {
    const run = await world.run()
    await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => provision(run.deps, ask("damaged")))
    const path = join(run.stateDir, "vault", vaultOf(run)[0] ?? "")
    writeFileSync(path, readFileSync(path, "utf8").replace('"sealedAt": "2', '"sealedAt": "3'))
    const error = await expectCode("ERR_VAULT_DAMAGED", async () => provision((await world.run()).deps, ask("damaged")))
    expect(error.message).to.include(path)
    expect(await world.requests("ImportKeyMaterial")).to.equal(0)
  })

  describe("policy", () => {
    it("that does not allow a custody is held before anything is asked", async () => {
      const { deps } = await world.run()
      const policy = { ...deps.policy, allowCustody: ["token"] as const }
      const error = await expectCode("ERR_POLICY_REFUSED", () => provision({ ...deps, policy }, ask("not-allowed")))
      expect(error.message).to.include("sealed")
      expect((await world.kms.counts()).requests).to.deep.equal({})
    })
  })

  describe("locked", () => {
    const locked = { custody: "locked", expiresIn: "never", acceptNoReimport: true } as const

    it("is locked once its import is proven, and used on in the token as asked", async () => {
      const run = await world.run()
      const result = await provision(run.deps, ask("vault-door", { ...HMAC, ...locked, localUse: true }))
      expect(result).to.include({ custody: "locked", validTo: null })
      expect(result.proof.result).to.equal("proven")
      const [key] = await inToken(run, result.sourceKey.id)
      expect(key?.attributes).to.include({ extractable: false, sign: true, verify: true })
      expect(logOf(run).map(({ event }) => event)).to.include("source.locked")
      const again = await provision((await world.run()).deps, ask("vault-door", { ...HMAC, ...locked, localUse: true }))
      expect(again.outcome).to.equal("nothing")
    })

    it("of a symmetric key is proven by a second import first", async () => {
      const run = await world.run()
      const result = await provision(run.deps, ask("locked-aes", locked))
      expect(result.proof).to.deep.equal({ kind: "key-material-id", result: "proven" })
      expect(result.sourceKey.attributes?.extractable).to.equal(false)
    })

    it("that died between proof and lock is finished by the next run", async () => {
      const run = await world.run()
      const lock = (): Promise<never> => Promise.reject(new Error("killed"))
      const dying = { ...run.deps, token: overriding(run.deps.token, { lock }) }
      let thrown: unknown
      try {
        await provision(dying, ask("half-locked", { ...EC, ...locked }))
      } catch (error) {
        thrown = error
      }
      expect(String(thrown)).to.include("killed")
      await world.kms.clearCounts()
      const next = await world.run()
      const result = await provision(next.deps, ask("half-locked", { ...EC, ...locked }))
      expect(result.outcome).to.equal("done")
      expect(await world.requests("ImportKeyMaterial")).to.equal(0)
      expect((await inToken(next, result.sourceKey.id))[0]?.attributes.extractable).to.equal(false)
      expect((await provision((await world.run()).deps, ask("half-locked", { ...EC, ...locked }))).outcome).to.equal(
        "nothing",
      )
    })
  })
})
