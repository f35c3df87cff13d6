import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { KMS } from "@aws-sdk/client-kms"
import { STSClient, AssumeRoleCommand } from "@aws-sdk/client-sts"
import { expect } from "chai"
import { keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"

const ACCOUNT = "111122223333"
const allow = (Action: unknown, Condition?: object, Resource: unknown = "*") => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action, Resource, ...(Condition === undefined ? {} : { Condition }) }],
})
const deny = (Action: unknown, Condition?: object) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Deny", Action, Resource: "*", ...(Condition === undefined ? {} : { Condition }) }],
})
const TAGS = [{ TagKey: "team", TagValue: "a" }]

/** Rules of IAM and of the Developer Guide's condition keys, one a row. */
describe("local KMS: policies that are enforced", () => {
  let kms: LocalKmsProcess
  let folder: string
  let admin: KMS
  let caller: KMS
  let keyId: string
  let arn: string

  const client = (accessKeyId: string, sessionToken?: string): KMS =>
    new KMS({
      region: "us-east-1",
      endpoint: kms.endpoint,
      maxAttempts: 1,
      credentials: { accessKeyId, secretAccessKey: "x", ...(sessionToken === undefined ? {} : { sessionToken }) },
    })
  const put = (policies: object): Promise<unknown> =>
    kms.admin("PUT", "policies", { policies: { AKIAADMIN: allow("kms:*"), ...policies } })
  const outcome = async (work: Promise<unknown>): Promise<string> =>
    await work.then(
      () => "allowed",
      (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`,
    )

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "keyferry-policies-"))
    mkdirSync(join(folder, "byok"))
    writeFileSync(join(folder, "AKIAADMIN.json"), JSON.stringify(allow("kms:*")))
    writeFileSync(join(folder, "byok", "1.json"), JSON.stringify(allow("kms:ListKeys")))
    writeFileSync(join(folder, "byok", "2.json"), JSON.stringify(allow("kms:ListAliases")))
    kms = await startLocalKms({ enforcePolicies: folder, replicationSeconds: 0 })
    admin = client("AKIAADMIN")
    const sts = new STSClient({
      region: "us-east-1",
      endpoint: kms.endpoint,
      credentials: { accessKeyId: "AKIANOBODY", secretAccessKey: "x" },
    })
    const assumed = await sts.send(
      new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${ACCOUNT}:role/byok`, RoleSessionName: "session" }),
    )
    const { AccessKeyId = "", SessionToken } = assumed.Credentials ?? {}
    caller = client(AccessKeyId, SessionToken)
    const { KeyMetadata } = await admin.createKey({ Origin: "EXTERNAL", Tags: TAGS, MultiRegion: true })
    keyId = KeyMetadata?.KeyId ?? ""
    arn = KeyMetadata?.Arn ?? ""
  })
  after(async () => {
    admin.destroy()
    caller.destroy()
    await kms.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it("a folder has the policies of a role in a folder of its own, and those of an access key in a file", async () => {
    expect(await outcome(caller.listKeys({}))).to.equal("allowed")
    expect(await outcome(caller.listAliases({}))).to.equal("allowed")
    expect(await outcome(caller.describeKey({ KeyId: keyId }))).to.equal(
      `AccessDeniedException: User: arn:aws:sts::${ACCOUNT}:assumed-role/byok/session is not authorized to perform: ` +
        `kms:DescribeKey on resource: ${arn} because no identity-based policy allows the kms:DescribeKey action`,
    )
    expect(await outcome(client("AKIANOBODY").listKeys({}))).to.include("AccessDeniedException")
  })

  const parameters = () =>
    caller.getParametersForImport({
      KeyId: keyId,
      WrappingAlgorithm: "RSAES_OAEP_SHA_1",
      WrappingKeySpec: "RSA_2048",
    })
  const describeIt = () => caller.describeKey({ KeyId: keyId })
  const create = () => caller.createKey({ Origin: "EXTERNAL", Tags: TAGS })
  const rows: readonly [name: string, policies: object, work: () => Promise<unknown>, expected: string][] = [
    ["actions by pattern, whatever their case", { byok: allow("KMS:describe*") }, describeIt, "allowed"],
    [
      "the resource of the key",
      { byok: allow("kms:*", undefined, `arn:aws:kms:*:${ACCOUNT}:key/*`) },
      describeIt,
      "allowed",
    ],
    [
      "another Region's keys",
      { byok: allow("kms:*", undefined, `arn:aws:kms:eu-west-3:${ACCOUNT}:key/*`) },
      describeIt,
      "no identity-based",
    ],
    [
      "a Deny before an Allow",
      { byok: [allow("kms:*"), deny("kms:DescribeKey")] },
      describeIt,
      "explicit deny in an identity-based",
    ],
    ["a Deny for everyone", { byok: allow("kms:*"), everyone: deny("kms:Describe?ey") }, describeIt, "explicit deny"],
    [
      "the tag of the key",
      { byok: allow("kms:*", { StringEquals: { "aws:ResourceTag/team": "a" } }) },
      describeIt,
      "allowed",
    ],
    [
      "another tag",
      { byok: allow("kms:*", { StringEquals: { "aws:ResourceTag/team": "b" } }) },
      describeIt,
      "no identity-based",
    ],
    [
      "a tag that is not there",
      { byok: allow("kms:*", { StringEquals: { "aws:ResourceTag/other": "a" } }) },
      describeIt,
      "no identity-based",
    ],
    [
      "a tag that need not be there",
      { byok: allow("kms:*", { StringEqualsIfExists: { "aws:ResourceTag/other": "a" } }) },
      describeIt,
      "allowed",
    ],
    [
      "a tag that must not be so",
      { byok: allow("kms:*", { StringNotEquals: { "aws:ResourceTag/team": ["a", "b"] } }) },
      describeIt,
      "no identity-based",
    ],
    [
      "a request without a field, by Null",
      { byok: allow("kms:*", { Null: { "kms:ExpirationModel": "true" } }) },
      describeIt,
      "allowed",
    ],
    [
      "the role of a session",
      { byok: allow("kms:*", { ArnLike: { "aws:PrincipalArn": "arn:aws:iam::*:role/by*" } }) },
      describeIt,
      "allowed",
    ],
    [
      "a set that need not be there",
      { byok: allow("kms:*", { "ForAnyValue:StringEqualsIfExists": { "aws:TagKeys": "team" } }) },
      describeIt,
      "allowed",
    ],
    [
      "a set that must be there",
      { byok: allow("kms:*", { "ForAnyValue:StringEquals": { "aws:TagKeys": "team" } }) },
      describeIt,
      "no identity-based",
    ],
    [
      "all but an action",
      { byok: { Statement: { Effect: "Allow", NotAction: "kms:Create*", Resource: "*" } } },
      describeIt,
      "allowed",
    ],
    [
      "all but the key",
      { byok: { Statement: { Effect: "Allow", Action: "*", NotResource: "arn:aws:kms:*:*:key/*" } } },
      describeIt,
      "no identity-based",
    ],
    [
      "two operators, both of which must hold",
      {
        byok: allow("kms:*", {
          StringEquals: { "aws:ResourceTag/team": "a" },
          Bool: { "kms:MultiRegion": "FALSE" },
        }),
      },
      describeIt,
      "no identity-based",
    ],
    [
      "wrapping algorithm and spec",
      {
        byok: allow("kms:*", {
          StringEquals: {
            "kms:WrappingAlgorithm": ["RSAES_OAEP_SHA_1", "x"],
            "kms:WrappingKeySpec": "RSA_2048",
            "kms:KeyOrigin": "EXTERNAL",
          },
        }),
      },
      parameters,
      "allowed",
    ],
    [
      "another wrapping key spec",
      { byok: allow("kms:*", { StringEquals: { "kms:WrappingKeySpec": "RSA_4096" } }) },
      parameters,
      "no identity-based",
    ],
    [
      "a new key's tags are an action of their own",
      { byok: allow("kms:CreateKey") },
      create,
      "kms:TagResource on resource: arn:aws:kms:us-east-1",
    ],
    [
      "a new key and its tags",
      { byok: allow(["kms:CreateKey", "kms:TagResource"], { StringEquals: { "aws:RequestTag/team": "a" } }) },
      create,
      "allowed",
    ],
    [
      "a new key of another tag",
      { byok: allow(["kms:CreateKey", "kms:TagResource"], { StringEquals: { "aws:RequestTag/team": "b" } }) },
      create,
      "kms:CreateKey on resource: *",
    ],
    [
      "tags by set",
      {
        byok: allow("kms:*", { "ForAllValues:StringLike": { "aws:TagKeys": "te*" } }),
        everyone: deny("kms:*", { "ForAnyValue:StringEquals": { "aws:TagKeys": "other" } }),
      },
      create,
      "allowed",
    ],
    [
      "an alias without its key",
      { byok: allow("kms:CreateAlias", undefined, "arn:aws:kms:*:*:alias/*") },
      () => caller.createAlias({ AliasName: "alias/a", TargetKeyId: keyId }),
      "kms:CreateAlias on resource: arn:aws:kms:us-east-1:111122223333:key/",
    ],
    [
      "a key without its alias",
      { byok: allow("kms:CreateAlias", undefined, "arn:aws:kms:*:*:key/*") },
      () => caller.createAlias({ AliasName: "alias/a", TargetKeyId: keyId }),
      ":alias/a because",
    ],
  ]
  for (const [name, policies, work, expected] of rows) {
    it(`${name}: ${expected.split(":")[0] ?? ""}`, async () => {
      await put(policies)
      expect(await outcome(work())).to.include(expected)
    })
  }

  const keyPolicy = (...statements: object[]): string =>
    JSON.stringify({ Version: "2012-10-17", Statement: statements })
  const statement = (Effect: string, AWS: string, Action: unknown) => ({
    Effect,
    Principal: { AWS },
    Action,
    Resource: "*",
  })
  const byKeyPolicy: readonly [name: string, policy: string, identity: object, expected: string][] = [
    [
      "names the caller: it allows by itself",
      keyPolicy(statement("Allow", `arn:aws:iam::${ACCOUNT}:role/byok`, "kms:DescribeKey")),
      {},
      "allowed",
    ],
    [
      "names the account: the caller's own decide",
      keyPolicy(statement("Allow", ACCOUNT, "kms:*")),
      { byok: allow("kms:DescribeKey") },
      "allowed",
    ],
    [
      "names somebody else",
      keyPolicy(statement("Allow", `arn:aws:iam::${ACCOUNT}:role/other`, "kms:*")),
      { byok: allow("kms:*") },
      "no resource-based policy",
    ],
    [
      "denies",
      keyPolicy(statement("Allow", ACCOUNT, "kms:*"), statement("Deny", "*", "kms:DescribeKey")),
      { byok: allow("kms:*") },
      "explicit deny in a resource-based",
    ],
  ]
  for (const [name, Policy, identity, expected] of byKeyPolicy) {
    it(`a key policy that ${name}: ${expected}`, async () => {
      await kms.admin("DELETE", "policies")
      const { KeyMetadata } = await admin.createKey({ Origin: "EXTERNAL", Policy })
      await put(identity)
      expect(await outcome(caller.describeKey({ KeyId: KeyMetadata?.KeyId ?? "" }))).to.include(expected)
    })
  }

  const refused: readonly [name: string, document: object, message: string][] = [
    [
      "an unknown condition key",
      allow("kms:*", { StringEquals: { "aws:SourceIp": "10.0.0.1" } }),
      "no condition key aws:SourceIp",
    ],
    ["an unknown operator", allow("kms:*", { IpAddress: { "kms:KeySpec": "x" } }), "no condition operator IpAddress"],
    ["no Statement", {}, "has a Statement"],
    ["neither Action nor NotAction", { Statement: { Effect: "Allow", Resource: "*" } }, "either Action or NotAction"],
    [
      "a policy variable in a resource",
      allow("kms:*", undefined, "arn:aws:kms:*:*:key/${aws:username}"),
      "no policy variables",
    ],
    [
      "a policy variable in a condition",
      allow("kms:*", { StringEquals: { "aws:ResourceTag/team": "${aws:PrincipalTag/team}" } }),
      "no policy variables",
    ],
    [
      "an operator of dates",
      allow("kms:*", { DateLessThan: { "kms:ValidTo": "2030-01-01T00:00:00Z" } }),
      "DateLessThan",
    ],
    ["Null that is neither true nor false", allow("kms:*", { Null: { "kms:ValidTo": "yes" } }), "true or false"],
    ["Bool that is neither", allow("kms:*", { BoolIfExists: { "kms:MultiRegion": "1" } }), "true or false"],
    ["a number that is none", allow("kms:*", { NumericNotEquals: { "kms:ValidTo": "soon" } }), "a number"],
    ["an empty number", allow("kms:*", { NumericLessThan: { "kms:ValidTo": "" } }), "a number"],
    ["an ARN that is none", allow("kms:*", { ArnLike: { "aws:PrincipalArn": "arn:aws:iam::*" } }), "an ARN"],
    ["an action without its service", allow("DescribeKey"), "no SERVICE:ACTION"],
    ["a resource that is no ARN", allow("kms:*", undefined, "alias/payments"), "no ARN"],
    [
      "a principal",
      { Statement: { Effect: "Allow", Action: "*", Resource: "*", Principal: "*" } },
      "policy has no Principal",
    ],
    [
      "a Sid that stands twice",
      { Statement: ["a", "a"].map((Sid) => ({ Sid, Effect: "Allow", Action: "*", Resource: "*" })) },
      "in two statements",
    ],
    [
      "NotPrincipal",
      { Statement: { Effect: "Deny", Action: "*", Resource: "*", NotPrincipal: "*" } },
      "no NotPrincipal",
    ],
    ["an unknown member", { Statement: { Effect: "Allow", Action: "*", Resource: "*", Wish: 1 } }, "no Wish"],
  ]
  for (const [name, document, message] of refused) {
    it(`refuses ${name} by its name, and keeps what was there`, async () => {
      await put({ byok: allow("kms:ListKeys") })
      expect(await outcome(put({ byok: document }))).to.include(message)
      expect(await outcome(caller.listKeys({}))).to.equal("allowed")
    })
  }

  it("the command refuses at its start what it does not evaluate (64)", async () => {
    const path = join(folder, "bad.json")
    writeFileSync(path, JSON.stringify(allow("kms:*", { Bool: { "aws:MultiFactorAuthPresent": "true" } })))
    const { status, stderr } = await keyferry(["local-kms", "--enforce-policies", path])
    expect(status).to.equal(64)
    expect(stderr).to.include("no condition key aws:MultiFactorAuthPresent")
    rmSync(path)
  })
})
