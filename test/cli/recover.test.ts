import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import type { StatusRow } from "#src/app/fleet/status.js"
import type { DecisionRow } from "#src/core/plan/decision-row.js"
import type { RecoveryTime } from "#src/core/plan/recovery.js"
import type { RowSummary } from "#src/core/plan/row.js"
import { type CliResult, outcomesByName } from "../support/cli.js"
import { type KmsProxy, startKmsProxy } from "../support/kms-proxy.js"
import { kmsClient } from "../support/local-kms.js"
import { refused } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"

const HERE = "us-east-1"
const THERE = "eu-west-3"
const DAY_S = 86_400

interface Recovered {
  readonly keys: readonly DecisionRow[]
  readonly summary: RowSummary & RecoveryTime
}

describe("recover", () => {
  let stage: Stage
  let state: string
  let config: string
  let proxy: KmsProxy
  let there: KMS
  /** Names of the keys that took an import, in the order in which the local KMS answered. */
  let imported: string[] = []
  const names = new Map<string, string>()

  // names stand in the opposite order of what is most important, as they do in the file
  const manifest = (more = ""): string => `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets:
  here: { region: ${HERE}, endpoint: ${JSON.stringify(proxy.endpoint)}, quotas: { GetParametersForImport: 100, ImportKeyMaterial: 100 } }
  there: { region: ${THERE}, endpoint: ${JSON.stringify(proxy.endpoint)}, quotas: { GetParametersForImport: 100, ImportKeyMaterial: 100 } }
defaults: { custody: token, wrappingKeySpec: RSA_2048, targets: [here] }
keys:
  a-late: { keySpec: HMAC_256, custody: sealed }
  b-late: { keySpec: HMAC_256, expiresIn: 20d }
  c-late: { keySpec: HMAC_256 }
  d-late: { keySpec: HMAC_256 }
  x-third: { keySpec: HMAC_256, targets: [here, there], priority: 3 }
  y-second: { keySpec: HMAC_256, targets: [here, there], priority: 2 }
  z-first: { keySpec: SYMMETRIC_DEFAULT, multiRegion: { replicas: [${THERE}] }, priority: 1 }
${more}`
  const run = (args: readonly string[], killWhen?: Promise<unknown>): Promise<CliResult> =>
    stage.run([...args, "--config", config], { state, ...(killWhen === undefined ? {} : { killWhen }) })
  const recovered = (result: CliResult): Recovered => {
    expect(result.stdout, result.stderr).to.not.equal("")
    return result.json() as Recovered
  }

  const client = (keyArn: string): KMS => (keyArn.includes(THERE) ? there : stage.sdk)
  /** ARNs of the KMS keys of a name, in both Regions. */
  const arnsOf = (name: string): readonly string[] =>
    [...names].filter(([, named]) => named === name).map(([keyArn]) => keyArn)
  /** Another client deletes all key material of it, everywhere. */
  async function deleteMaterial(name: string): Promise<void> {
    for (const KeyId of arnsOf(name)) {
      const { KeyMetadata } = await client(KeyId).describeKey({ KeyId })
      if (KeyMetadata?.KeySpec !== "SYMMETRIC_DEFAULT") {
        await client(KeyId).deleteImportedKeyMaterial({ KeyId })
        continue
      }
      const { Rotations = [] } = await client(KeyId).listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })
      for (const { KeyMaterialId } of Rotations) await client(KeyId).deleteImportedKeyMaterial({ KeyId, KeyMaterialId })
    }
  }
  async function dead(): Promise<readonly string[]> {
    const states = await Promise.all(
      [...names.keys()].map(async (KeyId) => (await client(KeyId).describeKey({ KeyId })).KeyMetadata?.KeyState),
    )
    return [...names.values()].filter((_, index) => states[index] !== "Enabled")
  }

  before(async () => {
    stage = await setStage({ regions: [HERE, THERE] })
    await stage.kms.rotationSeconds(0)
    await stage.kms.replicationSeconds(0)
    proxy = await startKmsProxy(stage.kms.endpoint)
    there = kmsClient(stage.kms, THERE)
    state = stage.state()
    config = join(stage.folder, "recover.yaml")
    writeFileSync(config, manifest())
    const made = await run(["apply"])
    expect(made.status, made.stdout + made.stderr).to.equal(0)
    const rotated = await run(["rotate", "z-first"])
    expect(rotated.status, rotated.stderr).to.equal(0)
    for (const sdk of [stage.sdk, there]) {
      const { Keys = [] } = await sdk.listKeys({ Limit: 100 })
      for (const { KeyId = "", KeyArn = "" } of Keys) {
        const { Tags = [] } = await sdk.listResourceTags({ KeyId })
        const name = Tags.find(({ TagKey }) => TagKey === "keyferry:name")?.TagValue
        names.set(KeyArn, name ?? "z-first")
      }
    }
    expect([...names.values()].sort().join(" ")).to.equal(
      "a-late b-late c-late d-late x-third x-third y-second y-second z-first z-first",
    )
    proxy.alter("ImportKeyMaterial", (answer, request) => {
      imported.push(nameOfId(String(request["KeyId"])))
      return answer
    })
  })
  after(async () => {
    there.destroy()
    await proxy[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
  })

  const nameOfId = (id: string): string =>
    [...names].find(([keyArn]) => keyArn === id || keyArn.endsWith(`/${id}`))?.[1] ?? id

  it("has nothing to do while KMS has all of it, and spends nothing", async () => {
    const before = await stage.footprint(state)
    const ended = await run(["recover", "--json"])
    expect(ended.status, ended.stderr).to.equal(0)
    expect(new Set(Object.values(outcomesByName(ended)))).to.deep.equal(new Set(["nothing NOT_LOST"]))
    expect((await run(["recover", "--plan"])).stdout).to.match(/^nothing is lost, of 9 seen/)
    expect(await stage.footprint(state)).to.deep.equal(before)
  })

  it("plans the order and the time, and spends nothing", async () => {
    await stage.kms.clock.advance(30 * DAY_S)
    for (const name of ["a-late", "c-late", "x-third", "y-second", "z-first"]) await deleteMaterial(name)
    expect(await dead()).to.have.length(9)
    const before = await stage.footprint(state)
    const planned = await run(["recover", "--plan", "--json"])
    expect(planned.status, planned.stderr).to.equal(0)
    const { keys, summary } = recovered(planned)
    expect(
      keys.map(({ name, target, outcome, reason, imports }) => [name, target, outcome, reason, imports.length]),
    ).to.deep.equal([
      // two generations, in two Regions
      ["z-first", "here", "planned", "DELETED", 4],
      ["y-second", "here", "planned", "DELETED", 1],
      ["y-second", "there", "planned", "DELETED", 1],
      ["x-third", "here", "planned", "DELETED", 1],
      ["x-third", "there", "planned", "DELETED", 1],
      ["a-late", "here", "planned", "DELETED", 1],
      ["b-late", "here", "planned", "EXPIRED", 1],
      ["c-late", "here", "planned", "DELETED", 1],
      ["d-late", "here", "nothing", "NOT_LOST", 0],
    ])
    expect(summary).to.include({ keys: 9, planned: 8, nothing: 1, imports: 11, perSecond: 194, seconds: 0 })
    expect(summary)
      .to.have.property("finishes")
      .that.matches(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(summary.ask).to.deep.equal([])
    const text = await run(["recover", "--plan"])
    expect(text.stdout)
      .to.match(/z-first[^]*y-second[^]*x-third[^]*a-late[^]*b-late[^]*c-late/)
      .and.match(/^11 imports at 194 a second, the quotas of KMS: 0 s, until /m)
      .and.match(
        /deleted from KMS rather than expired, which may have been meant: z-first, y-second, x-third, a-late, c-late$/m,
      )
      .and.match(/^1 more lost nothing$/m)
      .and.not.match(/d-late/)
    expect(await stage.footprint(state)).to.deep.equal(before)
  })

  it("shows in status that a key is dead, what it holds back, and the command", async () => {
    const { keys } = (await run(["status", "--json"])).json() as { readonly keys: readonly StatusRow[] }
    const losses = new Map(keys.map((key) => [`${key.name} ${key.target}`, key.dead]))
    expect(losses.get("d-late here")).to.equal(null)
    expect(losses.get("z-first here")).to.deep.include({
      reason: "MATERIAL_DELETED",
      regions: [HERE, THERE],
      holdsBack: "nothing can be encrypted under it, and nothing that was encrypted under it can be decrypted",
      command: "keyferry recover z-first --yes",
    })
    expect(losses.get("b-late here")).to.deep.include({
      reason: "EXPIRED",
      regions: [HERE],
      holdsBack: "it makes and verifies no MACs",
      command: "keyferry recover b-late",
    })
    const { stdout } = await run(["status"])
    expect(stdout)
      .to.match(
        /z-first \(here\): dead now in us-east-1, eu-west-3: nothing can be encrypted [^]*: `keyferry recover z-first --yes`/,
      )
      .and.match(/b-late \(here\): dead now in us-east-1: it makes and verifies no MACs: `keyferry recover b-late`/)
  })

  it("says at AWS' own quotas how long it takes, and what to ask for", async () => {
    const slow = join(stage.folder, "slow.yaml")
    writeFileSync(slow, manifest().replaceAll(/, quotas: \{[^}]*\}/g, ""))
    const planned = await stage.run(["recover", "--plan", "--config", slow, "--json"], { state })
    const { summary } = recovered(planned)
    // seven in the Region of the test's keys, one of them at once
    expect(summary).to.include({ imports: 11, perSecond: 1.94, seconds: 7 })
    expect(
      summary.ask.map(({ operation, region, perSecond, wanted }) => [operation, region, perSecond, wanted]),
    ).to.deep.equal([["GetParametersForImport", HERE, 1, 2]])
    const text = await stage.run(["recover", "--plan", "--config", slow], { state })
    expect(text.stdout)
      .to.match(/^11 imports at 1\.94 a second, the quotas of KMS: 7 s, until /m)
      .and.match(
        /^for half the time ask AWS for 2 GetParametersForImport a second, instead of 1, in us-east-1 of account \d{12}$/m,
      )
  })

  it("wants one word for what was deleted, also of a key that is named; rewrap leaves it to recover", async () => {
    const wanted = {
      code: "ERR_CONFIRMATION_MISSING",
      exit: 64,
      tells: /may have been meant: z-first, y-second/,
    } as const
    await refused(stage, ["recover", "--config", config], wanted, { state })
    await refused(stage, ["recover", "y-second", "--config", config], { ...wanted, tells: /y-second/ }, { state })
    const { stderr } = await run(["recover", "y-second"])
    expect(stderr.match(/may have been meant/g), stderr).to.have.length(1)
    const rewrapped = await run(["rewrap", "--json"])
    expect(rewrapped.status).to.equal(65)
    const { keys } = rewrapped.json() as Recovered
    const left = keys.filter(({ outcome }) => outcome === "blocked")
    expect(new Set(left.map(({ reason }) => reason))).to.deep.equal(new Set(["MATERIAL_DELETED"]))
    for (const { name, hint } of left) expect(hint).to.match(new RegExp(`^\`keyferry recover ${name} --yes\``))
    expect(outcomesByName(rewrapped)).to.include({ "b-late": "done EXPIRED" })
  })

  it("brings it back in order, killed in the middle and run again", async () => {
    imported = []
    // the first two keys and their Regions are back, and one of the third is under way
    let reached: (stop: null) => void = () => undefined
    const killWhen = new Promise((resolve) => (reached = resolve))
    proxy.alter("ImportKeyMaterial", (answer, request) => {
      imported.push(nameOfId(String(request["KeyId"])))
      if (imported.length === 6) reached(null)
      return answer
    })
    const killed = await run(["recover", "--yes"], killWhen)
    expect(killed.signal).to.equal("SIGKILL")
    const began = imported.length
    expect(began).to.be.within(6, 10)
    expect(await dead()).to.not.have.length(0)

    const again = await run(["recover", "--yes", "--json"])
    expect(again.status, again.stderr).to.equal(0)
    expect(await dead()).to.deep.equal([])
    expect(imported.filter((name) => name === "z-first").length).to.be.within(4, 5)
    const firstOf = (name: string): number => imported.indexOf(name)
    const order = ["z-first", "y-second", "x-third", "a-late", "c-late"]
    expect(order.filter((name) => firstOf(name) !== -1)).to.deep.equal(order)
    // at most one import, that which was under way, is made a second time
    expect(imported.length).to.be.within(10, 11)
    const rows = outcomesByName(again)
    expect(new Set(Object.values(rows).map((row) => row.split(" ")[0]))).to.deep.equal(new Set(["done", "nothing"]))
    // what came back is what was there: KMS compares generations by ID, and MACs by their key
    const verified = await run(["verify", "--json"])
    expect(verified.status, verified.stdout).to.equal(0)
    const nothing = await run(["recover", "--json"])
    expect(new Set(Object.values(outcomesByName(nothing)))).to.deep.equal(new Set(["nothing NOT_LOST"]))
  })

  it("begins with what is most important, one after the other where the quota lets one through", async () => {
    for (const name of ["a-late", "c-late", "d-late", "x-third", "y-second", "z-first"]) await deleteMaterial(name)
    await stage.kms.clearCounts()
    imported = []
    const slow = join(stage.folder, "one-a-second.yaml")
    writeFileSync(slow, manifest().replaceAll("GetParametersForImport: 100", "GetParametersForImport: 2"))
    const ended = await stage.run(["recover", "--yes", "--config", slow, "--json"], { state })
    expect(ended.status, ended.stderr).to.equal(0)
    // counted by the local KMS: each import took one set of parameters, and none was lost
    const { requests } = await stage.kms.counts()
    expect([requests["GetParametersForImport"], requests["ImportKeyMaterial"]]).to.deep.equal([11, 11])
    const done = ended.json() as Recovered
    expect(done.keys.filter(({ outcome }) => outcome === "done").map(({ name }) => name)).to.deep.equal([
      "z-first",
      "y-second",
      "y-second",
      "x-third",
      "x-third",
      "a-late",
      "c-late",
      "d-late",
    ])
    // what goes out at once, one request in each Region, is whose that asks first; the others stand in line
    const inLine = [...new Set(imported.slice(2))]
    const isLate = (name: string): boolean => name.endsWith("-late")
    expect(inLine.findIndex(isLate), inLine.join(" ")).to.be.greaterThan(inLine.findLastIndex((name) => !isLate(name)))
    expect(await dead()).to.deep.equal([])
  })

  it("leaves a key whose source is gone, names it, and brings back the others", async () => {
    for (const name of ["a-late", "c-late"]) await deleteMaterial(name)
    const [file = "", ...others] = filesUnder(join(state, "vault"))
    expect(others).to.deep.equal([])
    rmSync(join(state, "vault", file))
    const ended = await run(["recover", "--yes", "--json"])
    expect(ended.status).to.equal(65)
    expect(outcomesByName(ended)).to.include({ "a-late": "blocked SOURCE_MISSING", "c-late": "done DELETED" })
    expect(await dead()).to.deep.equal(["a-late"])
  })

  it("refuses names that stand for nothing, words it does not know, and priorities that are none", async () => {
    await refused(stage, ["recover", "nobody", "--config", config], { code: "ERR_KEY_NOT_FOUND", exit: 65 }, { state })
    await refused(stage, ["recover", "a b", "--config", config], { code: "ERR_USAGE", exit: 64 }, { state })
    await refused(stage, ["recover", "--all", "--config", config], { code: "ERR_USAGE", exit: 64 }, { state })
    for (const priority of ["0", "1001", "1.5", "high", "'1'"]) {
      const wrong = join(stage.folder, "wrong.yaml")
      writeFileSync(wrong, manifest(`  w: { keySpec: HMAC_256, priority: ${priority} }\n`))
      const tells = /keys\.w\.priority/
      await refused(stage, ["recover", "--config", wrong], { code: "ERR_CONFIG_INVALID", exit: 78, tells }, { state })
      rmSync(wrong)
    }
  })
})
