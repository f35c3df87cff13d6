import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { PolicyDocument } from "#src/core/policy/document.js"
import type { CliResult } from "../support/cli.js"
import { setStage, type Stage } from "../support/stage.js"

const ACCOUNT = "111122223333"
const role = (name: string, account = ACCOUNT): string => `arn:aws:iam::${account}:role/${name}`
const TOPIC = `arn:aws:sns:us-east-1:${ACCOUNT}:keys`
const LISTS = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["kms:ListKeys", "kms:ListAliases"], Resource: "*" }],
}

describe("keyferry policy", () => {
  let stage: Stage
  let state: string
  let files = 0
  before(async () => {
    stage = await setStage({ regions: ["us-east-1", "eu-west-3"], rotationSeconds: 0 })
    state = stage.state()
  })
  after(() => stage[Symbol.asyncDispose]())

  const HOME = { region: "us-east-1", account: ACCOUNT, roleArn: role("byok") }
  const configured = (keys: object, targets: object = { home: HOME }): string => {
    files += 1
    const path = join(stage.folder, `policy-${files}.json`)
    const defaults = { custody: "token", wrappingKeySpec: "RSA_2048" }
    const tokens = { soft: { uri: stage.token.uri } }
    writeFileSync(path, JSON.stringify({ version: 1, id: "byok", tokens, targets, defaults, keys }))
    return path
  }
  const run = (config: string, ...words: readonly string[]): Promise<CliResult> =>
    stage.run([...words, "--config", config], { state })
  const well = async (config: string, ...words: readonly string[]): Promise<CliResult> => {
    const result = await run(config, ...words)
    expect(result.status, `${words.join(" ")}: ${result.stderr}${result.stdout}`).to.equal(0)
    return result
  }
  const printed = async <T = PolicyDocument>(config: string, ...words: readonly string[]): Promise<T> =>
    JSON.parse((await well(config, "policy", ...words)).stdout) as T
  const put = (policies: object | null): Promise<unknown> =>
    policies === null ? stage.kms.admin("DELETE", "policies") : stage.kms.admin("PUT", "policies", { policies })
  const actionsOf = ({ Statement }: PolicyDocument): readonly string[] => [
    ...new Set(Statement.flatMap(({ Action }) => Action)),
  ]
  const makeKey = async (Policy?: string): Promise<string> => {
    await put(null)
    const asked = { Origin: "EXTERNAL", KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" } as const
    const { KeyMetadata } = await stage.sdk.createKey({ ...asked, ...(Policy === undefined ? {} : { Policy }) })
    return KeyMetadata?.Arn ?? ""
  }

  it("asks for nothing that the keys do not need", async () => {
    const hmac = await printed(configured({ mac: { keySpec: "HMAC_256" } }), "iam")
    const needless = ["Sign", "GetPublicKey", "RotateKeyOnDemand", "CreateAlias", "ReplicateKey", "PutKeyPolicy"]
    expect(actionsOf(hmac)).to.not.include.members(needless.map((name) => `kms:${name}`))
    expect(actionsOf(hmac).filter((action) => needless.includes(action.slice(4)))).to.deep.equal([])
    const parameters = hmac.Statement.find(({ Sid }) => Sid === "GetParametersForImport")
    expect(parameters?.Resource).to.equal(`arn:aws:kms:us-east-1:${ACCOUNT}:key/*`)
    expect(parameters?.Condition).to.deep.equal({
      StringEquals: {
        "kms:KeyOrigin": "EXTERNAL",
        "kms:KeySpec": "HMAC_256",
        "kms:WrappingAlgorithm": ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"],
        "kms:WrappingKeySpec": "RSA_2048",
        "aws:ResourceTag/keyferry:owner": "byok",
      },
    })
  })

  it("by names and targets it is of a part, and of one account", async () => {
    const other = { region: "eu-west-3", account: "999999999999", roleArn: role("byok", "999999999999") }
    const config = configured(
      { here: { keySpec: "HMAC_256", targets: ["home"] }, there: { keySpec: "SYMMETRIC_DEFAULT", targets: ["away"] } },
      { home: HOME, away: other },
    )
    const several = await run(config, "policy", "iam")
    expect(several.status).to.equal(64)
    expect(several.stderr).to.include("several accounts").and.include("--target NAME")
    const away = await printed(config, "iam", "--target", "away")
    expect(JSON.stringify(away)).to.include("999999999999").and.not.include(ACCOUNT)
    expect(actionsOf(await printed(config, "iam", "here")))
      .to.include("kms:VerifyMac")
      .and.not.include("kms:RotateKeyOnDemand")
    expect((await run(config, "policy", "iam", "nobody")).status).to.equal(64)
    expect((await stage.run(["policy", "iam"], { state })).stderr).to.include("--config FILE")
  })

  it("a KMS key of others' is filled under its ARN alone, without a tag or a key of our own", async () => {
    const keyArn = await makeKey()
    const config = configured({ given: { keySpec: "HMAC_256", keyArn, tagKey: false } })
    const iam = await printed(config, "iam")
    expect(actionsOf(iam)).to.not.include("kms:CreateKey")
    expect(actionsOf(iam)).to.not.include("kms:TagResource")
    await put({ byok: iam, breaker: await printed(config, "iam", "--break-glass") })
    for (const words of [
      ["apply"],
      ["verify", "given"],
      ["rewrap", "given"],
      ["disable", "given", "--yes", "--role-arn", role("breaker")],
    ])
      await well(config, ...words)
  })

  it("a printed key policy does without a policy of IAM on the key", async () => {
    const draft = configured({ ruled: { keySpec: "HMAC_256" } })
    const policy = JSON.stringify(await printed(draft, "key"))
    const config = configured({ ruled: { keySpec: "HMAC_256", keyArn: await makeKey(policy) } })
    await put({ byok: LISTS })
    for (const words of [
      ["apply", "--key", "ruled"],
      ["verify", "ruled"],
      ["rewrap", "ruled"],
    ])
      await well(config, ...words)
    const other = await run(config, "verify", "ruled", "--role-arn", role("other"))
    expect(other.status).to.equal(77)
  })

  it("what imports and disables, or gives a rotation up, works with both policies", async () => {
    const config = configured({ both: { keySpec: "SYMMETRIC_DEFAULT" } })
    const iam = await printed(config, "iam")
    const breakGlass = await printed(config, "iam", "--break-glass")
    await put({ byok: [iam, breakGlass] })
    await well(config, "apply", "--key", "both")
    await well(config, "disable", "both", "--yes")
    await well(config, "rewrap", "both", "--include-disabled")
    await well(config, "enable", "both")
    await stage.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand" })
    expect((await run(config, "rotate", "both")).status).to.equal(77)
    await well(config, "rotate", "--abandon", "both", "--yes")
  })

  it("an alarm is for each key that expires, at half of renewBefore; of one that is not made it says so", async () => {
    await put(null)
    const config = configured({
      watched: { keySpec: "HMAC_256", expiresIn: "90d", renewBefore: "30d" },
      eternal: { keySpec: "HMAC_256", expiresIn: "never" },
    })
    expect((await well(config, "policy", "alarm")).stderr).to.include("watched has no KMS key yet")
    await well(config, "apply", "--key", "watched", "--key", "eternal")
    interface Alarms {
      alarms: {
        region: string
        alarm: { Threshold: number; AlarmActions: string[]; Dimensions: { Value: string }[] }
      }[]
    }
    const { alarms } = await printed<Alarms>(config, "alarm", "--notify", TOPIC)
    expect(alarms.map(({ alarm }) => [alarm.Threshold, alarm.AlarmActions])).to.deep.equal([[15 * 86_400, [TOPIC]]])
    const { keys } = (await well(config, "status", "watched", "--json")).json() as { keys: { keyArn: string }[] }
    expect(keys[0]?.keyArn).to.match(new RegExp(`/${alarms[0]?.alarm.Dimensions[0]?.Value}$`))
    const siem = await printed<{ keyArns: string[]; queries: { spl: string } }>(config, "siem")
    expect(siem.keyArns).to.include(keys[0]?.keyArn)
    expect(siem.queries.spl).to.include(role("byok"))
  })

  it("CloudFormation and Terraform have the same document", async () => {
    const config = configured({
      signer: { keySpec: "ECC_NIST_P384", keyUsage: "SIGN_VERIFY", multiRegion: { replicas: ["eu-west-3"] } },
    })
    const iam = await printed(config, "iam")
    interface Stack {
      Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>
    }
    const stack = await printed<Stack>(config, "iam", "--format", "cloudformation")
    expect(stack.Resources["Keyferrybyok"]).to.deep.equal({
      Type: "AWS::IAM::ManagedPolicy",
      Properties: { ManagedPolicyName: "keyferry-byok", PolicyDocument: iam },
    })
    const { resource } = await printed<{ resource: Record<string, Record<string, { policy: string }>> }>(
      config,
      ...["iam", "--format", "terraform"],
    )
    expect(JSON.parse(resource["aws_iam_policy"]?.["keyferry_byok"]?.policy ?? "")).to.deep.equal(iam)
    const keys = await printed<Stack>(config, "key", "--format", "cloudformation")
    expect(keys.Resources["SignerHome"]?.Properties).to.include({
      Origin: "EXTERNAL",
      KeySpec: "ECC_NIST_P384",
      MultiRegion: true,
    })
    const many = await run(config, "policy", "eventbridge", "--format", "cloudformation")
    expect(many.status).to.equal(64)
    expect(many.stderr).to.include("a stack is of one Region")
    const rules = await printed<Stack>(
      config,
      "eventbridge",
      "--format",
      "cloudformation",
      "--region",
      "eu-west-3",
      "--notify",
      TOPIC.replace("us-east-1", "eu-west-3"),
    )
    expect(Object.values(rules.Resources).map(({ Type }) => Type)).to.deep.equal([
      "AWS::Events::Rule",
      "AWS::Events::Rule",
    ])
    expect((await run(config, "policy", "guard", "--principal", "me")).status).to.equal(64)
  })
})
