import { existsSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect } from "chai"
import { DURABILITY_HOOK, type Recorded } from "../support/durability-hook.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"

/** Calls by which KMS changes: what is asked for has to be on disk before. */
const CHANGES = new Set(["CreateKey", "ImportKeyMaterial", "RotateKeyOnDemand", "CreateAlias", "UpdateAlias"])

/** What the custody log has to say, and to have on disk, before a call is made. */
const SAID_BEFORE: Readonly<Record<string, string>> = {
  CreateKey: "kms-key.intended",
  ImportKeyMaterial: "import.intended",
}

/** The lock's ticket, the probe for room, and presentations of a PIN tell nothing that a power cut must not take. */
const PASSING = /\/(lock\/|\.room$|pin-presented(\/|$))/

/** What would not outlive a power cut, of calls in their order; and what KMS was asked before the log said so. */
function faultsOf(calls: readonly Recorded[], state: string): readonly string[] {
  const faults = new Set<string>()
  const written = new Set<string>()
  const renamed = new Set<string>()
  const said = new Set<string>()
  const settle = (moment: string): void => {
    for (const path of written) faults.add(`${path} is not fsynced before ${moment}`)
    for (const folder of renamed) faults.add(`the folder ${folder} is not fsynced before ${moment}`)
  }
  for (const { call, path, to = "", text = "" } of calls) {
    if (call !== "KMS" && (PASSING.test(path) || !(to || path).startsWith(state))) continue
    if (call === "write") {
      written.add(path)
      for (const [, event = ""] of text.matchAll(/"event":"([^"]+)"/g)) said.add(event)
    }
    if (call === "fsync") {
      written.delete(path)
      renamed.delete(path)
    }
    if (call === "remove") written.delete(path)
    if (call === "mkdir") renamed.add(dirname(path))
    if (call === "rename" || call === "link") {
      if (written.has(path)) faults.add(`${to} gets its name before its content is fsynced`)
      renamed.add(dirname(to))
    }
    if (call === "KMS" && CHANGES.has(path)) {
      settle(path)
      const event = SAID_BEFORE[path]
      if (event !== undefined && !said.has(event)) faults.add(`the custody log does not say ${event} before ${path}`)
      said.clear()
    }
  }
  settle("the end")
  return [...faults]
}

describe("what a power cut leaves (invariants I5, I8)", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
    state = join(stage.folder, "durable", "state")
  })
  after(() => stage[Symbol.asyncDispose]())

  async function recorded(args: readonly string[], folder = state): Promise<readonly Recorded[]> {
    const record = join(stage.folder, "record.jsonl")
    rmSync(record, { force: true })
    const env = { NODE_OPTIONS: `--import file://${DURABILITY_HOOK}`, KEYFERRY_TEST_RECORD: record }
    const result = await stage.run(args, { state: folder, env })
    expect(result.status, result.stderr).to.equal(0)
    const lines = readFileSync(record, "utf8").split("\n").slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Recorded)
  }
  const kms = (calls: readonly Recorded[]): readonly string[] =>
    calls.flatMap(({ call, path }) => (call === "KMS" && CHANGES.has(path) ? [path] : []))

  const commands: [title: string, args: readonly string[], asks: readonly string[]][] = [
    ["provision", provisionArgs({ name: "kept", custody: "sealed" }), ["CreateKey", "ImportKeyMaterial"]],
    ["rewrap", ["rewrap", "kept"], ["ImportKeyMaterial"]],
    ["rotate", ["rotate", "kept"], ["ImportKeyMaterial", "RotateKeyOnDemand"]],
  ]
  for (const [title, args, asks] of commands) {
    it(`${title} has every file and name on disk before KMS is asked, and at its end`, async function () {
      this.timeout(180_000)
      const calls = await recorded(args)
      expect(kms(calls)).to.include.members(asks)
      expect(faultsOf(calls, stage.folder)).to.deep.equal([])
    })
  }

  it("every file of the state was written so by one of them", async function () {
    this.timeout(180_000)
    const calls = await recorded(provisionArgs({ name: "also", custody: "sealed" }))
    const named = new Set(
      calls.flatMap(({ call, path, to }) => (call === "rename" ? [to] : call === "fsync" ? [path] : [])),
    )
    const files = filesUnder(state).filter((path) => path.includes("also") || path.startsWith("custody.log"))
    expect(files.map((path) => join(state, path)).filter((path) => !named.has(path))).to.deep.equal([])
    expect(files.some((path) => path.startsWith("vault/"))).to.equal(true)
    expect(files.some((path) => path.startsWith("inventory/"))).to.equal(true)
  })

  it("export and import leave an archive and a state that are on disk", async function () {
    this.timeout(180_000)
    const archive = join(stage.folder, "archive.jsonl")
    expect(faultsOf(await recorded(["state", "export", archive]), stage.folder)).to.deep.equal([])
    const restored = join(stage.folder, "restored", "state")
    const calls = await recorded(["state", "import", archive], restored)
    expect(calls.filter(({ call }) => call === "rename").length).to.be.greaterThan(5)
    expect(faultsOf(calls, stage.folder)).to.deep.equal([])
    expect(existsSync(join(restored, "importing.json"))).to.equal(false)
  })

  // what the recording of a careless run would look like
  const careless: [what: string, drop: (recorded: Recorded) => boolean][] = [
    ["the fsync of files", ({ call, path }) => call === "fsync" && path.endsWith(".tmp")],
    ["the fsync of folders", ({ call, path }) => call === "fsync" && !/\.(tmp|json|jsonl)$/.test(path)],
    ["the fsync of the custody log", ({ call, path }) => call === "fsync" && path.endsWith("custody.log.jsonl")],
    ["the custody log", ({ path }) => path.endsWith("custody.log.jsonl")],
  ]
  it("is seen to be lost where any of it is left out", async function () {
    this.timeout(180_000)
    const calls = await recorded(["rewrap", "also"])
    for (const [what, drop] of careless) {
      expect(
        faultsOf(
          calls.filter((call) => !drop(call)),
          stage.folder,
        ),
        what,
      ).not.to.deep.equal([])
    }
  })
})
