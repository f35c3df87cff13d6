import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { refuseExisting, writeOutput } from "#src/store/files/output-file.js"
import { pinMarkerFiles } from "#src/store/files/pin-marker-files.js"
import { openStateDir } from "#src/store/files/state-dir.js"
import { verdictCache } from "#src/store/files/verdict-cache.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { run } from "../../support/second-process.js"

const folder = temporaryFolder

describe("openStateDir", () => {
  const base = folder()

  it("makes the folder private, and leaves one that is there as it is", async () => {
    const path = await openStateDir(join(base(), "a", "b"))
    expect(statSync(path).mode & 0o777).to.equal(0o700)
    mkdirSync(join(base(), "open"), { mode: 0o755 })
    await openStateDir(join(base(), "open"))
    expect(statSync(join(base(), "open")).mode & 0o777).to.equal(0o755)
  })

  it("fails where a file is in the way", async () => {
    writeFileSync(join(base(), "file"), "")
    await expectCode("ERR_STATE_WRITE", () => openStateDir(join(base(), "file")))
  })
})

describe("verdictCache", () => {
  const base = folder()
  const silent = (): void => expect.fail("warned")

  it("gives back what was put", async () => {
    await verdictCache(base(), silent).put("sha256:ab", [{ usable: true }])
    expect(await verdictCache(base(), silent).get("sha256:ab")).to.deep.equal([{ usable: true }])
    expect(await verdictCache(base(), silent).get("sha256:cd")).to.equal(undefined)
  })

  for (const damage of ["", "{", "null", "[]", "\u0000"]) {
    it(`ignores a file that holds ${JSON.stringify(damage)}, and writes it anew`, async () => {
      const cache = verdictCache(base(), silent)
      await cache.put("sha256:ab", 1)
      writeFileSync(join(base(), "self-test", "sha256-ab.json"), damage)
      expect(await cache.get("sha256:ab")).to.equal(undefined)
      await cache.put("sha256:ab", 2)
      expect(await cache.get("sha256:ab")).to.equal(2)
    })
  }

  it("warns where it cannot write, and goes on", async () => {
    writeFileSync(join(base(), "self-test"), "a file in the way")
    const warnings: string[] = []
    await verdictCache(base(), (text) => warnings.push(text)).put("sha256:ab", 1)
    expect(warnings).to.have.lengthOf(1)
  })
})

describe("pinMarkerFiles", () => {
  const base = folder()
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

describe("writeOutput", () => {
  const base = folder()

  it("writes bytes, mode 0600, with nothing beside them", async () => {
    const path = join(base(), "EncryptedKeyMaterial.bin")
    await refuseExisting(path)
    await writeOutput(path, Uint8Array.of(0, 255, 10))
    expect([...readFileSync(path)]).to.deep.equal([0, 255, 10])
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    expect(readdirSync(base())).to.deep.equal(["EncryptedKeyMaterial.bin"])
  })

  it("overwrites nothing", async () => {
    const path = join(base(), "out")
    writeFileSync(path, "kept")
    await expectCode("ERR_OUTPUT_EXISTS", () => refuseExisting(path))
    await expectCode("ERR_OUTPUT_EXISTS", () => writeOutput(path, "new"))
    expect(readFileSync(path, "utf8")).to.equal("kept")
    expect(readdirSync(base())).to.deep.equal(["out"])
  })

  it("does not write through a dangling link", async () => {
    symlinkSync(join(base(), "elsewhere"), join(base(), "out"))
    await expectCode("ERR_OUTPUT_EXISTS", () => refuseExisting(join(base(), "out")))
    await expectCode("ERR_OUTPUT_EXISTS", () => writeOutput(join(base(), "out"), "new"))
    expect(existsSync(join(base(), "elsewhere"))).to.equal(false)
  })

  it("leaves no output when it is killed, and clears up at the next run", async () => {
    const path = join(base(), "out")
    expect(await run("die-before-rename", path)).to.equal("SIGKILL")
    expect(existsSync(path)).to.equal(false)
    await writeOutput(path, "whole")
    expect(readdirSync(base())).to.deep.equal(["out"])
  })

  it("fails where there is no folder", async () => {
    const error = await expectCode("ERR_OUTPUT_WRITE", () => writeOutput(join(base(), "no", "out"), "x"))
    expect(error.causes[0]?.code).to.equal("ENOENT")
  })
})
