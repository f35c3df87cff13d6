import { expect } from "chai"
import { EVERYTHING, filterOf, queryOf, weekOf } from "#src/report/filter.js"

const of = (query: string) => {
  const parts = new URLSearchParams(query)
  return filterOf((name) => parts.get(name) ?? undefined)
}

describe("the filter of a page", () => {
  it("is what its address says, and back", () => {
    const query = "?name=pay&target=eu&state=dead&reason=EXPIRED&week=2026-11-23&page=3"
    expect(queryOf(of(query))).to.equal(query)
    expect(queryOf(of("?state=not+reached"))).to.equal("?state=not+reached")
    expect(queryOf(EVERYTHING)).to.equal("")
  })

  it("takes what it does not understand for not said", () => {
    for (const query of ["?state=odd", "?week=soon", "?page=0", "?page=-1", "?page=1.5", "?page=1e99", "?else=1"]) {
      expect(of(query), query).to.deep.equal(EVERYTHING)
    }
    expect(of(`?name=${"x".repeat(10_000)}`).name).to.have.lengthOf(200)
  })

  it("counts weeks from Monday, over the end of a year too", () => {
    const weeks = ["2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z", "2027-01-01T00:00:00Z", "1969-12-31T00:00:00Z"]
    expect(weeks.map((time) => weekOf(Date.parse(time)))).to.deep.equal([
      "2026-11-23",
      "2026-11-30",
      "2026-12-28",
      "1969-12-29",
    ])
  })
})
