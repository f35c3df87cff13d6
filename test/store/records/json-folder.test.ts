import { mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { fileTexts } from "#src/store/files/file-texts.js"
import { jsonFolder, type TextFormat } from "#src/store/records/json-folder.js"
import { type Check, digestedJson, plainJson } from "#src/store/records/json-format.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

interface Kept {
  readonly name: string
  readonly bytes?: Uint8Array
}

describe("jsonFolder", () => {
  const base = temporaryFolder()
  /** A schema that takes names of letters, and puts them into capitals where it is told to. */
  const check =
    (reads: (name: string) => string) =>
    (json: unknown): Promise<{ content: Kept } | { fault: string }> => {
      const { name } = json as Kept
      return Promise.resolve(/^[a-z]+$/.test(name) ? { content: { name: reads(name) } } : { fault: "name is no name" })
    }
  const same = (name: string): string => name
  const files = (): readonly string[] => readdirSync(join(base(), "kept"))
  beforeEach(() => mkdirSync(join(base(), "kept"), { recursive: true }))

  type Format = (check: Check<Kept>) => TextFormat<Kept>
  const formats: readonly (readonly [kind: string, format: Format])[] = [
    ["plain", plainJson],
    ["digested", digestedJson],
  ]
  for (const [kind, format] of formats) {
    it(`writes what it reads again: ${kind}`, async () => {
      const folder = jsonFolder<Kept>(fileTexts(base()), ["kept"], format(check(same)))
      await folder.put("a.json", { name: "a" })
      expect(await folder.get("a.json")).to.deep.equal({ name: "a" })
    })

    it(`writes nothing that it would refuse to read: ${kind}`, async () => {
      const folder = jsonFolder<Kept>(fileTexts(base()), ["kept"], format(check(same)))
      const error = await expectCode("ERR_STATE_INVALID", () => folder.put("b.json", { name: "B 1" }))
      expect(error.message).to.include("name is no name")
      expect(files()).to.deep.equal([])
    })

    it(`writes nothing that it would read as something else: ${kind}`, async () => {
      const folder = jsonFolder<Kept>(fileTexts(base()), ["kept"], format(check((name) => name.toUpperCase())))
      await expectCode("ERR_STATE_INVALID", () => folder.put("c.json", { name: "c" }))
      const dropping = jsonFolder<Kept>(fileTexts(base()), ["kept"], format(check(same)))
      await expectCode("ERR_STATE_INVALID", () => dropping.put("d.json", { name: "d", bytes: Uint8Array.of(1) }))
      expect(files()).to.deep.equal([])
    })
  }
})
