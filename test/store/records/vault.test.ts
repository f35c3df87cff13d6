import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect } from "chai"
import type { CustodyKeyRecord } from "#src/core/records/sealed-material.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedCustodyKeys } from "#src/store/records/custody-keys.js"
import { storedVault } from "#src/store/records/vault.js"
import { expectCode } from "#test/support/expect-code.js"
import { sealedMaterial as material } from "#test/support/sealed-material.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("the vault as files", () => {
  const folder = temporaryFolder()
  const pathOf = (name: string, file: string): string => join(folder(), "vault", "keyferry", name, file)

  it("gives back what was put, to another process as well", async () => {
    const vault = storedVault(fileTexts(folder()))
    expect(await vault.get("01")).to.equal(undefined)
    const [one, next, other] = [material("a", "01"), material("a", "02", 1), material("b.c_d-e", "03")]
    for (const sealed of [one, next, other]) await vault.put(sealed)
    for (const reader of [vault, storedVault(fileTexts(folder()))]) {
      expect(await reader.get("02")).to.deep.equal(next)
      expect(await reader.list({ owner: "keyferry", name: "a" })).to.deep.equal({ sealed: [one, next], damaged: [] })
      expect((await reader.list()).sealed).to.have.length(3)
      expect(await reader.list({ owner: "keyferry", name: "nothing" })).to.deep.equal({ sealed: [], damaged: [] })
    }
    await vault.remove("02")
    await vault.remove("02")
    for (const reader of [vault, storedVault(fileTexts(folder()))]) expect(await reader.get("02")).to.equal(undefined)
  })

  it("is for its owner's eyes, and leaves no temporary files", async () => {
    await storedVault(fileTexts(folder())).put(material("a", "01"))
    const path = pathOf("a", "0-01.json")
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    for (let up = dirname(path); up !== folder(); up = dirname(up)) expect(statSync(up).mode & 0o777).to.equal(0o700)
    expect(readdirSync(dirname(path))).to.deep.equal(["0-01.json"])
  })

  it("finds every flipped bit and every truncation, and says what follows", async function () {
    const path = pathOf("a", "0-01.json")
    await storedVault(fileTexts(folder())).put(material("a", "01"))
    const whole = readFileSync(path)
    const vault = storedVault(fileTexts(folder()))
    const damage = async (): Promise<string> => (await expectCode("ERR_VAULT_DAMAGED", () => vault.get("01"))).message
    // every byte, its eight bits in turn
    for (let at = 0; at < whole.length; at += 1) {
      const flipped = Buffer.from(whole)
      flipped[at] = (whole[at] ?? 0) ^ (1 << (at % 8))
      writeFileSync(path, flipped)
      await damage()
    }
    for (const length of [0, 1, whole.length >> 1, whole.length - 2, whole.length - 1]) {
      writeFileSync(path, whole)
      truncateSync(path, length)
      await damage()
    }
    const message = await damage()
    expect(message).to.include(path)
    expect(message).to.match(/cannot be imported again.* dies/)
    writeFileSync(path, whole)
    expect(await vault.get("01")).to.deep.equal(material("a", "01"))
    const { owner, name, generation } = material("a", "01")
    expect(await vault.get("01", { owner, name, generation })).to.deep.equal(material("a", "01"))
    // said to be another's: found all the same
    expect(await vault.get("01", { owner, name: "b", generation: 7 })).to.deep.equal(material("a", "01"))
  })

  it("tells a file that lies under another path, and lists damage beside what is whole", async () => {
    const vault = storedVault(fileTexts(folder()))
    await vault.put(material("a", "01"))
    await vault.put(material("b", "02"))
    mkdirSync(pathOf("c", ""))
    renameSync(pathOf("b", "0-02.json"), pathOf("c", "0-02.json"))
    writeFileSync(pathOf("c", "odd"), "")
    const { sealed, damaged } = await storedVault(fileTexts(folder())).list()
    expect(sealed.map(({ name }) => name)).to.deep.equal(["a"])
    expect(damaged.map(({ name, id }) => [name, id])).to.deep.equal([
      ["c", "02"],
      ["c", null],
    ])
    expect(damaged[0]?.reason).to.include("keyferry/keyferry/b/0")
  })

  it("takes no name that would lead elsewhere", async () => {
    const vault = storedVault(fileTexts(folder()))
    for (const bad of [{ name: ".." }, { owner: "a/b" }, { id: "../x" }])
      await expectCode("ERR_BUG", () => vault.put({ ...material("a", "01"), ...bad }))
  })

  it("reports a folder that cannot be written", async () => {
    writeFileSync(join(folder(), "vault"), "")
    await expectCode("ERR_STATE_UNSAFE", () => storedVault(fileTexts(folder())).put(material("a", "01")))
  })
})

describe("records of custody keys", () => {
  const folder = temporaryFolder()

  it("are kept, and damage is refused", async () => {
    const records = storedCustodyKeys(fileTexts(folder()))
    const record: CustodyKeyRecord = {
      id: "aa55",
      label: "keyferry/custody/keyferry/1",
      number: 1,
      owner: "keyferry",
      kcv: "010203",
      token: material("a", "01").token,
      createdAt: "2026-03-01T12:00:00.000Z",
      canary: material("canary", "09"),
      backupConfirmedAt: null,
    }
    expect(await records.list()).to.deep.equal([])
    await records.put(record)
    expect(await records.get("aa55")).to.deep.equal(record)
    expect(await records.list()).to.deep.equal([record])
    const path = join(folder(), "custody-keys", "aa55.json")
    writeFileSync(path, readFileSync(path, "utf8").replace("null", '"2026-03-01T12:00:00.000Z"'))
    await expectCode("ERR_STATE_INVALID", () => records.get("aa55"))
    await records.remove("aa55")
    expect(await records.get("aa55")).to.equal(undefined)
  })
})
