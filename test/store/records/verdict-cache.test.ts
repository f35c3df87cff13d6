import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedVerdicts } from "#src/store/records/verdict-cache.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("storedVerdicts", () => {
  const base = temporaryFolder()
  const silent = (): void => expect.fail("warned")

  it("gives back what was put", async () => {
    await storedVerdicts(fileTexts(base()), silent).put("sha256:ab", [{ usable: true }])
    expect(await storedVerdicts(fileTexts(base()), silent).get("sha256:ab")).to.deep.equal([{ usable: true }])
    expect(await storedVerdicts(fileTexts(base()), silent).get("sha256:cd")).to.equal(undefined)
  })

  for (const damage of ["", "{", "null", "[]", "\u0000"]) {
    it(`ignores a file that holds ${JSON.stringify(damage)}, and writes it anew`, async () => {
      const cache = storedVerdicts(fileTexts(base()), silent)
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
    await storedVerdicts(fileTexts(base()), (text) => warnings.push(text)).put("sha256:ab", 1)
    expect(warnings).to.have.lengthOf(1)
  })
})
