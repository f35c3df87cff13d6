import { expect } from "chai"
import fc from "fast-check"
import { printable, printableJson, printableLines } from "#src/core/base/printable.js"

/** What acts on a terminal, or is not seen. */
const ACTS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/ // eslint-disable-line no-control-regex

describe("printable", () => {
  const rows: readonly (readonly [name: string, text: string, shown: string])[] = [
    ["an escape sequence", "\u001b[31mred", "\\x1b[31mred"],
    ["C1's one byte CSI", "\u009b31m", "\\x9b31m"],
    ["what rings and erases", "a\u0007\u0008\u007f", "a\\x07\\x08\\x7f"],
    ["line ends", "ok\nkeyferry: error\r", "ok\\nkeyferry: error\\r"],
    ["line separators", "a\u2028b\u2029\u0085", "a\\u2028b\\u2029\\x85"],
    ["what turns the direction", "\u202eevil\u2066\u061c", "\\u202eevil\\u2066\\u061c"],
    ["what is not seen", "pay\u200bments\ufeff\u2060", "pay\\u200bments\\ufeff\\u2060"],
    ["a tag character", "a\u{e0041}", "a\\u{e0041}"],
    ["half a surrogate pair", "a\ud83db", "a\\ud83db"],
    ["letters of any script, as they are", "ä€😀鍵 b", "ä€😀鍵 b"],
  ]
  for (const [name, text, shown] of rows) {
    it(`shows ${name}`, () => expect(printable(text)).to.equal(shown))
  }

  it("leaves of several lines their ends", () => {
    expect(printableLines("a\u001b\nb")).to.equal("a\\x1b\nb")
  })

  it("leaves nothing that acts, of any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.array(fc.integer({ min: 0, max: 0xffff })), (text, units) => {
        const any = text + String.fromCharCode(...units)
        expect(ACTS.test(printable(any).replace(/[\ud800-\udbff][\udc00-\udfff]/g, ""))).to.equal(false)
      }),
    )
  })

  it("leaves JSON saying the same", () => {
    const value = { "\u009b": "\u001b[2J\u202e\u{e0041}\ud83d😀\u007f\u2028", list: ["\n", "\ufeff"] }
    const json = printableJson(JSON.stringify(value, null, 2))
    expect(JSON.parse(json)).to.deep.equal(value)
    expect(ACTS.test(json.replaceAll("\n", "").replaceAll("😀", ""))).to.equal(false)
  })
})
