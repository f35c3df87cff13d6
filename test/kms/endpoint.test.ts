import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { proxyFor } from "#src/kms/proxy.js"
import { openKms } from "#src/kms/kms.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { awsEnvironment } from "../support/aws-environment.js"

const LOCAL = "http://127.0.0.1:4599"

describe("openKms", () => {
  awsEnvironment()
  const open = async (options: Partial<Parameters<typeof openKms>[0]>) => {
    using kms = await openKms({ region: "eu-west-3", env: {}, ...options })
    return { region: kms.region, endpoint: kms.endpoint }
  }

  const origins: [name: string, options: Partial<Parameters<typeof openKms>[0]>, origin: string | undefined][] = [
    [
      "the flag over all",
      { endpointUrl: LOCAL, env: { AWS_ENDPOINT_URL_KMS: "http://localhost:1" } },
      "--endpoint-url",
    ],
    [
      "AWS_ENDPOINT_URL_KMS",
      { env: { AWS_ENDPOINT_URL_KMS: LOCAL, AWS_ENDPOINT_URL: "http://[::1]:1" } },
      "AWS_ENDPOINT_URL_KMS",
    ],
    ["AWS_ENDPOINT_URL", { env: { AWS_ENDPOINT_URL: LOCAL } }, "AWS_ENDPOINT_URL"],
    [
      "none that is to be ignored",
      { env: { AWS_ENDPOINT_URL: LOCAL, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" } },
      undefined,
    ],
    ["AWS' own", { env: { AWS_ENDPOINT_URL: "" } }, undefined],
  ]
  for (const [name, options, origin] of origins) {
    it(`takes the endpoint from ${name}`, async () => {
      const { endpoint } = await open(options)
      expect(endpoint).to.deep.equal(origin === undefined ? null : { url: LOCAL, origin })
    })
  }

  const regions: [env: NodeJS.ProcessEnv, flag: string | undefined, region: string][] = [
    [{ AWS_REGION: "eu-west-1", AWS_DEFAULT_REGION: "eu-west-2" }, "us-east-1", "us-east-1"],
    [{ AWS_REGION: "eu-west-1", AWS_DEFAULT_REGION: "eu-west-2" }, undefined, "eu-west-1"],
    [{ AWS_DEFAULT_REGION: "eu-west-2" }, undefined, "eu-west-2"],
  ]
  for (const [env, region, expected] of regions) {
    it(`takes the Region ${expected}`, async () => {
      expect((await open({ env, region })).region).to.equal(expected)
    })
  }

  it("needs a Region", async () => {
    expect((await expectCode("ERR_KMS_REGION_MISSING", () => open({ region: undefined }))).exit).to.equal("CONFIG")
  })

  const refused: [name: string, options: Partial<Parameters<typeof openKms>[0]>][] = [
    ["plain http to another machine", { endpointUrl: "http://kms.example.test" }],
    ["plain http to a name that only begins like loopback", { endpointUrl: "http://127.0.0.1.example.test" }],
    ["inherited plain http to another machine", { env: { AWS_ENDPOINT_URL: "http://10.0.0.1:8080" } }],
    ["another scheme", { endpointUrl: "ftp://127.0.0.1" }],
    ["no URL", { endpointUrl: "127.0.0.1:4599" }],
    ["a password in the URL", { endpointUrl: "https://user:7351@kms.example.test" }],
    ["a query", { endpointUrl: "https://kms.example.test/?a=b" }],
    ["--fips with an endpoint", { endpointUrl: LOCAL, fips: true }],
    [
      "AWS_USE_FIPS_ENDPOINT with an inherited endpoint",
      { env: { AWS_ENDPOINT_URL: LOCAL, AWS_USE_FIPS_ENDPOINT: "true" } },
    ],
    ["TLS without check", { env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } }],
  ]
  for (const url of ["http://user:pw@127.0.0.1", "https://user@kms.example", "http://127.0.0.1:80@kms.example"]) {
    it(`is told to leave out what stands before the @ of ${url.replace(/\/\/.*@/, "//…@")}`, async () => {
      const error = await expectCode("ERR_KMS_ENDPOINT_REFUSED", () => open({ endpointUrl: url }))
      expect(error.hint).to.include("without what stands before the @").and.to.not.include("TLS")
    })
  }

  for (const [name, options] of refused) {
    it(`refuses ${name}`, async () => {
      const error = await expectCode("ERR_KMS_ENDPOINT_REFUSED", () => open(options))
      expect(error.message).to.not.include("7351")
      expect(error.exit).to.equal("CONFIG")
    })
  }

  it("refuses certificates that cannot be read", async () => {
    await expectCode("ERR_INPUT_UNREADABLE", () => open({ env: { AWS_CA_BUNDLE: "/nonexistent/ca.pem" } }))
  })

  for (const url of ["http://localhost:4599", "http://127.9.8.7", "http://[::1]:4599", "https://kms.example.test"]) {
    it(`takes ${url}`, async () => {
      expect((await open({ endpointUrl: url })).endpoint?.url).to.equal(url)
    })
  }
})

describe("openKms with an AWS profile", () => {
  const folder = temporaryFolder()
  awsEnvironment()
  beforeEach(() => {
    const config = join(folder(), "config")
    mkdirSync(folder(), { recursive: true })
    writeFileSync(
      config,
      [
        "[profile plain]",
        "region = eu-central-1",
        `endpoint_url = ${LOCAL}`,
        "[profile sectioned]",
        "region = eu-central-2",
        "services = doubles",
        "[services doubles]",
        "kms =",
        `  endpoint_url = ${LOCAL}`,
        "[profile unsafe]",
        "region = eu-central-1",
        "endpoint_url = http://kms.example.test",
      ].join("\n"),
    )
    process.env["AWS_CONFIG_FILE"] = config
  })

  it("takes Region and endpoint from it, and says so", async () => {
    using plain = await openKms({ profile: "plain", env: {} })
    expect(plain.region).to.equal("eu-central-1")
    expect(plain.endpoint).to.deep.equal({ url: LOCAL, origin: "endpoint_url of AWS profile 'plain'" })
    using sectioned = await openKms({ env: { AWS_PROFILE: "sectioned" } })
    expect(sectioned.region).to.equal("eu-central-2")
    expect(sectioned.endpoint).to.deep.equal({
      url: LOCAL,
      origin: "kms.endpoint_url of the services of AWS profile 'sectioned'",
    })
    await expectCode("ERR_KMS_ENDPOINT_REFUSED", () => openKms({ profile: "unsafe", env: {} }))
  })
})

describe("proxyFor", () => {
  const AWS = "https://kms.eu-west-3.amazonaws.com"
  const proxied = { HTTPS_PROXY: "http://proxy:3128" }
  const cases: [name: string, url: string, env: NodeJS.ProcessEnv, proxy: string | null][] = [
    ["HTTPS_PROXY", AWS, proxied, "http://proxy:3128/"],
    ["https_proxy before HTTPS_PROXY", AWS, { ...proxied, https_proxy: "http://lower:1" }, "http://lower:1/"],
    ["a proxy without scheme", AWS, { HTTPS_PROXY: "proxy:3128" }, "http://proxy:3128/"],
    ["ALL_PROXY", AWS, { ALL_PROXY: "http://all:1" }, "http://all:1/"],
    ["no proxy", AWS, { HTTP_PROXY: "http://proxy:3128" }, null],
    ["no proxy for any", AWS, { ...proxied, NO_PROXY: "*" }, null],
    ["no proxy for the host", AWS, { ...proxied, NO_PROXY: "a.b, kms.eu-west-3.amazonaws.com" }, null],
    ["no proxy for a domain", AWS, { ...proxied, NO_PROXY: "amazonaws.com" }, null],
    ["no proxy for .domain", AWS, { ...proxied, NO_PROXY: "localhost,.amazonaws.com" }, null],
    ["no proxy for *.domain in lower case", AWS, { ...proxied, no_proxy: "*.AMAZONAWS.com" }, null],
    ["no proxy for the port", AWS, { ...proxied, NO_PROXY: "amazonaws.com:443" }, null],
    ["the proxy for another port", AWS, { ...proxied, NO_PROXY: "amazonaws.com:8443" }, "http://proxy:3128/"],
    ["the proxy for a name with the same end", AWS, { ...proxied, NO_PROXY: "zonaws.com" }, "http://proxy:3128/"],
    ["no proxy for an IPv6 address", "https://[::1]:8443", { ...proxied, NO_PROXY: "[::1]:8443" }, null],
    ["the proxy for https to loopback", "https://127.0.0.1:8443", proxied, "http://proxy:3128/"],
    ["no proxy for plain http to loopback", LOCAL, { HTTP_PROXY: "http://proxy:3128" }, null],
  ]
  for (const [name, url, env, proxy] of cases) {
    it(`finds ${name}`, () => {
      expect(proxyFor(url, env)?.href ?? null).to.equal(proxy)
    })
  }
})
