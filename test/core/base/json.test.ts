import { expect } from "chai"
import fc from "fast-check"
import { readJson } from "#src/core/base/json.js"

describe("readJson", () => {
  const twice: readonly (readonly [text: string, member: string])[] = [
    ['{"a":1,"a":1}', '"a"'],
    ['{"digest":"x","b":{"digest":"y"},"digest":"z"}', '"digest"'],
    ['[{"a":1},{"b":[],"c":{"d":{},"d":null}}]', '"d"'],
    ['{"version" : 2,\n "\\u0076ersion"\t:\t3}', '"version"'],
    ['{"__proto__":1,"__proto__":2}', '"__proto__"'],
    ['{"":1,"":2}', '""'],
    ['{"a\\"}":1,"a\\"}":2}', '"a\\"}"'],
    ['{"\\u202e":1,"\\u202e":2}', '"\\u202e"'],
    [`{"${"n".repeat(500)}":1,"${"n".repeat(500)}":2}`, `"${"n".repeat(64)}"`],
  ]
  for (const [text, member] of twice) {
    it(`refuses ${text.slice(0, 60)} by the name of the member`, () => {
      expect(readJson(text)).to.deep.equal({ fault: `has the member ${member} twice` })
    })
  }

  for (const text of [
    '{"a":{"a":{"a":1}}, "b":["a","a",{"a":1},{"a":1}]}',
    '{"a":"\\"a\\":1,\\"a\\":1","b":"}{"}',
    '"{\\"a\\":1,\\"a\\":1}"',
    ' {"A":1,"a":1,"a ":1} ',
    "[[],{},[{}]]",
    "1.50",
  ]) {
    it(`takes ${text}`, () => {
      expect(readJson(text)).to.deep.equal({ content: JSON.parse(text) as unknown })
    })
  }

  it("takes whatever was written as JSON, spaces and all, and what is not JSON for that", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, 2), (text, spaces) => {
        const written = JSON.stringify(JSON.parse(text), null, spaces)
        expect(readJson(` ${written}`)).to.deep.equal({ content: JSON.parse(text) as unknown })
      }),
    )
    for (const text of ["", "{", '{"a":1,}', "nul"]) expect(readJson(text)).to.deep.equal({ fault: "is not JSON" })
  })
})
