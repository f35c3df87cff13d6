import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { ImportRecord, InventoryEntry } from "#src/core/records/inventory.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { expectCode } from "#test/support/expect-code.js"
import { inventoryEntry } from "#test/support/inventory-entry.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { run } from "../../support/second-process.js"

const DIGEST = `sha256:${"ab".repeat(32)}`

const IMPORT: ImportRecord = {
  region: "eu-west-3",
  generation: 0,
  keyMaterialId: "0".repeat(64),
  wrappingAlgorithm: "RSAES_OAEP_SHA_1",
  wrappingKeySpec: "RSA_4096",
  wrapPath: "oaep",
  mechanisms: ["CKM_RSA_PKCS_OAEP"],
  wrappingKeyFingerprint: DIGEST,
  encryptedKeyMaterialDigest: DIGEST,
  expirationModel: "KEY_MATERIAL_EXPIRES",
  validTo: "2026-12-01T00:00:00.000Z",
  importedAt: "2026-11-01T00:00:00Z",
  requestId: null,
  proof: { kind: "key-material-id", result: "proven" },
}

const ENTRY: InventoryEntry = inventoryEntry("payments", { imports: [IMPORT] })

describe("storedInventory", () => {
  const folder = temporaryFolder()
  const path = (): string => join(folder(), "inventory", "default", "payments.json")

  it("gives back what was put, from a private file", async () => {
    await storedInventory(fileTexts(folder())).put(ENTRY)
    expect(await storedInventory(fileTexts(folder())).get("payments", "default")).to.deep.equal(ENTRY)
    expect(statSync(path()).mode & 0o777).to.equal(0o600)
    expect(statSync(join(folder(), "inventory")).mode & 0o777).to.equal(0o700)
  })

  it("reads what an older version wrote, the missing filled in", async () => {
    const newer = ["earlier", "rotating", "replicas", "terms", "replacement", "former", "withheldAt"]
    const older = {
      ...Object.fromEntries(Object.entries(ENTRY).filter(([field]) => !newer.includes(field))),
      version: 1,
    }
    await storedInventory(fileTexts(folder())).put(ENTRY)
    writeFileSync(path(), JSON.stringify({ ...older, imports: [{ ...IMPORT, region: undefined }] }))
    expect(await storedInventory(fileTexts(folder())).get("payments", "default")).to.deep.equal({
      ...ENTRY,
      terms: null,
    })
  })

  it("has nothing where nothing was put", async () => {
    const inventory = storedInventory(fileTexts(join(folder(), "nowhere")))
    expect(await inventory.get("payments", "default")).to.equal(undefined)
    expect(await inventory.list()).to.deep.equal([])
    await inventory.remove("payments", "default")
  })

  it("lists all keys, or one, over all targets", async () => {
    const inventory = storedInventory(fileTexts(folder()))
    await inventory.put(ENTRY)
    await inventory.put({ ...ENTRY, target: "prod-eu" })
    const source = { ...ENTRY.source, label: "keyferry/keyferry/signer/0" }
    await inventory.put({ ...ENTRY, name: "signer", target: "prod-eu", source })
    const rows = (entries: readonly InventoryEntry[]): string[] =>
      entries.map(({ target, name }) => `${target}/${name}`)
    expect(rows(await inventory.list())).to.deep.equal(["default/payments", "prod-eu/payments", "prod-eu/signer"])
    expect(rows(await inventory.list("payments"))).to.deep.equal(["default/payments", "prod-eu/payments"])
    await inventory.remove("payments", "default")
    expect(rows(await inventory.list())).to.deep.equal(["prod-eu/payments", "prod-eu/signer"])
  })

  it("finds a target's first KMS key behind what cannot be read, and none where others can put files", async () => {
    const inventory = storedInventory(fileTexts(folder()))
    const keyArn = "arn:aws:kms:eu-west-3:111122223333:key/1"
    expect(await inventory.firstMade("default")).to.equal(undefined)
    const named = (name: string, arn: string | null): InventoryEntry => ({
      ...{ ...ENTRY, name, keyArn: arn },
      source: { ...ENTRY.source, label: `keyferry/keyferry/${name}/0` },
    })
    await inventory.put(named("b", null))
    await inventory.put(named("c", keyArn))
    writeFileSync(join(folder(), "inventory", "default", "a.json"), "garbage", { mode: 0o600 })
    expect((await inventory.firstMade("default"))?.name).to.equal("c")
    chmodSync(join(folder(), "inventory", "default", "a.json"), 0o666)
    await expectCode("ERR_STATE_UNSAFE", () => inventory.firstMade("default"))
  })

  it("passes over what a killed writer left, and clears it at the next put", async () => {
    await storedInventory(fileTexts(folder())).put(ENTRY)
    await run("die-before-rename", path())
    expect(readdirSync(join(folder(), "inventory", "default"))).to.have.lengthOf(2)
    expect(await storedInventory(fileTexts(folder())).list()).to.deep.equal([ENTRY])
    await storedInventory(fileTexts(folder())).put({ ...ENTRY, creating: true })
    expect(readdirSync(join(folder(), "inventory", "default"))).to.deep.equal(["payments.json"])
  })

  const damaged: [name: string, change: (entry: Record<string, unknown>) => unknown, field: string][] = [
    ["an unknown field", (entry) => ({ ...entry, extra: 1 }), "extra"],
    ["another version", (entry) => ({ ...entry, version: 3 }), "version"],
    ["a missing field", (entry) => ({ ...entry, alias: undefined }), "alias"],
    ["a time that is none", (entry) => ({ ...entry, imports: [{ ...IMPORT, validTo: "soon" }] }), "imports[0].validTo"],
    [
      "a foreign proof",
      (entry) => ({ ...entry, imports: [{ ...IMPORT, proof: { kind: "mac", result: "x" } }] }),
      "proof.result",
    ],
    ["another key's name", (entry) => ({ ...entry, name: "signer" }), "name"],
    [
      "a copy of another key's file under its name",
      (entry) => ({ ...entry, source: { ...ENTRY.source, label: "keyferry/keyferry/signer/0" } }),
      "a copy of the file of signer",
    ],
    ["no object", () => [], "payments.json"],
  ]
  for (const [name, change, field] of damaged) {
    it(`refuses ${name} and names file and field`, async () => {
      await storedInventory(fileTexts(folder())).put(ENTRY)
      writeFileSync(path(), JSON.stringify(change({ ...ENTRY })))
      const error = await expectCode("ERR_STATE_INVALID", () =>
        storedInventory(fileTexts(folder())).get("payments", "default"),
      )
      expect(error.message).to.include(path()).and.include(field)
    })
  }

  it("refuses a file that is not JSON without quoting it", async () => {
    await storedInventory(fileTexts(folder())).put(ENTRY)
    writeFileSync(path(), readFileSync(path(), "utf8").slice(0, 100))
    const error = await expectCode("ERR_STATE_INVALID", () => storedInventory(fileTexts(folder())).list("payments"))
    expect(error.message).to.not.include("keyferry/keyferry")
  })

  it("tells what cannot be read apart, by its name, and lists the rest", async () => {
    const inventory = storedInventory(fileTexts(folder()))
    await inventory.put(ENTRY)
    const files: Readonly<Record<string, string>> = {
      garbage: "garbage",
      later: JSON.stringify({ ...ENTRY, name: "later", version: 3 }),
      copied: JSON.stringify(ENTRY),
    }
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder(), "inventory", "default", `${name}.json`), text)
    }
    mkdirSync(join(folder(), "inventory", "default", "folder.json"))
    const { entries, damaged } = await inventory.all()
    expect(entries).to.deep.equal([ENTRY])
    expect(damaged.map(({ name, target, error }) => [target, name, error.code])).to.deep.equal([
      ["default", "copied", "ERR_STATE_INVALID"],
      ["default", "folder", "ERR_STATE_UNSAFE"],
      ["default", "garbage", "ERR_STATE_INVALID"],
      ["default", "later", "ERR_STATE_INVALID"],
    ])
  })

  it("does not leave its folder by a name", async () => {
    for (const name of ["../../outside", "..", ".hidden", "a/b", ""]) {
      await expectCode("ERR_BUG", () => storedInventory(fileTexts(folder())).put({ ...ENTRY, name }))
      await expectCode("ERR_BUG", () => storedInventory(fileTexts(folder())).get("payments", name))
    }
  })

  it("says that it could not write", async () => {
    mkdirSync(join(folder(), "inventory"))
    writeFileSync(join(folder(), "inventory", "default"), "a file in the way")
    const error = await expectCode("ERR_STATE_UNSAFE", () => storedInventory(fileTexts(folder())).put(ENTRY))
    expect(error.message).to.match(/default is a file, not a folder$/)
  })
})
