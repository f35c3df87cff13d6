import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { randomBytes } from "node:crypto"
import { expect } from "chai"
import type { CreateKeyCommandInput } from "@aws-sdk/client-kms"
import type { CliResult } from "../support/cli.js"
import { importMaterial } from "../support/local-kms-fixture.js"
import { type Answer, startKmsProxy } from "../support/kms-proxy.js"
import { setStage, type Stage } from "../support/stage.js"

interface Row {
  readonly name: string
  readonly keyArn: string | null
  readonly outcome: string
  readonly reason: string
  readonly message: string
}

const THEIRS = `keyArn: "arn:aws:kms:us-east-1:111122223333:key/${"1".repeat(8)}-1111-1111-1111-${"1".repeat(12)}"`
const MULTI_REGION = `keyArn: "arn:aws:kms:us-east-1:111122223333:key/mrk-${"1".repeat(32)}"`

/** KMS keys that others made, by the calls that Terraform makes for them. */
describe("keyArn", () => {
  let stage: Stage
  let state: string
  let config: string
  let keys: Readonly<Record<"plain" | "untagged", string>>

  const make = async (more: Partial<CreateKeyCommandInput> = {}): Promise<string> => {
    const { KeyMetadata } = await stage.sdk.createKey({
      Origin: "EXTERNAL",
      Tags: [{ TagKey: "made-by", TagValue: "terraform" }],
      ...more,
    })
    return KeyMetadata?.Arn ?? ""
  }
  /** A KMS key with key material that is not from this token. */
  const filled = async (): Promise<string> => {
    const arn = await make()
    await importMaterial(stage.sdk, arn, randomBytes(32), { keySpec: "SYMMETRIC_DEFAULT" })
    return arn
  }
  const write = (entries: readonly string[]): void => {
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048, keyPolicy: { Version: "2012-10-17", Statement: [] }, tags: { team: pay } }
keys:
${entries.map((entry) => `  ${entry}\n`).join("")}`,
    )
  }
  const run = (...args: readonly string[]): Promise<CliResult> => stage.run([...args, "--config", config], { state })
  const rowsOf = async (...args: readonly string[]): Promise<readonly Row[]> => {
    const ended = await run(...args, "--json")
    return (JSON.parse(ended.stdout === "" ? ended.stderr : ended.stdout) as { keys: readonly Row[] }).keys
  }
  const outcomes = (rows: readonly Row[]): readonly string[] => rows.map(({ name, outcome }) => `${name} ${outcome}`)
  const tagsOf = async (arn: string): Promise<readonly string[]> => {
    const { Tags = [] } = await stage.sdk.listResourceTags({ KeyId: arn })
    return Tags.map(({ TagKey = "" }) => TagKey).sort()
  }
  const lose = (): void => {
    renameSync(join(state, "inventory"), join(stage.folder, `lost-${Math.random()}`))
  }
  const theirs = (): readonly string[] => [
    `plain: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${keys.plain}" }`,
    `untagged: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${keys.untagged}", tagKey: false }`,
  ]

  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(1)
    state = stage.state()
    config = join(stage.folder, "keys.yaml")
    keys = { plain: await make(), untagged: await make() }
    await stage.sdk.createAlias({ AliasName: "alias/theirs", TargetKeyId: keys.plain })
  })
  after(() => stage[Symbol.asyncDispose]())

  it("refuses KMS keys that cannot be filled, before anything is spent, and names why", async () => {
    const ours = await make()
    await stage.sdk.tagResource({
      KeyId: ours,
      Tags: [
        { TagKey: "keyferry:owner", TagValue: "other" },
        { TagKey: "keyferry:name", TagValue: "payments" },
      ],
    })
    const gone = await make()
    await stage.sdk.scheduleKeyDeletion({ KeyId: gone, PendingWindowInDays: 7 })
    write([
      `spec: { keySpec: HMAC_256, keyArn: "${await make()}" }`,
      `usage: { keySpec: RSA_2048, keyUsage: SIGN_VERIFY, keyArn: "${await make({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" })}" }`,
      `filled: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${await filled()}" }`,
      `other: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${ours}" }`,
      `dying: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${gone}" }`,
      `none: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${keys.plain.slice(0, -12)}000000000000" }`,
    ])
    const before = await stage.footprint(state)
    for (const command of ["plan", "apply"]) {
      const rows = await rowsOf(command)
      expect(rows.map(({ name, outcome, reason }) => `${name} ${outcome} ${reason}`)).to.deep.equal([
        "spec blocked KEY_UNFIT",
        "usage blocked KEY_UNFIT",
        "filled blocked KEY_UNFIT",
        "other blocked KEY_CLAIMED",
        "dying blocked KEY_UNFIT",
        "none blocked KEY_UNFIT",
      ])
    }
    const byFlags = await run("provision", "--name", "other", "--key-spec", "SYMMETRIC_DEFAULT", "--json")
    expect([byFlags.status === 0, byFlags.error().code]).to.deep.equal([false, "ERR_NAME_TAKEN"])
    expect(await stage.footprint(state)).to.deep.equal(before)
  })

  for (const [words, entry, fault] of [
    ["an alias ARN", 'keyArn: "arn:aws:kms:us-east-1:111122223333:alias/theirs"', "is an alias"],
    [
      "another Region",
      `keyArn: "arn:aws:kms:eu-west-3:111122223333:key/${"1".repeat(8)}-1111-1111-1111-${"1".repeat(12)}"`,
      "is in eu-west-3",
    ],
    ["what ends in no key ID", 'keyArn: "arn:aws:kms:us-east-1:111122223333:key/x"', "is no ID of a KMS key"],
    [
      "another partition",
      `keyArn: "arn:aws-cn:kms:us-east-1:111122223333:key/${"1".repeat(8)}-1111-1111-1111-${"1".repeat(12)}"`,
      "is of partition aws-cn, and us-east-1 is in aws",
    ],
    ["multiRegion beside it", `multiRegion: { replicas: [eu-west-3] }, ${MULTI_REGION}`, "KMS which replicas"],
    [
      "an alias beside it",
      `alias: alias/own, keyArn: "arn:aws:kms:us-east-1:111122223333:key/x"`,
      "does not go with keyArn",
    ],
    ["tagKey alone", "tagKey: false", "is for a key with keyArn"],
  ] as const) {
    it(`refuses ${words} in the configuration`, async () => {
      write([`payments: { keySpec: SYMMETRIC_DEFAULT, ${entry} }`])
      const { status, stderr } = await run("plan")
      expect([status, stderr.includes(fault)], stderr).to.deep.equal([78, true])
    })
  }

  for (const [words, target, entries, fault] of [
    ["the same KMS key under two names", "", [THEIRS, THEIRS], "keys.two.keyArn: is that of keys.one too"],
    [
      "a replica under another name",
      "",
      [MULTI_REGION, MULTI_REGION.replace("us-east-1", "eu-west-3")],
      "keys.two.keyArn: is another Region's of that of keys.one",
    ],
    ["two targets", "", [`targets: [here, there], ${THEIRS}`], "is one KMS key, and there are 2 targets"],
    [
      "an account that is not its target's",
      ", account: '999999999999'",
      [THEIRS],
      "is of account 111122223333, and the target here of 999999999999",
    ],
    [
      "an account that is not its target's role's",
      ", roleArn: 'arn:aws:iam::999999999999:role/byok'",
      [THEIRS],
      "is of account 111122223333, and the target here of 999999999999",
    ],
    [
      "two accounts in one target",
      "",
      [THEIRS, THEIRS.replace("111122223333", "999999999999")],
      "is of account 999999999999, and that of keys.one in the same target of 111122223333",
    ],
  ] as const) {
    it(`refuses ${words}, with nothing sent`, async () => {
      const regions = words.startsWith("a replica") ? ["here", "there"] : ["here", "here"]
      writeFileSync(
        config,
        `version: 1
targets:
  here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)}${target} }
  there: { region: eu-west-3 }
keys:
${entries.map((entry, index) => `  ${["one", "two"][index] ?? ""}: { keySpec: SYMMETRIC_DEFAULT, ${entry.startsWith("targets") ? "" : `targets: [${regions[index] ?? ""}], `}${entry} }\n`).join("")}`,
      )
      const { requests: before } = await stage.kms.counts()
      for (const command of [["config", "check"], ["plan"], ["apply"]]) {
        const { status, stderr } = await run(...command)
        expect([status, stderr.includes(fault)], stderr).to.deep.equal([78, true])
      }
      expect((await stage.kms.counts()).requests).to.deep.equal(before)
    })
  }

  it("refuses a KMS key of another account that may be looked at, before anything is made", async () => {
    await using proxy = await startKmsProxy(stage.kms.endpoint)
    // as credentials of another account see their own keys
    proxy.alter(
      "ListKeys",
      (answer) => JSON.parse(JSON.stringify(answer).replaceAll("111122223333", "444455556666")) as Answer,
    )
    write([`theirs: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${keys.plain}", tagKey: false }`])
    writeFileSync(config, readFileSync(config, "utf8").replace(stage.kms.endpoint, proxy.endpoint))
    const before = await stage.footprint(state)
    for (const command of ["plan", "apply"]) {
      const [row] = await rowsOf(command)
      expect([row?.outcome, row?.reason], command).to.deep.equal(["blocked", "OTHER_ACCOUNT"])
      expect(row?.message).to.include("of account 111122223333, and the credentials are of account 444455556666")
    }
    const flags = ["--name", "theirs", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token", "--json"]
    expect((await run("provision", ...flags)).error().code).to.equal("ERR_POLICY_REFUSED")
    expect(await stage.footprint(state)).to.deep.equal(before)
  })

  it("fills them, and leaves policy, alias and tags alone but for keyferry's own, where they are wanted", async () => {
    write(theirs())
    const policies = async () =>
      await Promise.all(
        [keys.plain, keys.untagged].map(async (KeyId) => (await stage.sdk.getKeyPolicy({ KeyId })).Policy),
      )
    const policiesBefore = await policies()
    const { kmsKeys } = await stage.footprint(state)
    expect(outcomes(await rowsOf("plan"))).to.deep.equal(["plain planned", "untagged planned"])
    expect(outcomes(await rowsOf("apply"))).to.deep.equal(["plain done", "untagged done"])
    expect(outcomes(await rowsOf("plan"))).to.deep.equal(["plain nothing", "untagged nothing"])
    expect((await stage.footprint(state)).kmsKeys).to.deep.equal(kmsKeys)
    expect(await policies()).to.deep.equal(policiesBefore)
    expect(await tagsOf(keys.untagged)).to.deep.equal(["made-by"])
    expect(await tagsOf(keys.plain)).to.deep.equal([
      "keyferry:name",
      "keyferry:owner",
      "keyferry:request",
      "keyferry:source",
      "made-by",
    ])
    const { Aliases = [] } = await stage.sdk.listAliases({ KeyId: keys.plain })
    expect(Aliases.map(({ AliasName }) => AliasName)).to.deep.equal(["alias/theirs"])
  })

  it("rewraps and rotates them, still without a tag where none is wanted", async () => {
    expect(outcomes(await rowsOf("rewrap", "--all"))).to.deep.equal(["plain done", "untagged done"])
    for (const name of ["plain", "untagged"]) {
      const rotated = await run("rotate", name)
      expect(rotated.status, rotated.stderr).to.equal(0)
    }
    expect(await tagsOf(keys.untagged)).to.deep.equal(["made-by"])
    const { Rotations = [] } = await stage.sdk.listKeyRotations({
      KeyId: keys.untagged,
      IncludeKeyMaterial: "ALL_KEY_MATERIAL",
    })
    expect(Rotations).to.have.length(2)
    expect(outcomes(await rowsOf("plan"))).to.deep.equal(["plain nothing", "untagged nothing"])
  })

  it("finds both again when the state is lost, the one without tags by the configuration", async () => {
    lose()
    const blocked = await rowsOf("plan")
    expect(blocked.map(({ name, reason }) => `${name} ${reason}`)).to.deep.equal([
      "plain UNKNOWN_HERE",
      "untagged KEY_UNFIT",
    ])
    expect(outcomes(await rowsOf("status", "--rebuild")).toSorted()).to.deep.equal(["plain done", "untagged done"])
    const folder = join(state, "inventory")
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
    const entries = files.map(
      (file) => JSON.parse(readFileSync(join(file.parentPath, file.name), "utf8")) as Record<string, unknown>,
    )
    expect(entries.map(({ name, alias, untagged = false }) => [name, alias, untagged]).toSorted()).to.deep.equal([
      ["plain", null, false],
      ["untagged", null, true],
    ])
    expect(outcomes(await rowsOf("plan"))).to.deep.equal(["plain nothing", "untagged nothing"])
    expect(outcomes(await rowsOf("rewrap", "--all"))).to.deep.equal(["plain done", "untagged done"])
    expect(await tagsOf(keys.untagged)).to.deep.equal(["made-by"])
  })

  it("makes no KMS key of its own for such a name, and takes no other in its place", async () => {
    const replaced = await run("replace", "plain", "--json")
    expect([replaced.status, replaced.error().code]).to.deep.equal([64, "ERR_USAGE"])
    const params = [
      "params",
      "--name",
      "plain",
      "--key-spec",
      "SYMMETRIC_DEFAULT",
      "--out",
      join(stage.folder, "p.json"),
    ]
    expect((await run(...params)).status).to.equal(64)
    write([`plain: { keySpec: SYMMETRIC_DEFAULT, keyArn: "${await make()}" }`])
    const [row] = await rowsOf("plan", "--only", "provision")
    expect(row?.reason).to.equal("IDENTITY_CHANGED")
  })
})
