import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { RotateOperation } from "#src/core/records/operation.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedOperations } from "#src/store/records/operations.js"
import { storedToBeLocked } from "#src/store/records/to-be-locked.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const id = (end: string): string => `00000000-0000-4000-8000-00000000000${end}`

const rotation = (id: string, askedAt: string): RotateOperation => ({
  command: "rotate",
  id,
  owner: "keyferry",
  target: "default",
  askedAt,
  keys: [{ name: "payments", keyArn: "arn:aws:kms:eu-west-3:111122223333:key/1", generation: 1 }],
  wishes: { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "full" },
})

describe("operations as files", () => {
  const folder = temporaryFolder()
  const path = (file: string): string => join(folder(), "operations", file)
  const [later, earlier] = [rotation(id("a"), "2026-03-02T00:00:00Z"), rotation(id("b"), "2026-03-01T00:00:00Z")]

  it("come back in the order in which they were asked for, until they are removed", async () => {
    const files = storedOperations(fileTexts(folder()))
    expect(await files.list()).to.deep.equal({ operations: [], damaged: [] })
    for (const operation of [later, earlier]) await files.put(operation)
    expect(statSync(path(`rotate-${id("a")}.json`)).mode & 0o777).to.equal(0o600)
    expect(await storedOperations(fileTexts(folder())).list()).to.deep.equal({
      operations: [earlier, later],
      damaged: [],
    })
    for (const count of [1, 2]) {
      await files.remove(earlier)
      expect((await files.list()).operations, `removed ${count} times`).to.deep.equal([later])
    }
  })

  it("stand under no name that leads elsewhere", async () => {
    await expectCode("ERR_BUG", () =>
      storedOperations(fileTexts(folder())).put(rotation(`../${id("a")}`, later.askedAt)),
    )
    await expectCode("ERR_BUG", () => storedToBeLocked(fileTexts(folder())).add({ id: "../0a", label: "x" }))
    expect(readdirSync(folder())).to.deep.equal([])
  })

  const damages: [what: string, damage: () => void, command: string | null, reason: RegExp][] = [
    ["null", () => writeFileSync(path(`rotate-${id("a")}.json`), "null\n"), "rotate", /it is no JSON object/],
    ["a list", () => writeFileSync(path(`rotate-${id("a")}.json`), "[]\n"), "rotate", /it is no JSON object/],
    ["cut", () => writeFileSync(path(`rotate-${id("a")}.json`), "{"), "rotate", /it is not JSON/],
    [
      "told of twice, whatever its digest says",
      () =>
        writeFileSync(
          path(`rotate-${id("a")}.json`),
          readFileSync(path(`rotate-${id("a")}.json`), "utf8").replace(
            '"generation": 1',
            '"generation": 2, "generation": 1',
          ),
        ),
      "rotate",
      /it has the member "generation" twice/,
    ],
    [
      "changed",
      () =>
        writeFileSync(
          path(`rotate-${id("a")}.json`),
          readFileSync(path(`rotate-${id("a")}.json`), "utf8").replace('"generation": 1', '"generation": 2'),
        ),
      "rotate",
      /its digest does not fit/,
    ],
    [
      "under another command's name",
      () => renameSync(path(`rotate-${id("a")}.json`), path(`replace-${id("a")}.json`)),
      "replace",
      /is not the file of its name/,
    ],
    [
      "under another ID",
      () => renameSync(path(`rotate-${id("a")}.json`), path(`rotate-${id("c")}.json`)),
      "rotate",
      /is not the file of its name/,
    ],
    [
      "under a strange name",
      () => renameSync(path(`rotate-${id("a")}.json`), path("rotate.json")),
      null,
      /not the name of such a file/,
    ],
    [
      "a folder",
      () => {
        renameSync(path(`rotate-${id("a")}.json`), join(folder(), "moved"))
        mkdirSync(path(`rotate-${id("a")}.json`))
      },
      "rotate",
      /it cannot be read: /,
    ],
    [
      "a link",
      () => {
        renameSync(path(`rotate-${id("a")}.json`), join(folder(), "moved"))
        symlinkSync(join(folder(), "moved"), path(`rotate-${id("a")}.json`))
      },
      "rotate",
      /it cannot be read: /,
    ],
  ]
  for (const [what, damage, command, reason] of damages) {
    it(`tell of one that is damaged, and of the others: ${what}`, async () => {
      for (const operation of [later, earlier]) await storedOperations(fileTexts(folder())).put(operation)
      damage()
      const { operations, damaged } = await storedOperations(fileTexts(folder())).list()
      expect(operations).to.deep.equal([earlier])
      expect(damaged.map((one) => one.command)).to.deep.equal([command])
      expect(damaged[0]?.reason).to.match(reason)
    })
  }
})
