import { expect } from "chai"
import {
  generationsOf,
  importedEntry,
  importOf,
  keyArnIn,
  keysOf,
  lastImport,
  madeEntry,
  newestImport,
  termsOf,
  withDeleted,
  withImport,
  withNested,
  withSealed,
} from "#src/core/records/inventory.js"
import { expectCode } from "#test/support/expect-code.js"
import { arn, days, entryOf, importRecord, REGION, REPLICA } from "../../support/plan-world.js"

/** Two generations in two Regions, imported in an order that is neither. */
const OLD = importRecord(0, { importedAt: days(-30) })
const THERE = importRecord(1, { region: REPLICA, importedAt: days(-20) })
const HERE = importRecord(1, { importedAt: days(-10) })
const AGAIN = importRecord(0, { importedAt: days(-5) })
const THERE_OLD = importRecord(0, { region: REPLICA, importedAt: days(-1) })
const ENTRY = entryOf([OLD, THERE, HERE, AGAIN, THERE_OLD], {
  multiRegion: true,
  replicas: [
    { region: REPLICA, keyArn: arn(REPLICA), aliasGiven: false },
    { region: "ap-south-1", keyArn: null, aliasGiven: false },
  ],
})

describe("an entry of the inventory", () => {
  it("tells its imports by generation and Region, the newest of each", () => {
    expect(importOf(ENTRY, 0, REGION)).to.equal(AGAIN)
    expect(importOf(ENTRY, 1, REPLICA)).to.equal(THERE)
    expect(importOf(ENTRY, 2, REGION)).to.equal(undefined)
    expect(lastImport(ENTRY)).to.equal(AGAIN)
    expect(newestImport(ENTRY), "of the newest generation").to.equal(HERE)
    expect(generationsOf(ENTRY).map(({ generation }) => generation)).to.deep.equal([0, 1])
  })

  it("has one record of an import, the last, whatever else was imported", () => {
    const newer = importRecord(1, { region: REPLICA, importedAt: days(0) })
    expect(withImport(ENTRY, newer).imports).to.deep.equal([OLD, HERE, AGAIN, THERE_OLD, newer])
  })

  it("keeps when an import was deleted first, and marks no other", () => {
    const deleted = withDeleted(ENTRY, "2026-06-01T00:00:00Z", ({ region }) => region === REPLICA)
    expect(deleted.imports.map(({ deletedAt }) => deletedAt ?? null)).to.deep.equal([
      ...[null, "2026-06-01T00:00:00Z", null, null, "2026-06-01T00:00:00Z"],
    ])
    const again = withDeleted(deleted, "2026-07-01T00:00:00Z", ({ generation }) => generation === 1)
    expect(again.imports.map(({ deletedAt }) => deletedAt?.slice(5, 7) ?? null)).to.deep.equal([
      ...[null, "06", "07", null, "06"],
    ])
  })

  it("names its KMS keys, and none that is not known", () => {
    expect(keysOf(ENTRY)).to.deep.equal([
      { region: REGION, keyArn: arn(REGION) },
      { region: REPLICA, keyArn: arn(REPLICA) },
    ])
    expect(keyArnIn(ENTRY, REPLICA)).to.equal(arn(REPLICA))
    expect(keyArnIn(ENTRY, "ap-south-1")).to.equal(undefined)
  })

  it("is refused where no KMS key, or no material, is known yet", async () => {
    expect(madeEntry(entryOf([])).keyArn).to.equal(arn(REGION))
    await expectCode("ERR_KEY_NOT_FOUND", () => madeEntry(entryOf([OLD], { keyArn: null })))
    expect(importedEntry(ENTRY).keyArn).to.equal(arn(REGION))
    await expectCode("ERR_KEY_NOT_FOUND", () => importedEntry(entryOf([])))
    await expectCode("ERR_KEY_NOT_FOUND", () => importedEntry(entryOf([OLD], { keyArn: null })))
  })

  it("repeats the terms that were given, or those that its last import shows", () => {
    const terms = { expiresIn: "7d", wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_3072" } as const
    expect(termsOf({ ...ENTRY, terms })).to.equal(terms)
    expect(termsOf(ENTRY)).to.include({ expiresIn: "90d", wrappingAlgorithm: "auto", wrappingKeySpec: "RSA_4096" })
    expect(termsOf(entryOf([importRecord(0, { validTo: null })])).expiresIn).to.equal("never")
  })

  const former = { ...entryOf([OLD]), custody: "token" as const, replacedAt: "2026-01-01T00:00:00Z", retiredAt: null }
  const inside = {
    ...former,
    custody: "token" as const,
    source: { ...former.source, id: "aa" },
    earlier: [],
  }

  it("holds the key that replaces its own, and those that were replaced", () => {
    const replacement = entryOf([])
    expect(withNested({ ...ENTRY, replacement, former: [inside] })).to.deep.equal([
      { ...ENTRY, replacement, former: [inside] },
      replacement,
      inside,
    ])
    expect(withNested(ENTRY)).to.deep.equal([ENTRY])
  })
})

describe("withSealed", () => {
  const inVault = (...ids: readonly string[]) => new Map(ids.map((id) => [id, { unenforced: `of ${id.slice(0, 2)}` }]))
  const own = entryOf([importRecord(0), importRecord(1)], { custody: "token" })
  const [first = "", second = ""] = [...own.earlier, own.source].map(({ id }) => id)
  const other = "0a".repeat(16)
  const replacement = entryOf([], { custody: "token", source: { ...own.source, id: other, generation: 0 } })
  const former = { ...replacement, replacedAt: "2026-05-01T00:00:00Z", retiredAt: null }

  it("is the same object where nothing is in the vault, or a generation is missing there", () => {
    expect(withSealed(own, inVault())).to.equal(own)
    expect(withSealed(own, inVault(second))).to.equal(own)
  })

  it("changes a key all of whose generations are there, with what its newest does not enforce", () => {
    expect(withSealed(own, inVault(first, second))).to.deep.equal({ ...own, custody: "sealed", unenforced: "of 01" })
  })

  it("changes the replacement alone, and a former key alone", () => {
    const replaced = withSealed({ ...own, replacement }, inVault(other))
    expect(replaced.replacement).to.deep.equal({ ...replacement, custody: "sealed", unenforced: "of 0a" })
    expect(replaced.custody).to.equal("token")
    const kept = withSealed({ ...own, former: [former] }, inVault(other))
    expect(kept.former).to.deep.equal([{ ...former, custody: "sealed", unenforced: "of 0a" }])
    expect(kept.custody).to.equal("token")
  })
})
