import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { expect } from "chai"
import { COMMAND_ACTIONS } from "#src/core/policy/actions.js"
import type { PolicyDocument } from "#src/core/policy/document.js"
import { OPERATIONS } from "#src/local-kms/operations/operations.js"
import { setStage, type Stage } from "../support/stage.js"
import type { CliResult } from "../support/cli.js"

const run = promisify(execFile)
const AWS = process.env["KEYFERRY_TEST_AWS"] ?? "/usr/bin/aws"
const ACCOUNT = "111122223333"
const role = (name: string): string => `arn:aws:iam::${ACCOUNT}:role/${name}`
const AS_BREAKER = ["--role-arn", role("breaker")]
const EVERYTHING = { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "kms:*", Resource: "*" } }
const ROOT_POLICY = {
  Version: "2012-10-17",
  Statement: [
    {
      Sid: "root",
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
      Action: "kms:*",
      Resource: "*",
    },
  ],
}

/** A configuration whose keys need every action that there is. */
const config = (uri: string, keys: object): string =>
  JSON.stringify({
    version: 1,
    id: "byok",
    tokens: { soft: { uri } },
    targets: { home: { region: "us-east-1", account: ACCOUNT, roleArn: role("byok") } },
    defaults: { custody: "token", wrappingKeySpec: "RSA_2048" },
    keys,
  })
const FRESH = { keySpec: "SYMMETRIC_DEFAULT", alias: "alias/fresh", description: "first" }
const KEYS = {
  sym: { keySpec: "SYMMETRIC_DEFAULT", alias: "alias/sym", description: "first" },
  mac: { keySpec: "HMAC_256" },
  signer: { keySpec: "ECC_NIST_P384", keyUsage: "SIGN_VERIFY", keyPolicy: ROOT_POLICY },
  wide: { keySpec: "HMAC_384", multiRegion: { replicas: ["eu-west-3"] } },
}

/** The policy without one action. */
const without = (document: PolicyDocument, action: string): object => ({
  ...document,
  Statement: document.Statement.flatMap((statement) => {
    const left = [statement.Action].flat().filter((each) => each !== action)
    return left.length === 0 ? [] : [{ ...statement, Action: left }]
  }),
})

const actionsIn = ({ Statement }: PolicyDocument): readonly string[] => [
  ...new Set(Statement.flatMap(({ Action }) => Action)),
]

