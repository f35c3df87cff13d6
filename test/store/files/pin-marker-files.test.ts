import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { pinMarkerFiles } from "#src/store/files/pin-marker-files.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("pinMarkerFiles", () => {
  const base = temporaryFolder()
  const token = { serial: "../a/b", label: "one", manufacturer: "maker", libraryParameters: "configdir='sql:/a'" }
  const marker = {
    token,
    sourceDigest: "sha256:ab",
    modifiedNs: null,
    refusedAt: "2026-01-01T00:00:00Z",
  }

  it("keeps one marker a token until it is removed", async () => {
    const markers = pinMarkerFiles(base())
    expect(await markers.get(token)).to.equal(undefined)
    await markers.put(marker)
    await markers.put({ ...marker, modifiedNs: "12" })
    expect(await pinMarkerFiles(base()).get(token)).to.deep.equal({ ...marker, modifiedNs: "12" })
    expect(await markers.get({ ...token, libraryParameters: "configdir='sql:/b'" })).to.equal(undefined)
    await markers.remove(token)
    await markers.remove(token)
    expect(await markers.get(token)).to.equal(undefined)
  })

  it("refuses a damaged marker rather than forget it", async () => {
    const markers = pinMarkerFiles(base())
    await markers.put(marker)
    const [name = ""] = readdirSync(join(base(), "pin-refused"))
    writeFileSync(join(base(), "pin-refused", name), "{}")
    await expectCode("ERR_STATE_INVALID", () => markers.get(token))
  })
})
