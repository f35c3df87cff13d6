import { expect } from "chai"
import fc from "fast-check"
import { SortedMap } from "#src/local-kms/state/sorted-map.js"

describe("SortedMap", () => {
  it("reads in the order of the names from after any name on, whatever was set, deleted and read before", () => {
    const name = fc.stringMatching(/^[a-c]{1,3}$/)
    const steps = fc.array(fc.record({ what: fc.constantFrom("set", "set", "delete", "read"), name }), {
      maxLength: 40,
    })
    fc.assert(
      fc.property(steps, name, (all, from) => {
        const map = new SortedMap<string>()
        const naive = new Set<string>()
        for (const { what, name } of all) {
          if (what === "set") {
            naive.add(name)
            map.set(name, name)
          }
          if (what === "delete") expect(map.delete(name)).to.equal(naive.delete(name))
          if (what === "read") expect([...map.after(name)]).to.deep.equal([...naive].sort().filter((n) => n > name))
        }
        expect([...map.after()]).to.deep.equal([...naive].sort())
        expect([...map.after(from)]).to.deep.equal([...naive].sort().filter((entry) => entry > from))
        map.clear()
        expect([...map.after()]).to.deep.equal([])
      }),
    )
  })
})
