import { cpSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { generationsOf } from "#src/core/records/inventory.js"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { storedVault } from "#src/store/records/vault.js"
import { type CliResult, outcomesByName } from "#test/support/cli.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"

describe("state merge", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
  })
  afterEach(() => stage.kms.clearFaults())
  after(() => stage[Symbol.asyncDispose]())

  const run = (state: string, ...args: readonly string[]): Promise<CliResult> => stage.run(args, { state })
  const well = async (state: string, ...args: readonly string[]): Promise<CliResult> => {
    const result = await run(state, ...args)
    expect(result.status, result.stderr + result.stdout).to.equal(0)
    return result
  }
  const copyOf = (state: string): string => {
    const copy = stage.state()
    cpSync(state, copy, { recursive: true })
    return copy
  }
  const entryIn = async (state: string, name: string) =>
    (await storedInventory(fileTexts(state)).get(name, "us-east-1")) ?? expect.fail(`no entry of ${name}`)
  const materialsOf = async (KeyId: string | null): Promise<readonly (string | undefined)[]> => {
    const { Rotations = [] } = await stage.sdk.listKeyRotations({
      KeyId: KeyId ?? "",
      IncludeKeyMaterial: "ALL_KEY_MATERIAL",
    })
    return Rotations.map(({ KeyMaterialId }) => KeyMaterialId)
  }
  /** Everything of the state directory that stands for something, as it is on disk. */
  const contentOf = (state: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      filesUnder(state)
        .filter((file) => /^(inventory|vault|custody-keys|operations|to-be-locked|merged-logs)\//.test(file))
        .map((file) => [file, readFileSync(join(state, file), "utf8")]),
    )

  it("has every generation of two hosts that rotated copies of one state", async () => {
    const ours = stage.state()
    await well(ours, ...provisionArgs({ name: "both", custody: "sealed" }))
    await well(ours, ...provisionArgs({ name: "idle" }))
    const theirs = copyOf(ours)
    // the other host wraps while this one has not come to KMS yet, so that neither knows of the other
    await well(theirs, "rotate", "both")
    const stale = await run(ours, "rotate", "both", "--json")
    expect([stale.status, stale.error().code]).to.deep.equal([65, "ERR_STATE_INCOMPLETE"])
    const merged = await well(ours, "state", "merge", theirs, "--json")
    expect(outcomesByName(merged)).to.deep.equal({ both: "done MERGED", idle: "nothing SAME" })
    const { keyArn, imports, source } = await entryIn(ours, "both")
    expect(source.generation).to.equal(1)
    expect(imports.map(({ keyMaterialId }) => keyMaterialId)).to.have.members(await materialsOf(keyArn))
    await well(ours, "rotate", "both")
    await well(ours, "rewrap", "both")
    const again = await well(ours, "state", "merge", theirs, "--json")
    expect(outcomesByName(again)).to.deep.equal({ both: "nothing SAME", idle: "nothing SAME" })
    const log = readFileSync(join(ours, "custody.log.jsonl"), "utf8").trim().split("\n")
    expect(verifyChain(log)).to.have.property("end")
    expect(readdirSync(join(ours, "merged-logs"))).to.have.length(1)
  })

  it("asks KMS for the order where both rotated, and each then has every generation", async () => {
    const ours = stage.state()
    await well(ours, ...provisionArgs({ name: "raced", custody: "sealed" }))
    const theirs = copyOf(ours)
    await well(theirs, "rotate", "raced")
    // as if this host had looked before the other's import: a copy that knows it rotates on, and forgets where from
    const third = copyOf(theirs)
    await well(third, "rotate", "raced")
    const behind = await entryIn(third, "raced")
    const forgetful = { ...behind, earlier: behind.earlier.filter(({ generation }) => generation !== 1) }
    const renumbered = {
      ...forgetful,
      source: { ...forgetful.source, generation: 1 },
      imports: forgetful.imports.flatMap((record) =>
        record.generation === 1 ? [] : [{ ...record, generation: Math.min(record.generation, 1) }],
      ),
    }
    await storedInventory(fileTexts(third)).put(renumbered)
    const merged = await well(third, "state", "merge", theirs, "--json")
    expect(outcomesByName(merged)).to.deep.equal({ raced: "done MERGED" })
    const entry = await entryIn(third, "raced")
    expect(generationsOf(entry).map(({ generation }) => generation)).to.deep.equal([0, 1, 2])
    expect(generationsOf(entry).map(({ id }) => id)).to.deep.equal(generationsOf(behind).map(({ id }) => id))
    const ids = [0, 1, 2].map((at) => entry.imports.find(({ generation }) => generation === at)?.keyMaterialId)
    const { Rotations = [] } = await stage.sdk.listKeyRotations({
      KeyId: entry.keyArn ?? "",
      IncludeKeyMaterial: "ALL_KEY_MATERIAL",
    })
    expect(Rotations.find(({ KeyMaterialState }) => KeyMaterialState === "CURRENT")?.KeyMaterialId).to.equal(ids[2])
    expect(ids).to.have.members(await materialsOf(entry.keyArn))
    const rewrapped = await well(third, "rewrap", "raced", "--json")
    expect(outcomesByName(rewrapped)).to.deep.equal({ raced: "done ASKED" })
    expect((await storedVault(fileTexts(third)).list()).sealed).to.have.length(3)
  })

  it("takes over keys, sealed material and what is not finished, and changes nothing in the copy", async () => {
    const ours = stage.state()
    await well(ours, ...provisionArgs({ name: "here", custody: "sealed" }))
    const theirs = copyOf(ours)
    await well(theirs, ...provisionArgs({ name: "there", custody: "sealed" }))
    await stage.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand", count: 20 })
    expect((await run(theirs, "rotate", "here", "there")).status).to.equal(77)
    await stage.kms.clearFaults()
    const before = contentOf(theirs)
    const merged = await well(ours, "state", "merge", theirs, "--json")
    expect(outcomesByName(merged)).to.deep.equal({ here: "done MERGED", there: "done MERGED" })
    expect((merged.json() as { taken: object }).taken).to.include({ sealed: 3, operations: 1 })
    expect(contentOf(theirs)).to.deep.equal(before)
    await well(ours, "rotate", "here", "there")
    for (const name of ["here", "there"]) {
      const { keyArn, earlier } = await entryIn(ours, name)
      expect([earlier.length, (await materialsOf(keyArn)).length]).to.deep.equal([1, 2])
    }
  })

  it("remembers what either copy deleted on purpose", async () => {
    const ours = stage.state()
    for (const name of ["kept", "gone", "old"]) await well(ours, ...provisionArgs({ name }))
    await well(ours, "replace", "old")
    const theirs = copyOf(ours)
    await well(theirs, "delete-material", "gone", "--yes")
    await well(theirs, "retire", "old", "--yes")
    await well(ours, "state", "merge", theirs)
    const retired = (await entryIn(ours, "old")).former[0]
    expect(retired?.retiredAt).to.equal((await entryIn(theirs, "old")).former[0]?.retiredAt)
    const due = await run(ours, "rewrap", "--json")
    expect([due.status, outcomesByName(due)["gone"]]).to.deep.equal([65, "blocked MATERIAL_DELETED"])
    // and the other way round: the copy does not know of it
    const older = stage.state()
    cpSync(ours, older, { recursive: true })
    const entry = await entryIn(older, "gone")
    await storedInventory(fileTexts(older)).put({ ...entry, withheldAt: null })
    await well(ours, "state", "merge", older)
    expect((await entryIn(ours, "gone")).withheldAt).to.equal((await entryIn(theirs, "gone")).withheldAt)
    await well(ours, "recover", "gone", "--yes")
    expect((await entryIn(ours, "gone")).withheldAt, "brought back by name").to.equal(null)
    await well(ours, "state", "merge", theirs)
    expect((await entryIn(ours, "gone")).withheldAt, "and stays so").to.equal(null)
  })

  it("names contradictions, leaves those keys as they are, and joins the others", async () => {
    const ours = stage.state()
    await well(ours, ...provisionArgs({ name: "split" }))
    const theirs = copyOf(ours)
    await well(theirs, "replace", "split")
    await well(theirs, ...provisionArgs({ name: "third" }))
    const { keyArn } = await entryIn(theirs, "split")
    const entry = await entryIn(ours, "split")
    const another = { ...entry, keyArn: `${keyArn ?? ""}0`, requestId: "another" }
    await storedInventory(fileTexts(ours)).put(another)
    const merged = await run(ours, "state", "merge", theirs, "--json")
    expect([merged.status, outcomesByName(merged)]).to.deep.equal([
      65,
      { split: "blocked CONTRADICTION", third: "done MERGED" },
    ])
    expect(merged.stdout).to.include(keyArn)
    expect(await entryIn(ours, "split")).to.deep.equal(another)
  })

  it("goes around what cannot be read in the copy, and refuses what is no copy", async () => {
    const ours = stage.state()
    await well(ours, ...provisionArgs({ name: "read" }))
    const theirs = copyOf(ours)
    writeFileSync(join(theirs, "inventory", "us-east-1", "spoilt.json"), "garbage")
    const merged = await run(ours, "state", "merge", theirs, "--json")
    expect([merged.status, outcomesByName(merged)]).to.deep.equal([
      65,
      { read: "nothing SAME", spoilt: "blocked ERR_STATE_INVALID" },
    ])
    const none = await run(ours, "state", "merge", stage.folder, "--json")
    expect([none.status, none.error().code]).to.deep.equal([65, "ERR_INPUT_UNREADABLE"])
    const itself = await run(ours, "state", "merge", ours, "--json")
    expect([itself.status, itself.error().code]).to.deep.equal([64, "ERR_USAGE"])
    expect((await run(ours, "state", "merge")).status).to.equal(64)
  })
})
