import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"
import { provisionArgs } from "../support/refusal.js"

describe("a token whose firmware calls its manufacturer otherwise", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
    await stage.kms.rotationSeconds(1)
    expect((await run(...provision)).status).to.equal(0)
    change({ manufacturer: "Another Company", model: "another", firmwareVersion: "9.9" })
  })
  after(() => stage[Symbol.asyncDispose]())

  const provision = provisionArgs({ name: "payments" })
  const run = (...args: readonly string[]) => stage.run([...args, "--json"], { state })
  const change = (token: object): void => {
    const [file = ""] = filesUnder(join(state, "inventory"))
    const path = join(state, "inventory", file)
    const entry = JSON.parse(readFileSync(path, "utf8")) as { token: object }
    writeFileSync(path, JSON.stringify({ ...entry, token: { ...entry.token, ...token } }))
  }

  it("is the same token for provision, status, doctor, rotate and rewrap", async () => {
    const again = await run(...provision)
    expect([again.status, (again.json() as KeyResult).outcome], again.stderr).to.deep.equal([0, "nothing"])
    const status = await run("status")
    expect(status.stdout).not.to.include("SOURCE_ELSEWHERE").and.not.to.include("Another Company")
    const rotated = await run("rotate", "payments")
    expect(rotated.status, rotated.stderr).to.equal(0)
    change({ manufacturer: "Another Company" })
    const rewrapped = await run("rewrap", "payments")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    expect(rewrapped.stderr).not.to.include("restored copy")
    expect((await run("doctor")).stdout).not.to.include("Another Company")
  })

  it("is another token with another serial: refused alike, with one hint", async () => {
    change({ serial: "0000" })
    for (const args of [provision, ["rotate", "payments"]]) {
      const refused = await run(...args)
      expect([refused.status, refused.error().code], args[0]).to.deep.equal([65, "ERR_NAME_TAKEN"])
      expect(refused.error().hint).to.include("restore it from its backup")
    }
    const rewrapped = await run("rewrap", "payments")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    expect(rewrapped.stderr).to.include("restored copy")
  })
})
