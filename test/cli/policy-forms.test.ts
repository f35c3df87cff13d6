import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import type { PolicyDocument, PolicyStatement } from "#src/core/policy/document.js"
import { rulesFor } from "#src/core/policy/eventbridge.js"
import { terraformName, namedApart } from "#src/core/policy/resource-name.js"
import { type CliResult, keyferry } from "../support/cli.js"

const ACCOUNT = "111122223333"
const role = (name: string, partition = "aws"): string => `arn:${partition}:iam::${ACCOUNT}:role/${name}`
const HOME = { region: "us-east-1", account: ACCOUNT, roleArn: role("byok") }
const KEY_ARN = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`
const MRK_ARN = `arn:aws:kms:us-east-1:${ACCOUNT}:key/mrk-1234abcd12ab34cd56ef1234567890ab`

/** KMS Developer Guide, "Condition keys": what each may be asked about here. */
const CONDITION_KEYS: Readonly<Record<string, RegExp>> = {
  "kms:KeyOrigin": /^kms:(CreateKey|GetParametersForImport|ImportKeyMaterial)$/,
  "kms:KeySpec": /^kms:(CreateKey|GetParametersForImport|ImportKeyMaterial)$/,
  "kms:KeyUsage": /^kms:CreateKey$/,
  "kms:MultiRegion": /^kms:CreateKey$/,
  "kms:WrappingAlgorithm": /^kms:GetParametersForImport$/,
  "kms:WrappingKeySpec": /^kms:GetParametersForImport$/,
  "kms:ExpirationModel": /^kms:ImportKeyMaterial$/,
  "kms:ReplicaRegion": /^kms:ReplicateKey$/,
  "aws:RequestTag/keyferry:owner": /^kms:(CreateKey|TagResource)$/,
  "aws:ResourceTag/keyferry:owner": /^kms:/,
  "aws:TagKeys": /^kms:(Tag|Untag)Resource$/,
  "aws:RequestedRegion": /^kms:/,
  "aws:PrincipalArn": /^kms:/,
}
const OPERATORS = ["StringEquals", "StringEqualsIfExists", "ForAnyValue:StringLike", "Bool", "Null", "ArnNotLike"]

const expectGrammar = ({ Version, Statement }: PolicyDocument): void => {
  expect(Version).to.equal("2012-10-17")
  const sids = Statement.map(({ Sid }) => Sid)
  expect(new Set(sids).size).to.equal(sids.length)
  for (const { Sid, Effect, Action, Resource, Condition = {} } of Statement) {
    expect(Sid).to.match(/^[A-Za-z0-9]+$/)
    expect(Effect).to.match(/^(Allow|Deny)$/)
    const actions = [Action].flat()
    for (const arn of [Resource].flat()) {
      if (arn !== "*")
        expect(arn).to.match(/^arn:aws(-cn|-us-gov)?:kms:[a-z0-9*-]+:(\d{12}|\*):(key|alias)\/[A-Za-z0-9/_*-]+$/)
      else
        expect(
          actions.every((action) => /^kms:(ListKeys|ListAliases|CreateKey)$/.test(action)),
          Sid,
        ).to.equal(true)
    }
    for (const [operator, keys] of Object.entries(Condition)) {
      expect(OPERATORS).to.include(operator)
      for (const key of Object.keys(keys))
        for (const action of actions) expect(action, key).to.match(CONDITION_KEYS[key] ?? expect.fail(`unknown ${key}`))
    }
  }
}

describe("what keyferry policy prints", () => {
  let folder: string
  let files = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "keyferry-policy-"))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const configured = (keys: object, more: object = {}): string => {
    files += 1
    const path = join(folder, `${files}.json`)
    const tokens = { soft: { uri: "pkcs11:token=byok?module-path=/usr/lib/softhsm/libsofthsm2.so" } }
    const targets = { home: HOME }
    writeFileSync(path, JSON.stringify({ version: 1, id: "byok", tokens, targets, keys, ...more }))
    return path
  }
  const run = (config: string, ...words: readonly string[]): Promise<CliResult> =>
    keyferry(["policy", ...words, "--config", config, "--state-dir", join(folder, "state")])
  const well = async (config: string, ...words: readonly string[]): Promise<CliResult> => {
    const result = await run(config, ...words)
    expect(result.status, result.stderr).to.equal(0)
    return result
  }
  const printed = async <T = PolicyDocument>(config: string, ...words: readonly string[]): Promise<T> =>
    JSON.parse((await well(config, ...words)).stdout) as T
  const named = ({ Statement }: PolicyDocument, sid: string): PolicyStatement =>
    Statement.find(({ Sid }) => Sid === sid) ?? expect.fail(`no ${sid}`)

  const MANY = {
    "sym.1": {
      keySpec: "SYMMETRIC_DEFAULT",
      alias: "alias/a/b_c-1",
      tags: { "a.b:c/d=e+f@g": "x y" },
      expiresIn: "never",
    },
    wide: { keySpec: "HMAC_512", multiRegion: { replicas: ["eu-west-3"] } },
    rsa: { keySpec: "RSA_4096", keyUsage: "ENCRYPT_DECRYPT" },
    ec: { keySpec: "ECC_NIST_P521", keyUsage: "KEY_AGREEMENT", wrappingKeySpec: "RSA_2048" },
    given: { keySpec: "SYMMETRIC_DEFAULT", keyArn: KEY_ARN },
    untagged: { keySpec: "HMAC_256", keyArn: MRK_ARN, tagKey: false },
  }

  it("is IAM's grammar, with each condition key where KMS has it and * where an action has no resource alone", async () => {
    const config = configured(MANY, { policy: { minimumHash: "SHA-256" } })
    for (const words of [["iam"], ["iam", "--break-glass"], ["guard", "--break-glass-principal", role("br*")]]) {
      expectGrammar(await printed(config, ...words))
    }
    const iam = await printed(config, "iam")
    expect(JSON.stringify(iam)).to.not.include('SHA_1"')
    // the CreateKey that a replica implies has no tag and no origin to tell it by
    expect(named(iam, "CreateReplica").Condition?.["StringEquals"]).to.deep.equal({
      "aws:RequestedRegion": "eu-west-3",
    })
    expect(named(iam, "ImportKeyMaterialGiven").Resource).to.deep.equal([KEY_ARN, MRK_ARN.replace("us-east-1", "*")])
    expect(named(iam, "TagResourceGiven").Resource).to.equal(KEY_ARN)
  })

  it("has the partition of its Region, and in China no way to wrap that KMS does not take there", async () => {
    for (const [region, partition] of [
      ["cn-north-1", "aws-cn"],
      ["us-gov-west-1", "aws-us-gov"],
    ] as const) {
      const targets = { home: { region, account: ACCOUNT, roleArn: role("byok", partition) } }
      const iam = await printed(
        configured({ ec: { keySpec: "ECC_NIST_P384", keyUsage: "SIGN_VERIFY" } }, { targets }),
        "iam",
      )
      expectGrammar(iam)
      expect(named(iam, "Look").Resource).to.equal(`arn:${partition}:kms:${region}:${ACCOUNT}:key/*`)
      expect(JSON.stringify(iam).includes("RSA_AES_KEY_WRAP")).to.equal(partition !== "aws-cn")
    }
  })

  it("an account that one key tells is that of all keys of its target", async () => {
    const targets = { home: { region: "us-east-1" } }
    const keys = { given: { keySpec: "HMAC_256", keyArn: KEY_ARN }, made: { keySpec: "HMAC_256" } }
    const config = configured(keys, { targets })
    expect(named(await printed(config, "iam"), "Look").Resource).to.equal(`arn:aws:kms:us-east-1:${ACCOUNT}:key/*`)
    const two = { ...targets, away: { region: "eu-west-3" } }
    const open = await run(
      configured(
        {
          ...keys,
          far: { keySpec: "HMAC_256", targets: ["away"] },
          given: { ...keys.given, targets: ["home"] },
          made: { ...keys.made, targets: ["home"] },
        },
        { targets: two },
      ),
      "iam",
    )
    expect(open.status).to.equal(64)
    expect(open.stderr).to.include("which account target away is in is not known").and.include("account in the target")
  })

  it("says what is beyond the limit of its kind of policy", async () => {
    const keys = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`key-${index}`, { keySpec: "HMAC_256", alias: `alias/key-${index}` }]),
    )
    const iam = await well(configured(keys), "iam")
    expect(iam.stderr).to.match(/the policy has \d{5} characters, and a managed policy of IAM at most 6144/)
    const given = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [
        `key-${index}`,
        { keySpec: "HMAC_256", keyArn: KEY_ARN.replace(/..$/, String(index + 10)) },
      ]),
    )
    expect((await well(configured(given), "guard")).stderr).to.match(/a service control policy at most 5120/)
    expect((await well(configured({ mac: { keySpec: "HMAC_256" } }), "iam")).stderr).to.equal("")
  })

  it("a template has a resource for each key, whatever their names have in common, in the key's own Region", async () => {
    const keys = { "a-b": { keySpec: "HMAC_256" }, "a.b": { keySpec: "HMAC_256" }, "1st": { keySpec: "HMAC_256" } }
    const stack = await printed<{ Resources: object }>(configured(keys), "key", "--format", "cloudformation")
    expect(Object.keys(stack.Resources)).to.have.length(3)
    for (const name of Object.keys(stack.Resources)) expect(name).to.match(/^[A-Za-z0-9]+$/)
    interface Module {
      resource: { aws_kms_external_key: Record<string, { region: string; lifecycle: { ignore_changes: string[] } }> }
    }
    const away = { region: "eu-west-3", account: ACCOUNT, roleArn: role("byok") }
    const config = configured(
      {
        ...keys,
        "a-b": { keySpec: "HMAC_256", targets: ["home", "away"] },
        "a.b": { keySpec: "HMAC_256", targets: ["away"] },
        "1st": { keySpec: "HMAC_256", targets: ["home"] },
      },
      { targets: { home: HOME, away } },
    )
    const { resource } = await printed<Module>(config, "key", "--format", "terraform")
    const made = Object.entries(resource.aws_kms_external_key)
    expect(made.map(([, { region }]) => region).sort()).to.deep.equal([
      "eu-west-3",
      "eu-west-3",
      "us-east-1",
      "us-east-1",
    ])
    for (const [name, { lifecycle }] of made) {
      expect(name).to.match(/^[A-Za-z_]\w*$/)
      // Terraform would import nothing in keyferry's place
      expect(lifecycle.ignore_changes).to.include.members(["valid_to", "enabled"])
    }
    const both = await run(config, "key", "--format", "cloudformation")
    expect(both.status).to.equal(64)
    expect(both.stderr).to.include("a stack is of one Region").and.include("--target NAME")
    // words that are joined otherwise
    const rows = [[["a", "b_c"], {}] as const, [["a_b", "c"], {}] as const]
    expect(Object.keys(namedApart(terraformName, rows))).to.have.length(2)
  })

  it("principals are as each policy can compare them", async () => {
    const config = configured({ mac: { keySpec: "HMAC_256" } })
    const session = `arn:aws:sts::${ACCOUNT}:assumed-role/byok/session`
    for (const [words, message] of [
      [["guard", "--principal", session], "give the role"],
      [["siem", "--principal", session], "give the role"],
      [["key", "--principal", role("by*")], "has a wildcard"],
      [["siem", "--principal", role("by*")], "has a wildcard"],
      [["siem", "--principal", role('a"or"b')], "is not the ARN"],
      [["guard", "--principal", role("a${b}")], "is not the ARN"],
      [["key", "--principal", role("byok", "aws-cn")], "is not in aws, where the keys are"],
    ] as const) {
      const refused = await run(config, ...words)
      expect(refused.status, words.join(" ")).to.equal(64)
      expect(refused.stderr).to.include(message)
    }
    const user = `arn:aws:iam::${ACCOUNT}:user/byok`
    const siem = await printed<{ queries: Record<string, string>; sigma: { keyferry: Record<string, unknown>[] } }>(
      config,
      ...["siem", "--principal", user, "--principal", role("byok")],
    )
    expect(siem.queries["spl"]).to.include(`userIdentity.arn="${user}"`)
    expect(siem.queries["spl"]).to.include(`userIdentity.sessionContext.sessionIssuer.arn="${role("byok")}"`)
    expect(siem.sigma.keyferry.map((part) => part["userIdentity.arn"])).to.deep.equal([undefined, [user]])
  })

  it("a rule tells what is in its own Region, of KMS' service event too, under a name that EventBridge takes", async () => {
    const topic = (region: string): string => `arn:aws:sns:${region}:${ACCOUNT}:keys`
    const config = configured({ wide: { keySpec: "HMAC_256", multiRegion: { replicas: ["eu-west-3"] } } })
    const alone = await run(config, "eventbridge", "--notify", topic("us-east-1"))
    expect(alone.status).to.equal(64)
    expect(alone.stderr).to.include("no --notify is in eu-west-3").and.include("--region")
    for (const wrong of ["keys", `${topic("us-east-1")}\${x}`]) {
      expect((await run(config, "eventbridge", "--notify", wrong)).stderr).to.include("is not an ARN")
    }
    const both = ["--notify", topic("us-east-1"), "--notify", topic("eu-west-3")]
    const { rules } = await printed<{ rules: { region: string; targets: string[]; rule: { EventPattern: object } }[] }>(
      config,
      ...["eventbridge", ...both],
    )
    expect(rules.every(({ region, targets }) => targets.join() === topic(region))).to.equal(true)
    expect(rules[1]?.rule.EventPattern)
      .to.have.nested.property("detail.eventName")
      .that.includes("DeleteExpiredKeyMaterial")
    expect(rules[1]?.rule.EventPattern)
      .to.have.property("detail-type")
      .that.includes("AWS Service Event via CloudTrail")
    const long = rulesFor("o".repeat(63), ["us-east-1"], []).map(({ rule }) => rule.Name)
    expect(new Set(long).size).to.equal(2)
    for (const name of long) expect(name).to.match(/^[.\-_A-Za-z0-9]{1,64}$/)
  })
})
