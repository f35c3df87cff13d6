import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { readAwsSettings } from "#src/kms/aws-settings.js"
import { openKms } from "#src/kms/kms.js"
import { awsEnvironment } from "#test/support/aws-environment.js"
import { keyferry } from "#test/support/cli.js"
import { expectCode } from "#test/support/expect-code.js"
import { KEY_ARN } from "#test/support/identity-server.js"
import { answering, serveHttp } from "#test/support/servers.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("AWS settings", () => {
  awsEnvironment()
  const folder = temporaryFolder()
  const read = (env: NodeJS.ProcessEnv, config = "") => {
    writeFileSync(join(folder(), "config"), config)
    process.env["AWS_CONFIG_FILE"] = join(folder(), "config")
    return readAwsSettings({ env: { AWS_REGION: "eu-west-3", ...env } })
  }

  const readings: readonly (readonly [name: string, env: NodeJS.ProcessEnv, config: string, expected: object])[] = [
    ["True in any case", { AWS_USE_FIPS_ENDPOINT: "True" }, "", { fips: true }],
    ["false in any case", { AWS_USE_FIPS_ENDPOINT: "FALSE" }, "[default]\nuse_fips_endpoint = TRUE", { fips: false }],
    ["a switch of the profile", {}, "[default]\nuse_dualstack_endpoint = True", { dualstack: true }],
    ["an empty switch as none", { AWS_USE_FIPS_ENDPOINT: "" }, "[default]\nuse_fips_endpoint = true", { fips: true }],
    ["an empty Region as none", { AWS_REGION: "", AWS_DEFAULT_REGION: "eu-west-1" }, "", { region: "eu-west-1" }],
    ["a Region of blanks as none", { AWS_REGION: " " }, "[default]\nregion = eu-north-1", { region: "eu-north-1" }],
    ["AWS_MAX_ATTEMPTS", { AWS_MAX_ATTEMPTS: "10" }, "", { attempts: 10 }],
    ["max_attempts", {}, "[default]\nmax_attempts = 7", { attempts: 7 }],
    ["the attempts of retry mode legacy", { AWS_RETRY_MODE: "Legacy" }, "", { attempts: 5 }],
    [
      "the profile of AWS_DEFAULT_PROFILE",
      { AWS_REGION: undefined, AWS_DEFAULT_PROFILE: "p", AWS_PROFILE: "" },
      "[profile p]\nregion = eu-south-1",
      { region: "eu-south-1" },
    ],
    [
      "no endpoint that is to be passed over",
      { AWS_ENDPOINT_URL: "http://127.0.0.1:1", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "True" },
      "",
      { endpoint: null },
    ],
  ]
  for (const [name, env, config, expected] of readings) {
    it(`has ${name}`, async () => {
      expect(await read(env, config)).to.include(expected)
    })
  }

  const refusals: readonly (readonly [variable: string, env: NodeJS.ProcessEnv, config?: string, code?: ErrorCode])[] =
    [
      ["AWS_USE_FIPS_ENDPOINT", { AWS_USE_FIPS_ENDPOINT: "yes" }],
      ["use_fips_endpoint of AWS profile 'default'", {}, "[default]\nuse_fips_endpoint = 1"],
      ["AWS_USE_DUALSTACK_ENDPOINT", { AWS_USE_DUALSTACK_ENDPOINT: "on" }],
      ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "0" }],
      ["AWS_MAX_ATTEMPTS", { AWS_MAX_ATTEMPTS: "0" }],
      ["AWS_MAX_ATTEMPTS", { AWS_MAX_ATTEMPTS: "many" }],
      ["retry_mode of AWS profile 'default'", {}, "[default]\nretry_mode = eager"],
      ["AWS_DEFAULT_PROFILE", { AWS_PROFILE: "a", AWS_DEFAULT_PROFILE: "b" }],
      ["services of AWS profile 'default'", {}, "[default]\nservices = gone", "ERR_KMS_PROFILE_UNKNOWN"],
      ["HTTPS_PROXY", { HTTPS_PROXY: "http://user:se#cret@proxy.test:3128" }],
      ["https_proxy", { https_proxy: "http://user:1#cret@proxy.test:3128" }],
      ["HTTPS_PROXY", { HTTPS_PROXY: "http://user:12/cret@proxy.test:3128" }],
      ["HTTPS_PROXY", { HTTPS_PROXY: "user:cret%zz@proxy.test:3128" }],
      ["HTTPS_PROXY", { HTTPS_PROXY: "http://user:cret%ff@proxy.test:3128" }],
      ["HTTPS_PROXY", { HTTPS_PROXY: "http://user:cret@proxy.test:70000" }],
      ["ALL_PROXY", { ALL_PROXY: "socks5://user:cret@proxy.test:1080" }],
      [
        "AWS_ENDPOINT_URL_KMS",
        { AWS_ENDPOINT_URL_KMS: "https://user:se#cret@kms.test" },
        "",
        "ERR_KMS_ENDPOINT_REFUSED",
      ],
      ["AWS_ENDPOINT_URL", { AWS_ENDPOINT_URL: "https://user:12/cret@kms.test" }, "", "ERR_KMS_ENDPOINT_REFUSED"],
      ["AWS_ENDPOINT_URL_SSO", { AWS_ENDPOINT_URL_SSO: "http://sso.test" }, "", "ERR_KMS_ENDPOINT_REFUSED"],
      ["AWS_CA_BUNDLE", { AWS_CA_BUNDLE: "/etc/hostname" }],
      ["AWS_CA_BUNDLE", { AWS_CA_BUNDLE: "/etc" }, "", "ERR_INPUT_UNREADABLE"],
    ]
  for (const [variable, env, config = "", code = "ERR_KMS_SETTING"] of refusals) {
    it(`refuses ${JSON.stringify(env)} ${config.replace("\n", " ")} by the name of ${variable}, unquoted`, async () => {
      const error = await expectCode(code, () => read(env, config))
      expect(error.message).to.include(variable)
      expect(JSON.stringify([error.message, error.hint, error.causes])).to.not.include("cret")
    })
  }

  it("refuses a file that may not be read, instead of taking it for missing", async () => {
    mkdirSync(join(folder(), "locked"))
    process.env["AWS_CONFIG_FILE"] = join(folder(), "locked", "config".repeat(60))
    const error = await expectCode("ERR_INPUT_UNREADABLE", () => readAwsSettings({ env: { AWS_REGION: "eu-west-3" } }))
    expect(error.message).to.include("AWS_CONFIG_FILE")
  })

  it("takes a home that may not be entered for one without AWS' files, and refuses such a file that is named or there", () => {
    const home = join(folder(), "home")
    mkdirSync(join(home, ".aws"), { recursive: true })
    writeFileSync(join(home, ".aws", "config"), "[default]\nregion = eu-north-1\n", { mode: 0o000 })
    expect(readAs({ HOME: home }), "a file that is there").to.include("ERR_INPUT_UNREADABLE")
    chmodSync(home, 0o000)
    expect(readAs({ HOME: home }), "a home as ProtectHome= leaves it").to.equal("eu-west-3")
    const named = { HOME: home, AWS_CONFIG_FILE: join(home, ".aws", "config") }
    expect(readAs(named), "a file that is named").to.include("ERR_INPUT_UNREADABLE")
    chmodSync(home, 0o700)
  })

  it("sends a request as often as AWS_MAX_ATTEMPTS says", async () => {
    let asked = 0
    await using server = await serveHttp(
      answering(() => {
        asked += 1
        return [500, "application/x-amz-json-1.1", '{"__type":"KMSInternalException"}']
      }),
    )
    using kms = await openKms({
      region: "us-east-1",
      endpointUrl: `http://127.0.0.1:${server.port}`,
      env: { AWS_MAX_ATTEMPTS: "5" },
    })
    await expectCode("ERR_KMS_UNAVAILABLE", () => kms.describeKey(KEY_ARN))
    expect(asked).to.equal(5)
  })

  it("of the built command: a proxy's password is in no output, and 78 comes before anything is sent", async () => {
    const env = {
      HTTPS_PROXY: "http://user:se#cret@127.0.0.1:1",
      AWS_ACCESS_KEY_ID: "AKIA",
      AWS_SECRET_ACCESS_KEY: "s",
      KEYFERRY_STATE_DIR: join(folder(), "state"),
    }
    const args = ["params", "--key-id", KEY_ARN, "--out", join(folder(), "p.json"), "--region", "us-east-1", "--json"]
    const result = await keyferry([...args, "--verbose"], { env })
    expect([result.status, result.error().code]).to.deep.equal([78, "ERR_KMS_SETTING"])
    expect(result.stdout + result.stderr)
      .to.include("HTTPS_PROXY")
      .and.not.include("cret")
  })
})

/** The Region that settings are read with, or the error's code, in a process that may not read what its mode forbids. */
function readAs(env: Readonly<Record<string, string>>): string {
  const settings = new URL("../../src/kms/aws-settings.js", import.meta.url).href
  const program = `import { readAwsSettings } from ${JSON.stringify(settings)}
    process.stdout.write(await readAwsSettings({ env: { AWS_REGION: "eu-west-3" } }).then(({ region }) => region, (error) => error.code))`
  const node = [process.execPath, "--input-type=module", "-e", program]
  const command =
    process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search", ...node] : node
  const [file = "", ...args] = command
  const { stdout, stderr } = spawnSync(file, args, { encoding: "utf8", env: { PATH: process.env["PATH"], ...env } })
  return stdout + stderr
}
