import { expect } from "chai"
import { cryptoErase } from "#src/app/custody/crypto-erase.js"
import { custodialToken } from "#src/app/custody/custodial-token.js"
import { reseal, type ResealRequest } from "#src/app/custody/reseal.js"
import { assertSame } from "#src/app/custody/same-material.js"
import type { VaultDeps } from "#src/app/custody/seal.js"
import type { Custody } from "#src/core/key/custody.js"
import { KeyferryError } from "#src/core/base/error.js"
import { summarise } from "#src/core/plan/row.js"
import type { KeySpec } from "#src/core/key/key-spec.js"
import type { SealedMaterial } from "#src/core/records/sealed-material.js"
import { labelOf, newSourceKeyId, type SourceKey } from "#src/core/key/source-key.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedToBeLocked } from "#src/store/records/to-be-locked.js"
import { expectCode } from "#test/support/expect-code.js"
import { openWorld, type World, worldEnvironment } from "../../support/world.js"

const OWNER = "keyferry"

describe("sealed keys under another custody key", () => {
  worldEnvironment()
  let world: World
  let deps: VaultDeps
  before(async () => {
    world = await openWorld()
  })
  let state: string
  const fresh = async (): Promise<void> => {
    await world.reset()
    deps = await bare()
    // one token for all tests of the process: what is in it is this test's own
    for (const key of await deps.token.findCustodyKeys(OWNER)) await deps.token.destroyCustodyKey(key)
    for (const key of await deps.token.findSourceKeys()) await deps.token.destroySourceKey(key)
  }
  beforeEach(fresh)
  after(async () => {
    for (const key of await deps.token.findCustodyKeys(OWNER)) await deps.token.destroyCustodyKey(key)
    await world[Symbol.asyncDispose]()
  })

  const bare = async (): Promise<VaultDeps> => {
    const { deps: run, stateDir } = await world.run()
    state = stateDir
    return { ...run, token: run.token.hsm }
  }
  const make = (name: string, custody: Custody, keySpec: KeySpec = "SYMMETRIC_DEFAULT"): Promise<SourceKey> =>
    custodialToken({ ...deps, toBeLocked: storedToBeLocked(fileTexts(state)) }).generateSourceKey({
      keySpec,
      custody,
      id: newSourceKeyId(),
      label: labelOf({ owner: OWNER, name, generation: 0 }),
      wrapWithTrusted: false,
    })
  const run = (more: Partial<ResealRequest>, on: VaultDeps = deps) =>
    reseal(on, { owner: OWNER, names: null, to: null, newerThan: null, ...more })
  const sealed = async (name: string): Promise<SealedMaterial> => {
    const [one] = (await deps.vault.list({ owner: OWNER, name })).sealed
    if (one === undefined) throw new Error(`nothing sealed of ${name}`)
    return one
  }
  /** What a sealed HMAC key answers: the same as long as it is the same key. */
  const macOf = async (name: string): Promise<string> => {
    const key = await deps.token.unseal(await sealed(name))
    try {
      return Buffer.from(await deps.token.mac(key, Buffer.from("the same key"))).toString("hex")
    } finally {
      await deps.token.destroySourceKey(key)
    }
  }
  const outcomes = ({ keys }: Awaited<ReturnType<typeof reseal>>) =>
    Object.fromEntries(keys.map(({ name, outcome, reason }) => [name, `${outcome} ${reason}`]))

  it("reseals every key of every spec, each to the same material, and leaves the old custody key", async () => {
    for (const [name, keySpec] of [
      ["a", "SYMMETRIC_DEFAULT"],
      ["m", "HMAC_256"],
      ["e", "ECC_NIST_P384"],
    ] as const)
      await make(name, "sealed", keySpec)
    const before = await Promise.all(["a", "m", "e"].map(sealed))
    const result = await run({ newerThan: Infinity })
    expect(outcomes(result)).to.deep.equal({ a: "done RESEALED", m: "done RESEALED", e: "done RESEALED" })
    expect(result.custodyKey?.label).to.equal("keyferry/custody/keyferry/2")
    for (const old of before) {
      const now = await sealed(old.name)
      expect(now).to.deep.include({ id: old.id, label: old.label, provenance: old.provenance })
      expect(now.custodyKey.label).to.equal("keyferry/custody/keyferry/2")
      await assertSame(deps.token, now, old)
    }
    expect((await deps.token.findCustodyKeys(OWNER)).map(({ number }) => number)).to.deep.equal([1, 2])
    expect(await deps.token.findSourceKeys()).to.deep.equal([])
    expect(outcomes(await run({}))).to.deep.equal({ a: "nothing ALREADY", m: "nothing ALREADY", e: "nothing ALREADY" })
  })

  it("takes a token object into the vault, and its entries with it", async () => {
    const key = await make("moved", "token", "ECC_NIST_P384")
    const publicKey = await deps.token.publicKey(key)
    expect(outcomes(await run({}))).to.deep.equal({ moved: "nothing KEPT" })
    expect(outcomes(await run({ names: ["moved"], to: "sealed" }))).to.deep.equal({ moved: "done SEALED" })
    const now = await sealed("moved")
    expect(now.id).to.equal(key.id)
    expect(Buffer.from(now.provenance.publicKey ?? [])).to.deep.equal(Buffer.from(publicKey))
    expect(now.provenance.attributes).to.include({ token: true, local: true, alwaysSensitive: true })
    expect(await deps.token.findSourceKeys()).to.deep.equal([])
    expect(outcomes(await run({ names: ["moved"], to: "sealed" }))).to.deep.equal({ moved: "nothing ALREADY" })
  })

  it("refuses what the token cannot seal, says what it does not find, and goes on with the rest", async () => {
    await make("good", "token")
    await make("padded", "token", "HMAC_224")
    const result = await run({ names: ["good", "padded", "nobody"], to: "sealed" })
    expect(outcomes(result)).to.deep.equal({
      good: "done SEALED",
      padded: "blocked ERR_CUSTODY_REFUSED",
      nobody: "failed ERR_KEY_NOT_FOUND",
    })
    expect(summarise(result.keys)).to.deep.equal({ keys: 3, done: 1, nothing: 0, planned: 0, blocked: 1, failed: 1 })
    expect((await deps.token.findSourceKeys()).map(({ label }) => label)).to.deep.equal(["keyferry/keyferry/padded/0"])
  })

  describe("killed between any two steps", () => {
    /** Dies before or after the call that changes something which `at` names: two moments for each call. */
    function dying(on: VaultDeps, at: number): VaultDeps {
      let moment = 0
      const live = (): void => {
        moment += 1
        if (moment === at) throw new Error("killed")
      }
      const guard = <T extends object>(target: T, names: readonly string[]): T =>
        new Proxy(target, {
          get(_, name) {
            const value: unknown = Reflect.get(target, name)
            if (typeof value !== "function") return value
            const method = value.bind(target) as (...args: unknown[]) => unknown
            if (!names.includes(String(name))) return method
            return async (...args: unknown[]) => {
              live()
              const result = await method(...args)
              live()
              return result
            }
          },
        })
      return {
        ...on,
        token: guard(on.token, ["generateCustodyKey", "destroyCustodyKey", "destroySourceKey", "seal", "unseal"]),
        vault: guard(on.vault, ["put", "remove"]),
        custodyKeys: guard(on.custodyKeys, ["put", "remove"]),
        inventory: guard(on.inventory, ["put"]),
        custodyLog: guard(on.custodyLog, ["append"]),
      }
    }

    /**
     * For each moment of `work` in turn: everything anew, killed there, run again to the end. `check` holds after the
     * death and at the end. Gives how many moments there are.
     */
    async function everyDeath(tale: {
      readonly begin: () => Promise<void>
      readonly work: (on: VaultDeps) => Promise<unknown>
      readonly check: () => Promise<void>
      readonly end: () => Promise<void>
    }): Promise<number> {
      for (let at = 1; at < 200; at += 1) {
        await fresh()
        await tale.begin()
        let killed = false
        try {
          await tale.work(dying(deps, at))
        } catch (error) {
          expect((error as Error).message).to.equal("killed")
          killed = true
        }
        // session objects die with the process, and nothing is remembered
        await world.reopenToken()
        deps = await bare()
        await tale.check()
        await tale.work(deps)
        await tale.check()
        await tale.end()
        if (!killed) return at - 1
      }
      throw new Error("never came through")
    }

    const numbers = async (): Promise<readonly number[]> =>
      (await deps.token.findCustodyKeys(OWNER)).map(({ number }) => number)

    it("reseal to a new custody key is taken up again under the same one", async () => {
      const names = ["one", "two"]
      const macs = new Map<string, string>()
      const moments = await everyDeath({
        async begin() {
          for (const name of names) {
            await make(name, "sealed", "HMAC_256")
            macs.set(name, await macOf(name))
          }
        },
        work: (on) => run({ newerThan: Infinity }, on),
        async check() {
          for (const name of names) expect(await macOf(name)).to.equal(macs.get(name))
        },
        async end() {
          const found = await numbers()
          // killed when all was done, the same again is asked for another one
          expect([
            [1, 2],
            [1, 2, 3],
          ]).to.deep.include(found)
          for (const name of names)
            expect((await sealed(name)).custodyKey.label).to.match(new RegExp(`/${found.length}$`))
        },
      })
      expect(moments).to.be.greaterThan(25)
    })

    it("token to sealed has the object or the file at every moment", async () => {
      let key: SourceKey
      const moments = await everyDeath({
        begin: async () => {
          key = await make("survivor", "token")
        },
        work: (on) => run({ names: ["survivor"], to: "sealed" }, on),
        async check() {
          const object = (await deps.token.findSourceKeys({ id: key.id })).length === 1
          const file = await deps.vault.get(key.id)
          if (file !== undefined) await assertSame(deps.token, file, file)
          expect(object || file !== undefined).to.equal(true)
        },
        async end() {
          expect((await sealed("survivor")).provenance.kcv).to.equal(key.kcv)
          expect(await deps.token.findSourceKeys()).to.deep.equal([])
        },
      })
      expect(moments).to.be.greaterThan(20)
    })

    it("crypto-erase ends with the others readable, the old custody key gone, and copies of the file worthless", async () => {
      let victim: SourceKey
      let mac = ""
      let copy: SealedMaterial
      const moments = await everyDeath({
        begin: async () => {
          victim = await make("victim", "sealed")
          await make("other", "sealed", "HMAC_256")
          mac = await macOf("other")
          copy = await sealed("victim")
        },
        async work(on) {
          await cryptoErase(on, { owner: OWNER, ids: [victim.id] })
          await on.vault.remove(victim.id)
        },
        async check() {
          expect(await macOf("other")).to.equal(mac)
        },
        async end() {
          expect(await numbers()).to.deep.equal([2])
          expect((await deps.custodyKeys.list()).map(({ number }) => number)).to.deep.equal([2])
          await deps.vault.put(copy)
          await expectCode("ERR_CUSTODY_KEY_MISSING", async () => deps.token.unseal(await sealed("victim")))
        },
      })
      expect(moments).to.be.greaterThan(20)
    })
  })

  it("destroys no custody key while another sealed key is damaged", async () => {
    const victim = await make("victim", "sealed")
    const hurt = await make("hurt", "sealed")
    const [damaged] = (await deps.vault.list({ owner: OWNER, name: "hurt" })).sealed
    const vault = {
      ...deps.vault,
      list: async (of?: { owner: string; name: string }) => {
        const { sealed: all } = await deps.vault.list(of)
        const file = { path: "hurt.json", name: "hurt", generation: 0, id: hurt.id, reason: "its digest does not fit" }
        return { sealed: all.filter(({ id }) => id !== damaged?.id), damaged: [file] }
      },
    }
    const error = await expectCode("ERR_VAULT_DAMAGED", () =>
      cryptoErase({ ...deps, vault }, { owner: OWNER, ids: [victim.id] }),
    )
    expect(error).to.be.instanceOf(KeyferryError)
    expect(error.message).to.include("hurt.json")
    expect((await deps.token.findCustodyKeys(OWNER)).map(({ number }) => number)).to.deep.equal([1])
  })
})
