import { expect } from "chai"
import { utf8Text, withoutMark } from "#src/input/text.js"

describe("utf8Text", () => {
  const rows: readonly (readonly [name: string, bytes: Uint8Array, said: object])[] = [
    ["ASCII", Buffer.from("a\n"), { text: "a\n" }],
    ["UTF-8", Buffer.from("ä€😀"), { text: "ä€😀" }],
    ["nothing", Buffer.alloc(0), { text: "" }],
    ["a byte order mark", Buffer.from("\ufeffa"), { fault: "begins with a byte order mark (UTF-8 with BOM)" }],
    ["UTF-16", Buffer.from("\ufeffa", "utf16le"), { fault: "is UTF-16, as Windows PowerShell writes it" }],
    ["UTF-16, big endian", Uint8Array.of(0xfe, 0xff, 0, 97), { fault: "is UTF-16 (big endian)" }],
    ["UTF-16 without a mark", Buffer.from("ab", "utf16le"), { fault: "holds a NUL, so it is no UTF-8 text" }],
    ["Latin-1", Buffer.from("ä", "latin1"), { fault: "is not UTF-8" }],
    ["half a character", Uint8Array.of(97, 0xc3), { fault: "is not UTF-8" }],
    ["half of a surrogate pair", Uint8Array.of(0xed, 0xa0, 0x80), { fault: "is not UTF-8" }],
  ]
  for (const [name, bytes, said] of rows) {
    it(`tells ${name}`, () => expect(utf8Text(bytes)).to.deep.equal(said))
  }

  it("takes a mark off where the format allows one", () => {
    expect(withoutMark(Buffer.from("\ufeffa"))).to.deep.equal(Buffer.from("a"))
    expect(withoutMark(Buffer.from("a"))).to.deep.equal(Buffer.from("a"))
  })
})
