import { expect } from "chai"
import { describePinSource, parsePinSource, type PinSource } from "#src/config/pin-source.js"
import { expectCode } from "#test/support/expect-code.js"

describe("parsePinSource", () => {
  const cases: [text: string, source: PinSource][] = [
    ["file:/run/pin", { kind: "file", path: "/run/pin" }],
    ["file:pin", { kind: "file", path: "pin" }],
    ["file:///run/pin", { kind: "file", path: "/run/pin" }],
    ["file://localhost/run/pin", { kind: "file", path: "/run/pin" }],
    ["/run/pin", { kind: "file", path: "/run/pin" }],
    ["fd:3", { kind: "fd", fd: 3 }],
    ["env:KEYFERRY_PIN", { kind: "env", variable: "KEYFERRY_PIN" }],
    ["exec:pass show hsm | head -1", { kind: "exec", command: "pass show hsm | head -1" }],
    ["|pass show hsm", { kind: "exec", command: "pass show hsm" }],
    ["prompt", { kind: "prompt" }],
  ]
  for (const [text, source] of cases) {
    it(`reads ${text}`, () => {
      expect(parsePinSource(text)).to.deep.equal(source)
    })
  }

  for (const text of [
    "",
    "file:",
    "file://host/pin",
    "fd:",
    "fd:x",
    "fd:-1",
    "env:",
    "env:A B",
    "exec: ",
    "|",
    "prompt:",
    "constructor:x",
  ]) {
    it(`refuses ${JSON.stringify(text)}`, async () => {
      await expectCode("ERR_PIN_SOURCE", () => parsePinSource(text))
    })
  }

  it("does not quote what may be the PIN itself", async () => {
    const error = await expectCode("ERR_PIN_SOURCE", () => parsePinSource("7351-secret"))
    expect(error.message).to.not.include("7351")
    expect(describePinSource(parsePinSource("exec:echo 7351"))).to.not.include("7351")
  })
})
