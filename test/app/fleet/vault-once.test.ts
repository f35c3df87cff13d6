import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { Vault } from "#src/core/ports/vault.js"
import { vaultReadOnce } from "#src/app/fleet/vault-once.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedVault } from "#src/store/records/vault.js"
import { expectCode } from "#test/support/expect-code.js"
import { sealedMaterial } from "#test/support/sealed-material.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const [WHOLE, BROKEN, ABSENT] = ["a", "b", "c"].map((digit) => digit.repeat(32)) as [string, string, string]

describe("a vault that is read once", () => {
  const folder = temporaryFolder()
  let files: Vault
  beforeEach(async () => {
    rmSync(join(folder(), "vault"), { recursive: true, force: true })
    files = storedVault(fileTexts(folder()))
    for (const [name, id] of [
      ["aes", WHOLE],
      ["mac", BROKEN],
    ] as const)
      await files.put(sealedMaterial(name, id))
    const [file = ""] = readdirSync(join(folder(), "vault", "keyferry", "mac"))
    writeFileSync(join(folder(), "vault", "keyferry", "mac", file), "{}\n")
  })

  it("has of each file what the files have: whole, damaged or not there", async () => {
    const once = vaultReadOnce(files)
    expect(await once.get(WHOLE)).to.deep.equal(await files.get(WHOLE))
    expect(await once.get(ABSENT)).to.equal(undefined)
    const damage = await files.get(BROKEN).catch((error: unknown) => error as Error)
    const error = await expectCode("ERR_VAULT_DAMAGED", () => once.get(BROKEN))
    expect(error.message).to.equal((damage as Error).message)
    expect(await once.list()).to.deep.equal(await files.list())
    expect(await once.list({ owner: "keyferry", name: "aes" })).to.deep.equal(
      await files.list({ owner: "keyferry", name: "aes" }),
    )
  })

  it("reads no file a second time", async () => {
    const once = vaultReadOnce(files)
    const before = await once.list()
    rmSync(join(folder(), "vault"), { recursive: true })
    expect(await once.get(WHOLE)).to.deep.equal(before.sealed[0])
    expect(await once.list()).to.deep.equal(before)
    expect(await files.get(WHOLE)).to.equal(undefined)
  })

  it("takes the whole file of a key before a copy that lies elsewhere", async () => {
    const [file = ""] = readdirSync(join(folder(), "vault", "keyferry", "aes"))
    const text = readFileSync(join(folder(), "vault", "keyferry", "aes", file))
    writeFileSync(join(folder(), "vault", "keyferry", "mac", file), text)
    const once = vaultReadOnce(storedVault(fileTexts(folder())))
    expect((await once.list()).damaged).to.have.length(2)
    expect((await once.get(WHOLE))?.name).to.equal("aes")
  })
})
