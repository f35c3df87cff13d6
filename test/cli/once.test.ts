import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import type { KeyRow } from "#src/core/plan/row.js"
import type { OperationStatus } from "#src/app/operation/status.js"
import type { CliResult } from "#test/support/cli.js"
import { HOOKED } from "../support/kill-hook.js"
import { provisionArgs } from "../support/refusal.js"
import { keysNamed, setStage, type Stage } from "../support/stage.js"

const ALL = { IncludeKeyMaterial: "ALL_KEY_MATERIAL" } as const

describe("what makes something new is done once", () => {
  let stage: Stage
  let state: string
  let named = 0
  before(async () => {
    stage = await setStage()
    state = stage.state()
    await stage.kms.rotationSeconds(0)
  })
  afterEach(() => stage.kms.clearFaults())
  after(() => stage[Symbol.asyncDispose]())

  const run = (...args: readonly string[]): Promise<CliResult> => stage.run(args, { state })
  const well = async (...args: readonly string[]): Promise<CliResult> => {
    const result = await run(...args)
    expect(result.status, result.stderr).to.equal(0)
    return result
  }
  /** New keys, with names of their own. */
  const make = async (count: number, options: Readonly<Record<string, string>> = {}): Promise<readonly string[]> => {
    named += 1
    const names = Array.from({ length: count }, (_, index) => `k${named}${"abcd".charAt(index)}`)
    for (const name of names) await well(...provisionArgs({ name, ...options }))
    return names
  }
  const rowsOf = (result: CliResult): readonly (readonly [string, string, string])[] =>
    (result.json() as { keys: readonly KeyRow[] }).keys.map(({ name, outcome, reason }) => [name, outcome, reason])
  /** Key materials of the one KMS key of a name, and how often it was rotated. */
  const counted = async (name: string): Promise<readonly [materials: number, rotations: number]> => {
    const [key, second] = await keysNamed(stage.sdk, name)
    expect(second).to.equal(undefined)
    const { Rotations = [] } = await stage.sdk.listKeyRotations({ KeyId: key?.arn, ...ALL })
    return [Rotations.length, Rotations.filter(({ RotationDate }) => RotationDate !== undefined).length]
  }
  const countedAll = (names: readonly string[]) => Promise.all(names.map(counted))
  const operationFilesOf = (): readonly string[] => {
    const folder = join(state, "operations")
    return existsSync(folder) ? readdirSync(folder).filter((file) => !file.startsWith(".")) : []
  }
  const statusOf = async (): Promise<readonly OperationStatus[]> =>
    ((await run("status", "--json")).json() as { operations: readonly OperationStatus[] }).operations
  /** The command, killed before its last outside call: everything is done but that it has not ended. */
  const killedAtItsEnd = async (args: readonly string[], countedArgs: readonly string[]): Promise<string> => {
    const steps = join(stage.folder, `steps-of-${named}`)
    const env = { ...HOOKED, KEYFERRY_TEST_STEPS: steps }
    const whole = await stage.run(countedArgs, { state, env })
    expect(whole.status, whole.stderr).to.equal(0)
    const calls = readFileSync(steps, "utf8").trim().split("\n").length
    const killed = await stage.run(args, { state, env: { ...HOOKED, KEYFERRY_TEST_KILL_AT: String(calls - 1) } })
    expect(killed.signal, killed.stderr).to.equal("SIGKILL")
    return killed.stdout
  }
  /** `rotate` of the names, which KMS lets come to the last of them. */
  const stoppedAtTheLast = async (names: readonly string[]): Promise<void> => {
    await stage.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand", skip: names.length - 1, count: 20 })
    const stopped = await run("rotate", ...names, "--json")
    expect(stopped.status).to.equal(77)
    await stage.kms.clearFaults()
  }

  it("rotates each of three once where the third stopped and the same was run again", async () => {
    const names = await make(3)
    const [first = "", second = "", third = ""] = names
    await stoppedAtTheLast(names)
    const again = await run("rotate", ...names, "--json")
    expect(again.status, again.stderr).to.equal(0)
    expect(rowsOf(again)).to.deep.equal([
      [first, "nothing", "ALREADY"],
      [second, "nothing", "ALREADY"],
      [third, "done", "ROTATED"],
    ])
    expect(await countedAll(names)).to.deep.equal(Array(3).fill([2, 1]))
    expect(operationFilesOf()).to.deep.equal([])
    await well("rotate", first)
    expect(await counted(first), "the next one makes anew").to.deep.equal([3, 2])
  })

  it("leaves what an unfinished rotation is done with where other names are given, and makes the others new", async () => {
    const [first = "", second = "", third = ""] = await make(3)
    await stoppedAtTheLast([first, second])
    const other = await run("rotate", first, third, "--json")
    expect(other.status, other.stderr).to.equal(0)
    expect(rowsOf(other)).to.deep.equal([
      [first, "nothing", "ALREADY"],
      [third, "done", "ROTATED"],
    ])
    await well("rotate", second)
    expect(await countedAll([first, second, third])).to.deep.equal(Array(3).fill([2, 1]))
    expect(operationFilesOf()).to.deep.equal([])
  })

  for (const [what, answer] of [
    ["rotate", ["rotate"]],
    ["rotate with --json", ["rotate", "--json"]],
  ] as const) {
    it(`does not do it again where ${what} was killed after all was done`, async () => {
      const [counts = "", killed = ""] = await make(2)
      const [command = "", ...more] = answer
      const printed = await killedAtItsEnd([command, killed, ...more], [command, counts, ...more])
      expect(printed, "the result was told before the end was written").to.include(killed)
      expect(await counted(killed)).to.deep.equal([2, 1])
      const again = (await well("rotate", killed, "--json")).json() as KeyResult
      expect(again).to.include({ outcome: "nothing", generation: 1 })
      expect(await counted(killed)).to.deep.equal([2, 1])
      await well("rotate", killed)
      expect(await counted(killed), "the next one makes anew").to.deep.equal([3, 2])
    })
  }

  it("makes no third KMS key where replace was killed after all was done", async () => {
    const [counts = "", killed = ""] = await make(2, { "key-spec": "HMAC_256" })
    await killedAtItsEnd(["replace", killed], ["replace", counts])
    const again = (await well("replace", killed, "--json")).json() as KeyResult & { replaced: string }
    expect(again.outcome).to.equal("nothing")
    const keys = await keysNamed(stage.sdk, killed)
    expect(keys.map(({ arn }) => arn)).to.have.members([again.keyArn, again.replaced])
    expect(keys).to.have.length(2)
    expect(operationFilesOf()).to.deep.equal([])
  })

  it("makes no third custody key where reseal was killed after all was done", async () => {
    await make(1, { custody: "sealed" })
    const reseal = ["key", "reseal", "--all", "--new-custody-key"]
    const label = async (): Promise<string> =>
      ((await well("key", "reseal", "--all", "--json")).json() as { custodyKey: { label: string } }).custodyKey.label
    await killedAtItsEnd(reseal, reseal)
    expect(await label()).to.equal("keyferry/custody/keyferry/3")
    await well(...reseal)
    expect(await label()).to.equal("keyferry/custody/keyferry/3")
    await well(...reseal)
    expect(await label(), "the next one makes anew").to.equal("keyferry/custody/keyferry/4")
  })

  it("takes RotateKeyOnDemand's lost answer for what KMS is seen to do", async () => {
    const [name = ""] = await make(1)
    await stage.kms.fault({ kind: "drop-after", operation: "RotateKeyOnDemand", count: 1 })
    const result = (await well("rotate", name, "--json")).json() as KeyResult
    expect(result).to.include({ outcome: "done", generation: 1 })
    expect(await counted(name)).to.deep.equal([2, 1])
  })

  it("is shown by status, and finished by rewrap", async () => {
    const names = await make(2)
    const [first = "", second = ""] = names
    await stage.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand", count: 20 })
    // the first is begun and the second is asked for
    const killAt = new RegExp(`key\\.generated .*${second}/1`)
    const killed = await stage.run(["rotate", ...names, "--verbose"], { state, killAt })
    await stage.kms.clearFaults()
    expect(killed.signal).to.equal("SIGKILL")
    const [operation] = await statusOf()
    expect(operation?.command).to.equal("rotate")
    expect(operation?.keys.map(({ name }) => name)).to.deep.equal(names)
    const text = await run("status")
    expect(text.stdout).to.match(new RegExp(`not finished: rotate was asked for .*${first} begun.*rotate --abandon`))
    const rewrapped = await run("rewrap", "--json")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    const did = (rewrapped.json() as { keys: readonly (KeyRow & { did: readonly string[] })[] }).keys
    expect(did.filter(({ name }) => names.includes(name)).map((row) => row.did)).to.deep.equal([
      ["finish-rotation"],
      ["finish-rotation"],
    ])
    expect(await countedAll(names)).to.deep.equal(Array(2).fill([2, 1]))
    expect(await statusOf()).to.deep.equal([])
  })

  it("finishes by rewrap a replacement that was begun, and imports what is named again besides", async () => {
    const [name = ""] = await make(1, { "key-spec": "HMAC_256" })
    const killed = await stage.run(["replace", name, "--tag", "cost=7"], { state, killAt: /KMS key arn:/ })
    expect(killed.signal).to.equal("SIGKILL")
    const rewrapped = await run("rewrap", name, "--json")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    const [row] = (rewrapped.json() as { keys: readonly { did: readonly string[] }[] }).keys
    expect(row?.did).to.deep.equal(["rewrap", "finish-replacement"])
    const keys = await keysNamed(stage.sdk, name)
    expect(keys.map(({ tags }) => tags["cost"] ?? null).sort(), "as it was asked for").to.deep.equal(["7", null])
    expect(operationFilesOf()).to.deep.equal([])
  })

  it("is given up by rotate --abandon: what was not begun, and what waits in KMS", async () => {
    const names = await make(2)
    const [first = "", second = ""] = names
    await stage.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand", count: 20 })
    const stopped = await run("rotate", ...names)
    expect(stopped.status).to.equal(77)
    await stage.kms.clearFaults()
    expect(await countedAll(names), "staged").to.deep.equal(Array(2).fill([2, 0]))
    const unsaid = await run("rotate", "--abandon", first, "--json")
    expect([unsaid.status, unsaid.error().code]).to.deep.equal([64, "ERR_CONFIRMATION_MISSING"])
    expect(unsaid.error().message).to.include("is deleted there")
    const given = await well("rotate", "--abandon", first, "--yes", "--json")
    expect(rowsOf(given)).to.deep.equal([[first, "done", "ABANDONED"]])
    expect(await counted(first)).to.deep.equal([1, 0])
    expect((await statusOf())[0]?.keys.map(({ name }) => name)).to.deep.equal([second])
    await well("rotate", "--abandon", second, "--yes")
    expect(operationFilesOf()).to.deep.equal([])
    const nothing = await well("rotate", "--abandon", second, "--json")
    expect(rowsOf(nothing)).to.deep.equal([[second, "nothing", "ALREADY"]])
    await well("rotate", first)
    expect(await counted(first), "and can be rotated as before").to.deep.equal([2, 1])
    expect((await run("plan", "--detailed-exitcode")).status).to.equal(0)
  })

  it("names an operation that cannot be read, refuses that command alone, and goes on with the rest", async () => {
    const [name = ""] = await make(1)
    const path = join(state, "operations", "rotate-00000000-0000-4000-8000-000000000000.json")
    writeFileSync(path, "garbage")
    const refused = await run("rotate", name, "--json")
    expect([refused.status, refused.error().code, refused.error().key]).to.deep.equal([65, "ERR_STATE_INVALID", path])
    expect(await counted(name)).to.deep.equal([1, 0])
    const rewrapped = await well("rewrap", name)
    expect(rewrapped.stderr).to.include(path)
    expect((await well("status")).stdout).to.include(path)
    await well("replace", name)
  })
})
