import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { CreateKeyCommandInput } from "@aws-sdk/client-kms"
import { expect } from "chai"
import type { KeyRow } from "#src/core/plan/row.js"
import type { RebuildRow } from "#src/app/fleet/rebuild.js"
import type { CliResult } from "../support/cli.js"
import { hostClock } from "../support/host-clock.js"
import { kmsClient } from "../support/local-kms.js"
import { setStage, type Stage } from "../support/stage.js"

const DAY_S = 86_400
const SYMMETRIC = "keySpec: SYMMETRIC_DEFAULT"

/** KMS keys that others made, when configuration, state or KMS are no longer as they were at the first import. */
describe("keyArn, later", () => {
  let stage: Stage
  let state: string
  let config: string
  let owner = 0
  let seconds = 0

  /** A state and an owner of its own: the keys of the others are not there. */
  const begin = (): void => {
    state = stage.state()
    owner += 1
  }
  const make = async (more: Partial<CreateKeyCommandInput> = {}): Promise<string> => {
    const { KeyMetadata } = await stage.sdk.createKey({ Origin: "EXTERNAL", ...more })
    return KeyMetadata?.Arn ?? ""
  }
  const write = (...entries: readonly string[]): void => {
    writeFileSync(
      config,
      `version: 1
id: byok-${owner}
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys:
${entries.map((entry) => `  ${entry}\n`).join("")}`,
    )
  }
  const run = (...args: readonly string[]): Promise<CliResult> =>
    stage.run([...args, "--config", config], { state, env: hostClock(seconds) })
  const rowsOf = async <Row extends KeyRow>(...args: readonly string[]): Promise<readonly Row[]> => {
    const ended = await run(...args, "--json")
    return (JSON.parse(ended.stdout === "" ? ended.stderr : ended.stdout) as { keys: readonly Row[] }).keys
  }
  const reasons = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await rowsOf(...args)).map(({ name, outcome, reason }) => `${name} ${outcome} ${reason}`)
  const found = async (): Promise<readonly string[]> => {
    const { checks } = (await run("check", "--json")).json() as {
      checks: readonly { status: string; id: string; name: string }[]
    }
    return checks.map(({ status, id, name }) => `${status} ${id}:${name}`)
  }
  const passDays = async (days: number): Promise<void> => {
    seconds += days * DAY_S
    await stage.kms.clock.advance(days * DAY_S)
  }
  const tagsOf = async (arn: string): Promise<Readonly<Record<string, string>>> => {
    const { Tags = [] } = await stage.sdk.listResourceTags({ KeyId: arn })
    return Object.fromEntries(Tags.map(({ TagKey = "", TagValue = "" }) => [TagKey, TagValue]))
  }
  const stateOf = async (arn: string): Promise<string | undefined> =>
    (await stage.sdk.describeKey({ KeyId: arn })).KeyMetadata?.KeyState

  before(async () => {
    stage = await setStage({ regions: ["us-east-1", "eu-west-3"] })
    await stage.kms.rotationSeconds(1)
    config = join(stage.folder, "keys.yaml")
  })
  after(() => stage[Symbol.asyncDispose]())

  describe("the state is lost, and what has no tags has expired", () => {
    let arns: readonly string[]
    before(begin)
    const entries = (): readonly string[] =>
      [SYMMETRIC, "keySpec: HMAC_256", "keySpec: ECC_NIST_P384, keyUsage: SIGN_VERIFY", SYMMETRIC].map(
        (spec, index) => `k${index}: { ${spec}, keyArn: "${arns[index] ?? ""}", tagKey: false }`,
      )

    it("is said of every symmetric one, and nothing is imported into it; one that waits is no lost one", async () => {
      arns = [
        await make(),
        await make({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }),
        await make({ KeySpec: "ECC_NIST_P384", KeyUsage: "SIGN_VERIFY" }),
        await make(),
      ]
      write(...entries().slice(0, 3))
      expect((await run("apply")).status).to.equal(0)
      expect((await run("rotate", "k0")).status).to.equal(0)
      expect(await found()).to.deep.equal([])
      expect(await reasons("status")).to.deep.equal([0, 1, 2].map((index) => `k${index} nothing NOT_DUE`))
      await passDays(95)
      renameSync(join(state, "inventory"), join(stage.folder, "lost"))
      write(...entries())
      const before = await stage.footprint(state)
      expect(await reasons("plan", "--only", "provision")).to.deep.equal([
        "k0 blocked KEY_UNFIT",
        "k1 planned NOTHING_YET",
        "k2 planned NOTHING_YET",
        "k3 planned NOTHING_YET",
      ])
      const byName = await run(
        "provision",
        "--name",
        "k0",
        "--key-spec",
        "SYMMETRIC_DEFAULT",
        "--custody",
        "token",
        "--json",
      )
      expect(byName.error()).to.include({ code: "ERR_STATE_INCOMPLETE" })
      expect(byName.error().hint).to.include("status --rebuild")
      expect(await found()).to.deep.equal(["unknown KEY_UNFIT:k0"])
      expect(await stage.footprint(state)).to.deep.equal(before)
    })

    it("is taken in by status --rebuild, which says what it does not know; recover brings all of it back", async () => {
      const rows = await rowsOf<RebuildRow>("status", "--rebuild")
      expect(rows.map(({ name, outcome, reason }) => `${name} ${outcome} ${reason}`).toSorted()).to.deep.equal([
        "k0 done REBUILT",
        "k1 done REBUILT",
        "k2 done REBUILT",
        "k3 nothing EMPTY",
      ])
      for (const { name, lost } of rows) {
        const says = lost.some((words) => words.includes(`keyferry recover ${name} --yes`))
        expect(says, name).to.equal(name === "k1" || name === "k2")
      }
      expect(await found()).to.deep.equal([
        "critical EXPIRED:k0",
        "critical MATERIAL_DELETED:k1",
        "critical MATERIAL_DELETED:k2",
      ])
      // whether it was meant is not known: no unattended run brings it back
      expect(await reasons("rewrap")).to.deep.equal([
        "k0 done EXPIRED",
        "k1 blocked MATERIAL_DELETED",
        "k2 blocked MATERIAL_DELETED",
        "k3 nothing NOTHING_YET",
      ])
      expect(await reasons("recover", "k1", "k2", "--yes")).to.deep.equal(["k1 done DELETED", "k2 done DELETED"])
      expect(await reasons("apply")).to.deep.equal([
        "k0 nothing NOT_DUE",
        "k1 nothing NOT_DUE",
        "k2 nothing NOT_DUE",
        "k3 done NOTHING_YET",
      ])
      expect((await reasons("verify")).every((row) => row.endsWith(" done VERIFIED"))).to.equal(true)
      expect(await found()).to.deep.equal([])
      for (const arn of arns) expect([await stateOf(arn), await tagsOf(arn)]).to.deep.equal(["Enabled", {}])
    })
  })

  it("leaves the tags where they are no longer wanted, and adds them where they are now, as planned work", async () => {
    begin()
    const [tagged, bare] = [await make(), await make()]
    const entries = (isTagged: boolean): readonly string[] => [
      `tagged: { ${SYMMETRIC}, keyArn: "${tagged}", tagKey: ${isTagged} }`,
      `bare: { ${SYMMETRIC}, keyArn: "${bare}", tagKey: ${!isTagged} }`,
    ]
    write(...entries(true))
    expect((await run("apply")).status).to.equal(0)
    const given = await tagsOf(tagged)
    write(...entries(false))
    expect(await reasons("plan")).to.deep.equal(["tagged nothing NOT_DUE", "bare planned DRIFT"])
    expect(await tagsOf(bare)).to.deep.equal({})
    expect(await reasons("apply")).to.deep.equal(["tagged nothing NOT_DUE", "bare done DRIFT"])
    expect(Object.keys(await tagsOf(bare)).toSorted()).to.deep.equal(Object.keys(given).toSorted())
    expect((await run("rotate", "tagged", "bare")).status).to.equal(0)
    // nothing is written where no tags are wanted, and what is written elsewhere is kept up
    expect(await tagsOf(tagged)).to.deep.equal(given)
    expect(await reasons("plan")).to.deep.equal(["tagged nothing NOT_DUE", "bare nothing NOT_DUE"])
    write(...entries(true))
    expect(await reasons("plan")).to.deep.equal(["tagged planned DRIFT", "bare nothing NOT_DUE"])
    expect(await reasons("apply")).to.deep.equal(["tagged done DRIFT", "bare nothing NOT_DUE"])
    expect((await tagsOf(tagged))["keyferry:source"]).not.to.equal(given["keyferry:source"])
  })

  it("does nothing to either KMS key where keyArn names another one than was filled", async () => {
    begin()
    const [first, second] = [await make(), await make()]
    write(`changed: { ${SYMMETRIC}, keyArn: "${first}" }`)
    expect((await run("apply")).status).to.equal(0)
    write(`changed: { ${SYMMETRIC}, keyArn: "${second}" }`)
    const before = await stage.footprint(state)
    for (const command of [["plan"], ["apply"], ["rewrap", "changed"], ["recover", "changed"]]) {
      expect(await reasons(...command), command.join(" ")).to.deep.equal(["changed blocked IDENTITY_CHANGED"])
    }
    for (const command of ["rotate", "delete-material", "schedule-deletion", "disable"]) {
      const ended = await run(command, "changed", "--yes", "--json")
      expect([ended.status, ended.error().code], command).to.deep.equal([65, "ERR_NAME_TAKEN"])
      expect(ended.error().message).to.include(second)
    }
    expect(await found()).to.deep.equal(["warning IDENTITY_CHANGED:changed"])
    expect(await stage.footprint(state)).to.deep.equal(before)
    expect([await stateOf(first), await stateOf(second)]).to.deep.equal(["Enabled", "PendingImport"])
    // as the hint says
    write(`changed: { ${SYMMETRIC}, keyArn: "${first}" }`, `other: { ${SYMMETRIC}, keyArn: "${second}" }`)
    expect(await reasons("apply")).to.deep.equal(["changed nothing NOT_DUE", "other done NOTHING_YET"])
  })

  it("fills a multi-Region key and, when they are there, the replicas that its maker gave it", async () => {
    begin()
    await stage.kms.replicationSeconds(0)
    const [tagged, bare] = [await make({ MultiRegion: true }), await make({ MultiRegion: true })]
    write(`tagged: { ${SYMMETRIC}, keyArn: "${tagged}" }`, `bare: { ${SYMMETRIC}, keyArn: "${bare}", tagKey: false }`)
    expect((await run("apply")).status).to.equal(0)
    expect(await reasons("plan")).to.deep.equal(["tagged nothing NOT_DUE", "bare nothing NOT_DUE"])
    for (const KeyId of [tagged, bare]) await stage.sdk.replicateKey({ KeyId, ReplicaRegion: "eu-west-3" })
    expect(await reasons("plan")).to.deep.equal(["tagged planned REPLICA_EMPTY", "bare planned REPLICA_EMPTY"])
    // without the replica KMS would not rotate: nothing new is imported before
    const { imports } = await stage.footprint(state)
    expect((await run("rotate", "tagged", "--json")).error().code).to.equal("ERR_KMS_KEY_MISMATCH")
    expect((await stage.footprint(state)).imports).to.equal(imports)
    expect(await reasons("apply")).to.deep.equal(["tagged done REPLICA_EMPTY", "bare done REPLICA_EMPTY"])
    const there = kmsClient(stage.kms, "eu-west-3")
    for (const [arn, tags] of [
      [tagged, 4],
      [bare, 0],
    ] as const) {
      const KeyId = arn.replace("us-east-1", "eu-west-3")
      expect((await there.describeKey({ KeyId })).KeyMetadata?.KeyState).to.equal("Enabled")
      expect((await there.listResourceTags({ KeyId })).Tags ?? []).to.have.length(tags)
    }
    expect((await run("rotate", "tagged", "bare")).status).to.equal(0)
    expect(await reasons("rewrap", "--all")).to.deep.equal(["tagged done ASKED", "bare done ASKED"])
    expect(await reasons("plan")).to.deep.equal(["tagged nothing NOT_DUE", "bare nothing NOT_DUE"])
    there.destroy()
    write(`replica: { ${SYMMETRIC}, targets: [there], keyArn: "${tagged.replace("us-east-1", "eu-west-3")}" }`)
    expect((await run("config", "check")).status).to.equal(78)
  })
})
