import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { openKms } from "#src/kms/kms.js"
import { awsEnvironment } from "#test/support/aws-environment.js"
import { keyferry } from "#test/support/cli.js"
import { expectCode } from "#test/support/expect-code.js"
import { ACCESS_KEYS, type IdentityServer, KEY_ARN, serveIdentities } from "#test/support/identity-server.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const ROLE = "role_arn = arn:aws:iam::111122223333:role/byok"
const PROCESS = (id: string) =>
  `credential_process = echo '{"Version":1,"AccessKeyId":"${id}","SecretAccessKey":"s","SessionToken":"t"}'`
const KEYS = (id: string) => `aws_access_key_id = ${id}\naws_secret_access_key = s`

describe("AWS credentials", () => {
  awsEnvironment()
  const folder = temporaryFolder()
  let server: IdentityServer
  let variables: Record<string, string>
  before(async () => {
    server = await serveIdentities()
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    server.broken.clear()
    // everything that could stand in for another: the instance's role, the container's credentials, keys
    variables = {
      AWS_ACCESS_KEY_ID: ACCESS_KEYS.environment,
      AWS_SECRET_ACCESS_KEY: "s",
      AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/container`,
      AWS_ENDPOINT_URL: server.url,
      AWS_CONFIG_FILE: join(folder(), "config"),
      HOME: folder(),
    }
  })

  const setVariables = (): void => {
    for (const name of Object.keys(process.env)) {
      if (name.startsWith("AWS_") && name !== "AWS_SHARED_CREDENTIALS_FILE") Reflect.deleteProperty(process.env, name)
    }
    Object.assign(process.env, variables)
  }

  /** Who signed KMS' request, and what was asked on the way. */
  async function ask(config: string, options: Partial<Parameters<typeof openKms>[0]> = {}) {
    writeFileSync(join(folder(), "config"), config)
    setVariables()
    const from = server.asked.length
    using kms = await openKms({ region: "us-east-1", env: process.env, ...options })
    await kms.describeKey(KEY_ARN)
    const asked = server.asked.slice(from)
    return { signer: asked.at(-1)?.signer, services: asked.map(({ service }) => service) }
  }

  async function refused(code: ErrorCode, config: string, options: Partial<Parameters<typeof openKms>[0]> = {}) {
    const from = server.asked.length
    const error = await expectCode(code, () => ask(config, options))
    expect(server.asked.slice(from).map(({ service }) => service)).to.not.include.members(["kms"])
    return { error, services: server.asked.slice(from).map(({ service }) => service) }
  }

  describe("of a named profile come from it alone", () => {
    const ways: readonly (readonly [
      name: string,
      config: () => string,
      signer: string,
      services: readonly string[],
    ])[] = [
      ["its keys", () => `[profile prod]\n${KEYS("AKIAPROFILE")}`, "AKIAPROFILE", ["kms"]],
      ["credential_process", () => `[profile prod]\n${PROCESS("AKIAPROCESS")}`, "AKIAPROCESS", ["kms"]],
      [
        "a role by way of source_profile",
        () => `[profile prod]\n${ROLE}\nsource_profile = base\n[profile base]\n${KEYS("AKIABASE")}`,
        ACCESS_KEYS.role,
        ["AssumeRole", "kms"],
      ],
      [
        "a role by way of two others",
        () =>
          `[profile prod]\n${ROLE}\nsource_profile = middle\n[profile middle]\n${ROLE}\nsource_profile = base\n[profile base]\n${PROCESS("AKIABASE")}`,
        ACCESS_KEYS.role,
        ["AssumeRole", "AssumeRole", "kms"],
      ],
      [
        "a role of the instance's",
        () => `[profile prod]\n${ROLE}\ncredential_source = Ec2InstanceMetadata`,
        ACCESS_KEYS.role,
        ["instance", "instance", "instance", "AssumeRole", "kms"],
      ],
      [
        "a role of the container's",
        () => `[profile prod]\n${ROLE}\ncredential_source = EcsContainer`,
        ACCESS_KEYS.role,
        ["container", "AssumeRole", "kms"],
      ],
      [
        "a role that its own keys may assume",
        () => `[profile prod]\n${ROLE}\nsource_profile = prod\n${KEYS("AKIAPROFILE")}`,
        ACCESS_KEYS.role,
        ["AssumeRole", "kms"],
      ],
      [
        "a web identity",
        () => {
          writeFileSync(join(folder(), "token"), "web-identity-token")
          return `[profile prod]\n${ROLE}\nweb_identity_token_file = ${join(folder(), "token")}`
        },
        ACCESS_KEYS.webIdentity,
        ["AssumeRoleWithWebIdentity", "kms"],
      ],
      [
        "single sign-on",
        () => {
          const cache = join(folder(), ".aws", "sso", "cache")
          mkdirSync(cache, { recursive: true })
          const name = createHash("sha1").update("work").digest("hex")
          const session = { accessToken: "sso-token", expiresAt: "2099-01-01T00:00:00Z" }
          writeFileSync(join(cache, `${name}.json`), JSON.stringify(session))
          return `[profile prod]\nsso_session = work\nsso_account_id = 111122223333\nsso_role_name = byok\n[sso-session work]\nsso_region = eu-west-3\nsso_start_url = https://start.example.test`
        },
        ACCESS_KEYS.singleSignOn,
        ["sso", "kms"],
      ],
    ]
    for (const [name, config, signer, services] of ways) {
      it(name, async () => {
        expect(await ask(config(), { profile: "prod" })).to.deep.equal({ signer, services })
      })
    }

    it("of AWS_PROFILE, over the environment's keys", async () => {
      variables["AWS_PROFILE"] = "prod"
      expect((await ask(`[profile prod]\n${KEYS("AKIAPROFILE")}`)).signer).to.equal("AKIAPROFILE")
    })

    it("and are what --role-arn is assumed with", async () => {
      const from = server.asked.length
      const config = `[profile prod]\n${KEYS("AKIAPROFILE")}`
      await ask(config, { profile: "prod", roleArn: "arn:aws:iam::111122223333:role/byok" })
      expect(server.asked.slice(from)).to.deep.equal([
        { service: "AssumeRole", signer: "AKIAPROFILE" },
        { service: "kms", signer: ACCESS_KEYS.role },
      ])
    })
  })

  describe("of a named profile that fails are no other's", () => {
    const failures: readonly (readonly [name: string, config: string, tells: RegExp, broken?: string])[] = [
      ["credential_process", "[profile prod]\ncredential_process = echo no-vault >&2; exit 3 # pw", /no-vault/],
      ["credential_process that prints no JSON", "[profile prod]\ncredential_process = echo nothing", /invalid JSON/],
      ["no credentials in it", "[profile prod]\nregion = eu-west-3", /Could not resolve credentials/],
      [
        "single sign-on without a session",
        "[profile prod]\nsso_start_url = https://start.example.test\nsso_region = eu-west-3\nsso_account_id = 111122223333\nsso_role_name = byok",
        /SSO session/,
      ],
      [
        "a web identity without token",
        `[profile prod]\n${ROLE}\nweb_identity_token_file = /nonexistent/token`,
        /ENOENT/,
      ],
      [
        "a role that STS does not give",
        `[profile prod]\n${ROLE}\nsource_profile = base\n[profile base]\n${KEYS("AKIABASE")}`,
        /@aws-sdk|500/,
        "AssumeRole",
      ],
      [
        "an instance that gives none",
        `[profile prod]\n${ROLE}\ncredential_source = Ec2InstanceMetadata`,
        /metadata/,
        "instance",
      ],
    ]
    for (const [name, config, tells, broken] of failures) {
      it(name, async () => {
        if (broken !== undefined) server.broken.add(broken)
        const { error, services } = await refused("ERR_KMS_CREDENTIALS", config, { profile: "prod" })
        expect(error.exit).to.equal("NOPERM")
        expect(error.message).to.include("prod")
        expect(JSON.stringify(error.causes)).to.match(tells)
        expect(new Set(services)).to.deep.equal(new Set(broken === undefined ? [] : [broken]))
      })
    }

    for (const [what, role] of [
      ["of the profile", "[profile prod]"],
      ["of the profile that a role rests on", `[profile prod]\n${ROLE}\nsource_profile = base\n[profile base]`],
      ["whose child holds its output", "[profile prod]"],
    ] as const) {
      it(`a credential_process ${what} that never ends is killed at the deadline`, async () => {
        const pid = join(folder(), "pid")
        const command = what.includes("child") ? `echo $$ > ${pid}; sleep 20 & wait` : `echo $$ > ${pid}; exec sleep 20`
        const options = { profile: "prod", timeouts: { requestMs: 1000 } }
        const { error } = await refused("ERR_KMS_CREDENTIALS", `${role}\ncredential_process = ${command}`, options)
        expect(error.exit).to.equal("NOPERM")
        expect(JSON.stringify(error.causes)).to.include("within 1000 ms")
        expect(() => process.kill(Number(readFileSync(pid, "utf8")), 0)).to.throw("ESRCH")
      })
    }

    it("and its command line, which may hold a password, is not shown", async () => {
      const config = "[profile prod]\ncredential_process = /bin/false --password hunter2"
      const { error } = await refused("ERR_KMS_CREDENTIALS", config, { profile: "prod" })
      expect(JSON.stringify([error.message, error.causes])).to.not.include("hunter2")
    })
  })

  describe("are refused with nothing asked where a profile", () => {
    const refusals: readonly (readonly [name: string, code: ErrorCode, config: string, tells: RegExp])[] = [
      ["is not there", "ERR_KMS_PROFILE_UNKNOWN", "[profile other]\nregion = eu-west-3", /'prod'/],
      [
        "has a source that is not there",
        "ERR_KMS_PROFILE_UNKNOWN",
        `[profile prod]\n${ROLE}\nsource_profile = gone`,
        /'gone'/,
      ],
      [
        "goes round in a circle",
        "ERR_KMS_SETTING",
        `[profile prod]\n${ROLE}\nsource_profile = b\n[profile b]\n${ROLE}\nsource_profile = prod`,
        /source_profile of AWS profile 'b' goes round in a circle: prod, b, prod/,
      ],
      ["is its own source without keys", "ERR_KMS_SETTING", `[profile prod]\n${ROLE}\nsource_profile = prod`, /circle/],
      [
        "wants a second factor",
        "ERR_KMS_SETTING",
        `[profile prod]\n${ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n[profile base]\n${KEYS("AKIABASE")}`,
        /mfa_serial of AWS profile 'prod'/,
      ],
      [
        "has a source that wants a second factor",
        "ERR_KMS_SETTING",
        `[profile prod]\n${ROLE}\nsource_profile = base\n[profile base]\n${ROLE}\nsource_profile = x\nmfa_serial = m\n[profile x]\n${KEYS("AKIABASE")}`,
        /mfa_serial of AWS profile 'base'/,
      ],
      [
        "has a role and keys, but no source: the SDK would pass over the role",
        "ERR_KMS_SETTING",
        `[profile prod]\n${ROLE}\n${KEYS("AKIAPROFILE")}`,
        /role_arn of AWS profile 'prod'/,
      ],
      [
        "has two sources",
        "ERR_KMS_SETTING",
        `[profile prod]\n${ROLE}\nsource_profile = base\ncredential_source = Environment\n[profile base]\n${KEYS("A")}`,
        /exclude each other/,
      ],
      ["has half a key", "ERR_KMS_SETTING", "[profile prod]\naws_access_key_id = AKIA", /aws_secret_access_key/],
      [
        "has a source of another kind",
        "ERR_KMS_SETTING",
        `[profile prod]\n${ROLE}\ncredential_source = Vault`,
        /credential_source/,
      ],
      [
        "names an sso-session that is not there",
        "ERR_KMS_PROFILE_UNKNOWN",
        "[profile prod]\nsso_session = work",
        /sso_session/,
      ],
    ]
    for (const [name, code, config, tells] of refusals) {
      it(name, async () => {
        const { error, services } = await refused(code, config, { profile: "prod" })
        expect(error.exit).to.equal("CONFIG")
        expect(error.message).to.match(tells)
        expect(services).to.deep.equal([])
      })
    }
  })

  describe("without a profile are of what is set, which does not stand in for another", () => {
    const lacking = (...names: readonly string[]): void => {
      for (const name of names) Reflect.deleteProperty(variables, name)
    }
    const noKeys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]

    it("the environment's keys, then the default profile, the container, the instance", async () => {
      const config = `[default]\n${KEYS("AKIADEFAULT")}`
      expect((await ask(config)).signer).to.equal(ACCESS_KEYS.environment)
      lacking(...noKeys)
      expect((await ask(config)).signer).to.equal("AKIADEFAULT")
      expect((await ask("")).signer).to.equal(ACCESS_KEYS.container)
      lacking("AWS_CONTAINER_CREDENTIALS_FULL_URI")
      expect((await ask("")).signer).to.equal(ACCESS_KEYS.instance)
    })

    it("not the instance's role for a default profile that fails", async () => {
      lacking(...noKeys)
      const { services } = await refused("ERR_KMS_CREDENTIALS", "[default]\ncredential_process = exit 1")
      expect(services).to.deep.equal([])
    })

    it("not the instance's role for a container that gives none", async () => {
      lacking(...noKeys)
      server.broken.add("container")
      const { services } = await refused("ERR_KMS_CREDENTIALS", "")
      expect(new Set(services)).to.deep.equal(new Set(["container"]))
    })

    it("not the instance's role for half a key", async () => {
      lacking("AWS_SECRET_ACCESS_KEY")
      const { error } = await refused("ERR_KMS_SETTING", "")
      expect(error.message).to.equal("AWS_SECRET_ACCESS_KEY is not set, and AWS_ACCESS_KEY_ID is")
    })

    it("and a web identity token that is missing is named, 77", async () => {
      lacking(...noKeys)
      Object.assign(variables, {
        AWS_WEB_IDENTITY_TOKEN_FILE: "/nonexistent/token",
        AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/byok",
      })
      const { error, services } = await refused("ERR_KMS_CREDENTIALS", "")
      expect(error.message).to.include("AWS_WEB_IDENTITY_TOKEN_FILE")
      expect(error.key).to.equal("/nonexistent/token")
      expect([error.exit, services]).to.deep.equal(["NOPERM", []])
    })
  })

  it("of the built command: 77 where the profile fails, 78 where there is none, the instance's role never asked", async () => {
    writeFileSync(join(folder(), "config"), "[profile prod]\ncredential_process = echo no-vault >&2; exit 3")
    Reflect.deleteProperty(variables, "AWS_ACCESS_KEY_ID")
    Reflect.deleteProperty(variables, "AWS_SECRET_ACCESS_KEY")
    const from = server.asked.length
    const args = ["params", "--key-id", KEY_ARN, "--out", join(folder(), "p.json"), "--region", "us-east-1", "--json"]
    const env = { ...variables, KEYFERRY_STATE_DIR: join(folder(), "state") }
    const [failing, missing] = await Promise.all([
      keyferry([...args, "--profile", "prod"], { env }),
      keyferry(args, { env: { ...env, AWS_PROFILE: "gone", KEYFERRY_STATE_DIR: join(folder(), "state-2") } }),
    ])
    expect([failing.status, failing.error().code]).to.deep.equal([77, "ERR_KMS_CREDENTIALS"])
    expect(JSON.stringify(failing.error().causes)).to.include("no-vault")
    expect([missing.status, missing.error().code]).to.deep.equal([78, "ERR_KMS_PROFILE_UNKNOWN"])
    expect(server.asked.slice(from)).to.deep.equal([])
  })
})
