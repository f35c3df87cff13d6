import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { setStage, type Stage } from "../support/stage.js"

const DAY_S = 86_400
const DAY_MS = DAY_S * 1000

interface Row {
  readonly name: string
  readonly keyArn: string
  readonly outcome: string
  readonly reason: string
}

interface Skewed {
  readonly keys?: readonly Row[]
  readonly keyArn?: string
  readonly validTo?: string
  readonly warnings?: readonly {
    readonly code: string
    readonly target: string | null
    readonly offsetSeconds: number
  }[]
}

/** The host's clock stays as it is; KMS' is days away from it, as the admin path of the local KMS sets it. */
describe("a host's clock that is not KMS'", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())
  beforeEach(async () => {
    state = stage.state()
    await stage.kms.clock.set(new Date())
  })

  const run = (...args: readonly string[]): Promise<CliResult> => stage.run([...args, "--json"], { state })
  const done = async (...args: readonly string[]): Promise<Skewed> => {
    const result = await run(...args)
    expect(result.status, result.stderr).to.equal(0)
    return result.json() as Skewed
  }
  const days = (count: number): Promise<void> => stage.kms.clock.advance(count * DAY_S)
  const provision = (name: string, ...more: readonly string[]): Promise<Skewed> =>
    done("provision", "--name", name, "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token", ...more)
  const rowsOf = (result: CliResult): readonly (readonly [string, string])[] =>
    (result.json() as { keys: readonly Row[] }).keys.map(({ outcome, reason }) => [outcome, reason])
  const validTo = async (keyArn = ""): Promise<number> =>
    (await stage.sdk.describeKey({ KeyId: keyArn })).KeyMetadata?.ValidTo?.getTime() ?? NaN

  it("finds due what is due by KMS' time, and expired what has expired; each result names the clock", async () => {
    const { keyArn, warnings } = await provision("due", "--expires-in", "90d")
    expect(warnings).to.equal(undefined)
    await days(10)
    expect(rowsOf(await run("rewrap", "--due"))).to.deep.equal([["nothing", "NOT_DUE"]])
    await days(58)
    const due = await run("rewrap", "--due")
    expect(rowsOf(due)).to.deep.equal([["done", "DUE"]])
    expect((await validTo(keyArn)) - (await stage.kms.clock.now()).getTime()).to.be.within(89.9 * DAY_MS, 90 * DAY_MS)
    const [warning, second] = (due.json() as Skewed).warnings ?? []
    expect(second).to.equal(undefined)
    expect(warning).to.include({ code: "CLOCK_SKEW", target: null })
    expect(warning?.offsetSeconds).to.be.within(68 * DAY_S - 30, 68 * DAY_S + 30)
    await days(92)
    const { keys: [row] = [], warnings: skews } = (await run("status")).json() as Skewed
    expect(row).to.include({ reason: "EXPIRED" })
    expect(skews?.[0]?.code).to.equal("CLOCK_SKEW")
    expect(rowsOf(await run("rewrap", "--due"))).to.deep.equal([["done", "EXPIRED"]])
  })

  for (const behind of [25, -25]) {
    it(`shortens nothing where the host is ${behind} days behind`, async () => {
      await days(behind)
      const { keyArn } = await provision(`kept-${behind + 25}`, "--expires-in", "90d")
      const before = await validTo(keyArn)
      expect(before - (await stage.kms.clock.now()).getTime()).to.be.within(89.9 * DAY_MS, 90 * DAY_MS)
      for (const command of [["rewrap", "--due"], ["apply"]]) {
        expect(rowsOf(await run(...command))).to.deep.equal([["nothing", "NOT_DUE"]])
        expect(await validTo(keyArn)).to.equal(before)
      }
      const status = (await run("status")).json() as { keys: { generations: { daysLeft: number }[] }[] }
      expect(status.keys[0]?.generations[0]?.daysLeft).to.equal(89)
    })
  }

  it("imports for five days although the host is 25 days behind", async () => {
    await days(25)
    const { keyArn } = await provision("short", "--expires-in", "5d")
    expect((await validTo(keyArn)) - (await stage.kms.clock.now()).getTime()).to.be.within(4.9 * DAY_MS, 5 * DAY_MS)
  })

  it("refuses a time that is past by KMS' clock before anything is made, and takes one that is past by the host's alone", async () => {
    await days(25)
    const before = await stage.footprint(state)
    const past = new Date(Date.now() + 5 * DAY_MS).toISOString()
    const words = ["provision", "--name", "late", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token"]
    const refused = await run(...words, "--expires-in", past)
    expect(refused.error().code).to.equal("ERR_EXPIRY_INVALID")
    expect(refused.status).to.equal(64)
    expect((JSON.parse(refused.stderr.trim().split("\n").at(-1) ?? "") as Skewed).warnings?.[0]?.code).to.equal(
      "CLOCK_SKEW",
    )
    expect(await stage.footprint(state)).to.deep.equal(before)
    await days(-50)
    const ahead = new Date(Date.now() - 5 * DAY_MS).toISOString()
    const { keyArn } = await provision("early", "--expires-in", ahead)
    expect(await validTo(keyArn)).to.equal(Math.floor(Date.parse(ahead) / 1000) * 1000)
  })

  it("goes on with what has expired by KMS' clock where provision is run again", async () => {
    const first = await provision("again", "--expires-in", "10d")
    expect((await provision("again", "--expires-in", "10d")).validTo).to.equal(first.validTo)
    await days(11)
    await provision("again", "--expires-in", "10d")
    expect((await stage.sdk.describeKey({ KeyId: first.keyArn })).KeyMetadata?.KeyState).to.equal("Enabled")
  })

  const deletions: readonly [title: string, remove: (keyArn: string, name: string) => Promise<unknown>][] = [
    ["delete-material", (_, name) => run("delete-material", name, "--yes", "--lose-last-copy")],
    [
      "the AWS CLI, seen by a run",
      async (KeyId) => {
        await stage.sdk.deleteImportedKeyMaterial({ KeyId })
        return await run("rewrap", "--due")
      },
    ],
    [
      "the AWS CLI, seen by status alone",
      async (KeyId) => {
        await stage.sdk.deleteImportedKeyMaterial({ KeyId })
        return await run("status")
      },
    ],
  ]
  for (const [index, [title, remove]] of deletions.entries()) {
    it(`keeps away what was deleted by ${title}, when the expiry that it had has passed by both clocks`, async () => {
      const name = `gone-${index}`
      const { keyArn = "" } = await provision(name, "--expires-in", "90d")
      await remove(keyArn, name)
      await days(100)
      for (const command of [["rewrap", "--due"], ["apply"], ["rewrap", "--all"], ["rewrap", name]]) {
        expect(rowsOf(await run(...command))).to.deep.equal([["blocked", "MATERIAL_DELETED"]])
      }
      const again = await run("provision", "--name", name, "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token")
      expect(again.error()).to.include({ code: "ERR_KMS_KEY_STATE" })
      const rotated = await run("rotate", name)
      expect(rotated.error()).to.include({ code: "ERR_KMS_KEY_STATE" })
      for (const { hint } of [again.error(), rotated.error()]) expect(hint).to.include(`keyferry recover ${name} --yes`)
      expect((await stage.sdk.describeKey({ KeyId: keyArn })).KeyMetadata?.KeyState).to.equal("PendingImport")
      expect(rowsOf(await run("recover", name, "--yes"))).to.deep.equal([["done", "DELETED"]])
      expect(readFileSync(join(state, "inventory", "us-east-1", `${name}.json`), "utf8")).to.not.include("deletedAt")
    })
  }

  it("ends material earlier only when a person says so", async () => {
    const file = join(stage.folder, "shorter.yaml")
    const manifest = (expiresIn: string): void =>
      writeFileSync(
        file,
        `version: 1\ntokens: { t: { uri: "${stage.token.uri}" } }\ntargets: { us-east-1: { region: us-east-1 } }\n` +
          `defaults: { custody: token }\nkeys: { shorter: { keySpec: SYMMETRIC_DEFAULT, expiresIn: ${expiresIn} } }\n`,
      )
    manifest("90d")
    const { keys: [made] = [] } = await done("apply", "--config", file)
    const before = await validTo(made?.keyArn)
    manifest("30d")
    for (const command of ["apply", "rewrap", "plan"]) {
      const result = await run(command, "--config", file)
      expect(rowsOf(result)).to.deep.equal([["blocked", "EXPIRY_SHORTER"]])
      expect(result.status).to.equal(78)
    }
    expect(await validTo(made?.keyArn)).to.equal(before)
    await done("apply", "--config", file, "--yes")
    expect(await validTo(made?.keyArn)).to.be.below(before - 59 * DAY_MS)
  })

  it("is told by doctor, and by every command that asks KMS", async () => {
    await days(3)
    await provision("told")
    for (const command of [["doctor"], ["status"], ["plan"], ["verify"], ["rewrap"], ["disable", "told", "--yes"]]) {
      const result = await run(...command)
      const skews = (result.json() as Skewed).warnings ?? []
      expect(
        skews.map(({ code }) => code),
        command.join(" "),
      ).to.deep.equal(["CLOCK_SKEW"])
      expect(result.stderr).to.match(/this host's clock is 3 days behind KMS'.*\[CLOCK_SKEW\]/)
    }
  })
})
