import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { examineVault } from "#src/app/doctor/vault-checks.js"
import { provision } from "#src/app/provision/provision.js"
import { KeyferryError } from "#src/core/base/error.js"
import type { Token } from "#src/core/ports/token.js"
import { filesUnder } from "#test/support/stage.js"
import { HMAC, openWorld, overriding, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

describe("doctor's look at the vault", () => {
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

  const examine = async (token: Token | null = run.inToken, deep = false) =>
    (await examineVault({ ...run.deps, owner: "keyferry", deep }, token)).map(
      ({ id, status, exit, message }) => `${id} ${status} ${exit}: ${message}`,
    )
  const sealedFile = (name: string): string => {
    const [file = ""] = filesUnder(join(run.stateDir, "vault")).filter((path) => path.includes(`/${name}/`))
    return join(run.stateDir, "vault", file)
  }
  const seal = (name: string) => provision(run.deps, requestFor(name, { ...HMAC, custody: "sealed" }))

  it("is well where every file is whole under a custody key that opens its canary; deep opens each key", async () => {
    await seal("v-a")
    await seal("v-b")
    const lines = await examine()
    expect(lines.at(-1)).to.equal("vault ok OK: sealed keys: 2; every file is whole, under a custody key of this token")
    expect(lines.join("\n")).to.match(/custody-key ok OK: .* is in the token, and opens its canary/)
    expect(lines.join("\n")).to.match(/custody-key warn OK: no backup/)
    expect((await examine(run.inToken, true)).join("\n")).to.include(
      "vault ok OK: 2 sealed keys opened, each to what was sealed",
    )
    expect((await examine(null)).at(-1)).to.equal("vault ok OK: sealed keys: 2; every file is whole")
  })

  it("fails where a file is gone or damaged, naming the KMS key that dies of it", async () => {
    const gone = await seal("v-gone")
    const damaged = await seal("v-damaged")
    rmSync(sealedFile("v-gone"))
    const path = sealedFile("v-damaged")
    writeFileSync(path, readFileSync(path, "utf8").replace(/"ciphertext": "./, '"ciphertext": "_'))
    const failures = (await examine()).filter((line) => line.startsWith("vault "))
    expect(failures).to.have.length(2)
    for (const { keyArn } of [gone, damaged]) {
      const line = failures.find((failure) => failure.includes(keyArn)) ?? expect.fail(keyArn)
      expect(line).to.match(/^vault fail DATAERR: /)
    }
  })

  it("fails deep where a key opens to something else, and still opens the others", async () => {
    await seal("v-whole")
    const { keyArn } = await seal("v-other")
    const [other, whole] = (await run.deps.vault.list()).sealed.toSorted((a, b) => a.name.localeCompare(b.name))
    // a whole file by its digest, and another's material
    await run.deps.vault.put({
      ...other!,
      ciphertext: whole!.ciphertext.map((byte, at) => (at === 0 ? byte ^ 1 : byte)),
    })
    const lines = (await examine(run.inToken, true)).filter((line) => line.startsWith("vault "))
    expect(lines[0])
      .to.match(/^vault fail DATAERR: keyferry\/keyferry\/v-other\/0 /)
      .and.to.include(keyArn)
    expect(lines).to.include("vault ok OK: 1 sealed key opened, each to what was sealed")
  })

  it("fails where the token does not answer, and says so of a token that has sealed nothing yet", async () => {
    const unwell = overriding(run.inToken, {
      findCustodyKeys: () => Promise.reject(new KeyferryError("ERR_TOKEN_UNAVAILABLE", "gone")),
    })
    expect(await examine(unwell)).to.deep.equal(["vault fail UNAVAILABLE: gone"])
    const bare = overriding(run.inToken, { findCustodyKeys: () => Promise.resolve([]) })
    expect(await examine(bare)).to.deep.equal([
      "custody-key ok OK: the token has no custody key yet: one is made with the first sealed key",
    ])
  })
})
