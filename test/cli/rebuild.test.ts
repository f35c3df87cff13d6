import { renameSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { Rebuilding } from "#src/app/fleet/rebuild.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { setStage, type Stage } from "../support/stage.js"

describe("status --rebuild", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  it("brings back an inventory that was lost, sealed keys included, on which verify and status go on", async () => {
    const state = stage.state()
    const run = async (...words: readonly string[]): Promise<unknown> => {
      const result = await stage.run([...words, "--json"], { state })
      expect(result.status, result.stderr).to.equal(0)
      return result.json()
    }
    const key = ["provision", "--name", "sealed", "--key-spec", "SYMMETRIC_DEFAULT", "--alias", "alias/sealed"]
    const { keyArn, keyMaterialId } = (await run(...key)) as KeyResult
    renameSync(join(state, "inventory"), join(stage.folder, "lost"))
    const { keys, unseen } = (await run("status", "--rebuild")) as Rebuilding
    expect(unseen).to.deep.equal([])
    expect(keys.map(({ name, outcome, diesAt }) => ({ name, outcome, diesAt }))).to.deep.equal([
      { name: "sealed", outcome: "done", diesAt: null },
    ])
    const verified = (await run("verify", "--full")) as { keys: { outcome: string; keyArn: string }[] }
    expect(verified.keys.map((row) => [row.keyArn, row.outcome])).to.deep.equal([[keyArn, "done"]])
    expect(await run(...key)).to.include({ outcome: "nothing", keyArn, keyMaterialId, custody: "sealed" })
    const status = (await run("status")) as { keys: { outcome: string }[] }
    expect(status.keys.map(({ outcome }) => outcome)).to.deep.equal(["nothing"])
  })

  for (const [words, message] of [
    [["status", "payments", "--rebuild"], "takes no names"],
    [["status", "--overwrite"], "goes with --rebuild"],
  ] as const) {
    it(`refuses ${words.join(" ")}`, async () => {
      const result = await stage.run([...words, "--json"], { state: stage.state() })
      expect(result.status).to.equal(64)
      expect(result.error().message).to.include(message)
    })
  }
})
