import { expect } from "chai"
import { withSealed } from "#src/core/records/inventory.js"
import { entryOf, importRecord } from "../../support/plan-world.js"

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