describe("the printed policies, enforced", () => {
  let stage: Stage
  let state: string
  let file: string
  let iam: PolicyDocument
  let breakGlass: PolicyDocument

  const kf = (args: readonly string[], where = state, config = file): Promise<CliResult> =>
    stage.run([...args, "--config", config], { state: where })
  const well = async (...args: Parameters<typeof kf>): Promise<CliResult> => {
    const result = await kf(...args)
    expect(result.status, `${args[0].join(" ")}: ${result.stderr}${result.stdout}`).to.equal(0)
    return result
  }
  /** The same, asking for nothing that the table does not say of the command. */
  const asTheTableSays = async (words: readonly string[], ...rest: readonly string[]): Promise<void> => {
    await stage.kms.clearCounts()
    await well(words, ...rest)
    const { requests } = await stage.kms.counts()
    const line = words.join(" ")
    const lengthOf = (names: string): number =>
      Math.max(...names.split(", ").map((name) => (line.startsWith(name) ? name.length : 0)))
    const [command] = Object.entries(COMMAND_ACTIONS)
      .filter(([names]) => lengthOf(names) > 0)
      .sort(([a], [b]) => lengthOf(b) - lengthOf(a))
    const asked = Object.keys(requests).filter((name) => Object.hasOwn(OPERATIONS, name))
    expect(command?.[1].actions ?? [], words.join(" ")).to.include.members(asked)
  }
  const printed = async (...words: readonly string[]): Promise<PolicyDocument> =>
    JSON.parse((await well(["policy", ...words])).stdout) as PolicyDocument
  const put = (policies: object): Promise<unknown> => stage.kms.admin("PUT", "policies", { policies })
  const configured = (keys: object): string => {
    const path = join(stage.folder, `${Object.keys(keys).join("-")}-${Math.random()}.json`)
    writeFileSync(path, config(stage.token.uri, keys))
    return path
  }

  before(async () => {
    stage = await setStage({ regions: ["us-east-1", "eu-west-3"], rotationSeconds: 0, replicationSeconds: 0 })
    state = stage.state()
    // aliases are in the policy by their names
    file = configured({ ...KEYS, fresh: FRESH, named: { keySpec: "HMAC_256", alias: "alias/named" } })
    iam = await printed("iam")
    breakGlass = await printed("iam", "--break-glass")
    file = configured(KEYS)
    await put({ byok: iam, breaker: breakGlass })
  })
  after(() => stage[Symbol.asyncDispose]())

  it("let every command of the everyday role do its work", async () => {
    for (const words of [
      ["doctor"],
      ["plan"],
      ["apply"],
      ["status"],
      ["status", "--usage"],
      ["check", "--warn", "1d", "--crit", "1h"],
      ["verify", "--full"],
      ["rewrap", "--all"],
      ["rotate", "sym"],
      ["recover"],
      ["replace", "sym"],
      ["replace", "wide"],
      ["provision", "--name", "mac", "--key-spec", "HMAC_256", "--custody", "token"],
      ["key", "generate", "--name", "made", "--key-spec", "HMAC_256", "--custody", "token"],
      ["key", "list"],
      ["key", "destroy", "--name", "made", "--yes"],
      ["agent", "--once"],
    ])
      await asTheTableSays(words)
  })

  it("let key adopt take over a key that was carried by hand", async () => {
    const { module, label, pin, env } = stage.token
    const login = ["--module", module, "--token-label", label, "--login", "--pin", "env:USER_PIN"]
    const made = ["--keygen", "--key-type", "AES:32", "--label", "legacy", "--id", "0f", "--sensitive", "--extractable"]
    await run("pkcs11-tool", [...login, ...made], { env: { ...process.env, ...env, USER_PIN: pin } })
    await stage.kms.admin("DELETE", "policies")
    const { KeyMetadata } = await stage.sdk.createKey({ Origin: "EXTERNAL" })
    const keyArn = KeyMetadata?.Arn ?? ""
    const adopting = configured({ taken: { keySpec: "SYMMETRIC_DEFAULT", custody: "sealed", keyArn } })
    const printedFor = JSON.parse((await well(["policy", "iam"], state, adopting)).stdout) as PolicyDocument
    await put({ byok: printedFor, breaker: breakGlass })
    const apart = stage.state()
    const words = ["key", "adopt", "--label", "legacy", "--name", "taken", "--key-id", keyArn, "--yes"]
    await asTheTableSays(words, apart, adopting)
    await asTheTableSays(["apply", "--key", "taken"], apart, adopting)
    await put({ byok: iam, breaker: breakGlass })
  })

  it("let the three steps, state merge and status --rebuild do theirs", async () => {
    const alone = configured({ steps: { keySpec: "HMAC_256" }, ...KEYS })
    const parameters = join(stage.folder, "steps.json")
    const wrapped = join(stage.folder, "wrapped.bin")
    await asTheTableSays(
      ["key", "generate", "--name", "steps", "--key-spec", "HMAC_256", "--custody", "token"],
      state,
      alone,
    )
    await asTheTableSays(
      ["params", "--name", "steps", "--key-spec", "HMAC_256", "--wrapping-key-spec", "RSA_2048", "--out", parameters],
      state,
      alone,
    )
    await asTheTableSays(["wrap", "--name", "steps", "--parameters", parameters, "--out", wrapped], state, alone)
    await asTheTableSays(["import", "--name", "steps", "--parameters", parameters, "--wrapped", wrapped], state, alone)
    const rebuilt = stage.state()
    await asTheTableSays(["status", "--rebuild"], rebuilt, alone)
    await asTheTableSays(["state", "merge", state], rebuilt, alone)
    await asTheTableSays(["status"], rebuilt, alone)
  })

  it("let every command of break-glass do its work", async () => {
    for (const words of [
      ["retire", "sym", "--yes", "--although-used"],
      ["disable", "mac", "--yes"],
      ["enable", "mac"],
      ["delete-material", "sym", "--yes", "--although-used"],
      ["delete-material", "signer", "--yes", "--although-used"],
      ["schedule-deletion", "wide", "--yes", "--although-used"],
    ])
      await asTheTableSays([...words, ...AS_BREAKER])
  })

  /** Runs a command without one action, then with it: nothing else was in its way. */
  const refusedWithout = async (
    action: string,
    { role: name, policy }: { readonly role: string; readonly policy: PolicyDocument },
    [words, file]: readonly [words: readonly string[], config: string],
    where = state,
  ): Promise<void> => {
    await put({ byok: iam, breaker: breakGlass, [name]: without(policy, action) })
    const refused = await kf([...words, "--json"], where, file)
    await put({ byok: iam, breaker: breakGlass })
    const said = refused.stdout + refused.stderr
    expect(refused.status, `${words.join(" ")} without ${action}: ${said}`).to.equal(77)
    expect(said).to.include(`allow ${action} in the IAM policy and in the key policy`).and.include("AccessDenied")
    const again = await kf(words, where, file)
    expect(again.status, `${words.join(" ")} with ${action} again: ${again.stderr}`).to.equal(0)
  }

  describe("without one action of the everyday role", () => {
    const made = (name: string, key: object = { keySpec: "HMAC_256" }): readonly [readonly string[], string] => [
      ["apply", "--key", name],
      configured({ [name]: key }),
    ]
    const corrected = (name: string, key: object): readonly [readonly string[], string] => [
      ["apply", "--only", "correct", "--key", name],
      configured({ [name]: key }),
    ]
    const ALIVE = { mac: KEYS.mac, fresh: FRESH }
    const signing = { keySpec: "ECC_NIST_P384", keyUsage: "SIGN_VERIFY", keyPolicy: ROOT_POLICY }
    before(async () => {
      await put({ byok: iam, breaker: breakGlass })
      await well(["apply", "--key", "fresh", "--key", "pen"], state, configured({ ...ALIVE, pen: signing }))
    })
    const otherPolicy = { ...ROOT_POLICY, Statement: [{ ...ROOT_POLICY.Statement[0], Sid: "other" }] }
    const cases: Readonly<Record<string, () => readonly [readonly string[], string, boolean?]>> = {
      "kms:ListKeys": () => made("listed"),
      "kms:ListAliases": () => [["status", "--rebuild"], configured(ALIVE), true],
      "kms:DescribeKey": () => [["status", "mac"], configured(ALIVE)],
      "kms:ListResourceTags": () => [["status", "mac"], configured(ALIVE)],
      "kms:GetKeyLastUsage": () => [["status", "mac", "--usage"], configured(ALIVE)],
      "kms:CreateKey": () => made("created"),
      "kms:TagResource": () => made("tagged"),
      "kms:GetParametersForImport": () => [["rewrap", "mac"], configured(ALIVE)],
      "kms:ImportKeyMaterial": () => [["rewrap", "mac"], configured(ALIVE)],
      "kms:GetPublicKey": () => [["verify", "pen"], configured({ pen: signing })],
      "kms:Sign": () => [["verify", "pen"], configured({ pen: signing })],
      "kms:VerifyMac": () => [["verify", "mac"], configured(ALIVE)],
      "kms:ListKeyRotations": () => [["verify", "fresh"], configured(ALIVE)],
      "kms:GetKeyRotationStatus": () => [["rotate", "fresh"], configured(ALIVE)],
      "kms:RotateKeyOnDemand": () => [["rotate", "fresh"], configured(ALIVE)],
      "kms:GetKeyPolicy": () => [["status", "pen"], configured({ pen: signing })],
      "kms:PutKeyPolicy": () => corrected("pen", { ...signing, keyPolicy: otherPolicy }),
      "kms:UpdateKeyDescription": () => corrected("fresh", { ...FRESH, description: "second" }),
      "kms:CreateAlias": () => made("named", { keySpec: "HMAC_256", alias: "alias/named" }),
      "kms:UpdateAlias": () => [["replace", "fresh"], configured(ALIVE)],
      "kms:ReplicateKey": () => made("broad", { keySpec: "HMAC_384", multiRegion: { replicas: ["eu-west-3"] } }),
    }
    it("a case stands for each action of the policy", () => {
      expect([...actionsIn(iam)].sort()).to.deep.equal(Object.keys(cases).sort())
    })
    for (const [action, given] of Object.entries(cases)) {
      it(`${action}: a command fails by its name`, async () => {
        const [words, file, isLost = false] = given()
        await refusedWithout(action, { role: "byok", policy: iam }, [words, file], isLost ? stage.state() : state)
      })
    }
  })

  describe("without one action of break-glass", () => {
    const doomed = (name: string) => ({ [name]: { keySpec: "SYMMETRIC_DEFAULT" } })
    const NAMES = ["off", "emptied", "listed-off", "rotations", "status-off", "deleted", "seen", "asked"]
    const all = Object.assign({}, ...NAMES.map(doomed)) as object
    let file: string
    before(async () => {
      file = configured(all)
      await put({ byok: iam, breaker: breakGlass })
      await well(["apply", ...NAMES.flatMap((name) => ["--key", name])], state, file)
    })
    const cases: Readonly<Record<string, readonly string[]>> = {
      "kms:DescribeKey": ["disable", "seen", "--yes"],
      "kms:ListAliases": ["disable", "listed-off", "--yes"],
      "kms:DisableKey": ["disable", "off", "--yes"],
      "kms:EnableKey": ["enable", "off"],
      "kms:ListKeyRotations": ["delete-material", "rotations", "--yes"],
      "kms:GetKeyRotationStatus": ["delete-material", "status-off", "--yes"],
      "kms:DeleteImportedKeyMaterial": ["delete-material", "emptied", "--yes"],
      "kms:GetKeyLastUsage": ["schedule-deletion", "asked", "--yes"],
      "kms:ScheduleKeyDeletion": ["schedule-deletion", "deleted", "--yes"],
    }
    it("a case stands for each action of the policy", () => {
      expect([...actionsIn(breakGlass)].sort()).to.deep.equal(Object.keys(cases).sort())
    })
    for (const [action, words] of Object.entries(cases)) {
      it(`${action}: a command fails by its name`, async () => {
        await refusedWithout(action, { role: "breaker", policy: breakGlass }, [[...words, ...AS_BREAKER], file])
      })
    }
  })

  describe("with the guard", () => {
    let keyId: string
    let intruder: Readonly<Record<string, string>>
    let ours: string
    before(async () => {
      ours = configured({ guarded: { keySpec: "SYMMETRIC_DEFAULT" } })
      const guard = await printed("guard", "--break-glass-principal", role("breaker"))
      await put({ byok: iam, breaker: breakGlass, intruder: EVERYTHING, everyone: guard })
      await well(["apply", "--key", "guarded"], state, ours)
      const { Credentials } = (await aws(
        stage.env,
        "sts",
        "assume-role",
        "--role-arn",
        role("intruder"),
        "--role-session-name",
        "intruder",
      )) as {
        Credentials: { AccessKeyId: string; SecretAccessKey: string; SessionToken: string }
      }
      intruder = {
        ...stage.env,
        AWS_ACCESS_KEY_ID: Credentials.AccessKeyId,
        AWS_SECRET_ACCESS_KEY: Credentials.SecretAccessKey,
        AWS_SESSION_TOKEN: Credentials.SessionToken,
      }
      const { keys } = (await well(["status", "guarded", "--json"], state, ours)).json() as {
        keys: { keyArn: string }[]
      }
      keyId = keys[0]?.keyArn ?? ""
    })

    const aws = async (env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<unknown> => {
      const { stdout } = await run(AWS, [...args, "--endpoint-url", stage.kms.endpoint, "--output", "json"], { env })
      return stdout === "" ? {} : (JSON.parse(stdout) as unknown)
    }
    const denied = async (...args: readonly string[]): Promise<string> =>
      await aws(intruder, "kms", ...args).then(
        () => expect.fail(`${args.join(" ")} was let pass`),
        (error: unknown) => (error as { stderr: string }).stderr,
      )

    it("another role with every permission looks and uses, and neither deletes nor imports (AWS CLI)", async () => {
      expect(await aws(intruder, "kms", "describe-key", "--key-id", keyId)).to.have.nested.property(
        "KeyMetadata.KeyState",
      )
      writeFileSync(join(stage.folder, "plaintext"), "plaintext")
      await aws(
        intruder,
        "kms",
        "encrypt",
        "--key-id",
        keyId,
        "--plaintext",
        `fileb://${join(stage.folder, "plaintext")}`,
      )
      const blob = join(stage.folder, "blob")
      writeFileSync(blob, "x")
      for (const words of [
        ["delete-imported-key-material", "--key-id", keyId],
        ["schedule-key-deletion", "--key-id", keyId],
        [
          "get-parameters-for-import",
          "--key-id",
          keyId,
          "--wrapping-algorithm",
          "RSAES_OAEP_SHA_1",
          "--wrapping-key-spec",
          "RSA_2048",
        ],
        [
          "import-key-material",
          "--key-id",
          keyId,
          "--encrypted-key-material",
          `fileb://${blob}`,
          "--import-token",
          `fileb://${blob}`,
          "--expiration-model",
          "KEY_MATERIAL_DOES_NOT_EXPIRE",
        ],
        ["untag-resource", "--key-id", keyId, "--tag-keys", "keyferry:owner"],
        ["tag-resource", "--key-id", keyId, "--tags", "TagKey=keyferry:owner,TagValue=mine"],
        ["tag-resource", "--key-id", keyId, "--tags", "TagKey=KEYFERRY:OWNER,TagValue=mine"],
      ])
        expect(await denied(...words), words[0])
          .to.include("AccessDenied")
          .and.include("explicit deny")
      const other = (await aws(intruder, "kms", "create-key", "--origin", "EXTERNAL")) as {
        KeyMetadata: { KeyId: string }
      }
      await aws(intruder, "kms", "delete-imported-key-material", "--key-id", other.KeyMetadata.KeyId)
    })

    it("nothing of ours is stopped, of the everyday role or of break-glass", async () => {
      for (const words of [
        ["rewrap", "guarded"],
        ["rotate", "guarded"],
        ["replace", "guarded"],
        ["retire", "guarded", "--yes", "--although-used", ...AS_BREAKER],
        ["delete-material", "guarded", "--yes", "--although-used", ...AS_BREAKER],
        ["recover", "guarded", "--yes"],
        ["schedule-deletion", "guarded", "--yes", "--although-used", ...AS_BREAKER],
      ])
        await well(words, state, ours)
    })

    it("without a break-glass principal nobody deletes", async () => {
      await put({ byok: iam, breaker: breakGlass, everyone: await printed("guard") })
      await well(["apply", "--key", "kept"], state, configured({ kept: { keySpec: "HMAC_256" } }))
      const refused = await kf(["delete-material", "kept", "--yes", ...AS_BREAKER])
      expect(refused.status).to.equal(77)
      expect(refused.stderr).to.include("explicit deny")
    })
  })
})
