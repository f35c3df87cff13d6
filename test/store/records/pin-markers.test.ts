import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { PinMarker, PinToken } from "#src/core/token/pin-marker.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedPinMarkers } from "#src/store/records/pin-markers.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("storedPinMarkers", () => {
  const base = temporaryFolder()
  const token: PinToken = {
    serial: "../a/b",
    label: "one",
    manufacturer: "maker",
    slot: null,
    libraryParameters: "configdir='sql:/a'",
  }
  const marker: PinMarker = {
    token,
    salt: "00".repeat(16),
    refused: [{ bits: "a0f", answer: "CKR_PIN_INCORRECT", refusedAt: "2026-01-01T00:00:00Z" }],
  }
  const another = { ...marker, refused: [{ ...marker.refused[0]!, bits: "123" }] }

  it("keeps one marker a token until it is removed", async () => {
    const markers = storedPinMarkers(fileTexts(base()))
    expect(await markers.get(token)).to.equal(undefined)
    await markers.put(marker)
    await markers.put(another)
    expect(await storedPinMarkers(fileTexts(base())).get(token)).to.deep.equal(another)
    await markers.remove(token)
    await markers.remove(token)
    expect(await markers.get(token)).to.equal(undefined)
  })

  it("refuses a marker that says something twice, naming it", async () => {
    const markers = storedPinMarkers(fileTexts(base()))
    await markers.put(marker)
    const file = join(base(), "pin-refused", readdirSync(join(base(), "pin-refused"))[0] ?? "")
    writeFileSync(file, readFileSync(file, "utf8").replace(/\}\s*$/, ', "refused": [] }\n'))
    const error = await expectCode("ERR_STATE_INVALID", () => markers.get(token))
    expect(error.message).to.include(file).and.include('"refused" twice')
  })

  it("tells tokens apart by each of what tells them, and not by how the place of an NSS database is spelt", async () => {
    const markers = storedPinMarkers(fileTexts(base()))
    await markers.put(marker)
    for (const other of [
      { serial: "2" },
      { label: "two" },
      { manufacturer: "another" },
      { slot: "7" },
      { libraryParameters: "configdir='sql:/b'" },
      { libraryParameters: null },
    ]) {
      expect(await markers.get({ ...token, ...other }), JSON.stringify(other)).to.equal(undefined)
    }
    for (const libraryParameters of [`configdir="sql:/a/" certPrefix=''`, "flags=x configdir='/a'"]) {
      expect(await markers.get({ ...token, libraryParameters }), libraryParameters).to.deep.equal(marker)
    }
  })

  it("refuses a damaged marker rather than forget it", async () => {
    const markers = storedPinMarkers(fileTexts(base()))
    await markers.put(marker)
    const [name = ""] = readdirSync(join(base(), "pin-refused"))
    writeFileSync(join(base(), "pin-refused", name), "{}")
    await expectCode("ERR_STATE_INVALID", () => markers.get(token))
  })

  describe("markers of keyferry 0.1.0", () => {
    const former = { sourceDigest: "sha256:ab", modifiedNs: "12", refusedAt: "2026-01-01T00:00:00Z" }
    const { serial, label, manufacturer, libraryParameters } = token
    const formerToken = { serial, label, manufacturer, libraryParameters }
    const identity = JSON.stringify([serial, label, manufacturer, libraryParameters])
    const write = (name: string, content: object): void => {
      const file = createHash("sha256").update(name).digest("hex").slice(0, 32)
      mkdirSync(join(base(), "pin-refused"), { recursive: true })
      writeFileSync(join(base(), "pin-refused", `${file}.json`), JSON.stringify(content))
    }
    const whichever = { bits: null, answer: null, refusedAt: "2026-01-01T00:00:00Z" }

    for (const [kind, name, content] of [
      ["by serial, label and manufacturer", identity, { token: formerToken, ...former }],
      ["by serial alone", token.serial, { tokenSerial: token.serial, ...former }],
    ] as const) {
      it(`stand for a PIN that nobody knows, and are kept in today's form once one is written: ${kind}`, async () => {
        write(name, content)
        const markers = storedPinMarkers(fileTexts(base()))
        const read = await markers.get(token)
        expect(read?.refused).to.deep.equal([whichever])
        await markers.put({ ...read!, refused: [...read!.refused, ...marker.refused] })
        expect(readdirSync(join(base(), "pin-refused"))).to.have.lengthOf(1)
        expect((await markers.get(token))?.refused).to.deep.equal([whichever, ...marker.refused])
        await markers.remove(token)
        expect(await markers.get(token)).to.equal(undefined)
      })
    }

    it("are removed with the token's own", async () => {
      write(token.serial, { tokenSerial: token.serial, ...former })
      await storedPinMarkers(fileTexts(base())).remove(token)
      expect(readdirSync(join(base(), "pin-refused"))).to.deep.equal([])
    })
  })

  it("notes a presentation under way with the flags before it, in a file of no content", async () => {
    const markers = storedPinMarkers(fileTexts(base()))
    expect(await markers.unfinished(token)).to.deep.equal([])
    const first = await markers.presenting(token, 0x1040d)
    await markers.presenting(token, 0x40d)
    await markers.presenting({ ...token, serial: "2" }, 0x40d)
    expect([...(await storedPinMarkers(fileTexts(base())).unfinished(token))].sort()).to.deep.equal(
      [0x1040d, 0x40d].sort(),
    )
    for (const name of readdirSync(join(base(), "pin-presented"))) {
      const path = join(base(), "pin-presented", name)
      expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).to.deep.equal(["", 0o600])
    }
    await first.end()
    expect(await markers.unfinished(token)).to.deep.equal([0x40d])
    await markers.forgetUnfinished(token)
    expect(await markers.unfinished(token)).to.deep.equal([])
    expect(await markers.unfinished({ ...token, serial: "2" })).to.deep.equal([0x40d])
  })
})
