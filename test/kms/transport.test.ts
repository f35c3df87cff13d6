import { spawnSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { Secret } from "#src/core/base/secret.js"
import { openKms } from "#src/kms/kms.js"
import { expectCode } from "#test/support/expect-code.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { awsEnvironment, SYMMETRIC } from "../support/aws-environment.js"
import { answering, serveHttp, serveProxy, serveTls } from "../support/servers.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const OTHER_ARN = ARN.replace("1234abcd", "9999abcd")
const METADATA = {
  Arn: ARN,
  KeyState: "PendingImport",
  KeySpec: "SYMMETRIC_DEFAULT",
  KeyUsage: "ENCRYPT_DECRYPT",
  Origin: "EXTERNAL",
}
const JSON_TYPE = "application/x-amz-json-1.1"
const PROGRAM = fileURLToPath(new URL("../support/kms-process.js", import.meta.url))

const describeAnswer = answering(() => [200, JSON_TYPE, JSON.stringify({ KeyMetadata: METADATA })])
const at = (port: number, env: NodeJS.ProcessEnv = {}, scheme = "http") =>
  openKms({ region: "us-east-1", endpointUrl: `${scheme}://127.0.0.1:${port}`, env })

describe("the way to KMS", () => {
  awsEnvironment()
  const folder = temporaryFolder()
  const NAME = "kms.example.test"
  const viaProxy = (proxyPort: number, env: NodeJS.ProcessEnv = {}) =>
    openKms({
      region: "us-east-1",
      endpointUrl: `https://${NAME}`,
      env: {
        HTTPS_PROXY: `http://user:word@127.0.0.1:${proxyPort}`,
        AWS_CA_BUNDLE: join(folder(), "cert.pem"),
        ...env,
      },
    })

  it("goes through HTTPS_PROXY, with TLS to the endpoint inside", async () => {
    await using server = await serveTls(describeAnswer, folder(), NAME)
    await using proxy = await serveProxy(server.port)
    using kms = await viaProxy(proxy.port)
    for (let call = 0; call < 3; call += 1) expect((await kms.describeKey(ARN)).keyArn).to.equal(ARN)
    // STS is asked at the same endpoint, by the same way, where the answer is none of its own
    await expectCode("ERR_KMS_ANSWER", () => kms.callerIdentity())
    expect(new Set(proxy.asked)).to.deep.equal(new Set([`${NAME}:443`]))
  })

  it("goes past the proxy where NO_PROXY says so", async () => {
    await using server = await serveTls(describeAnswer, folder(), NAME)
    await using proxy = await serveProxy(server.port)
    using kms = await viaProxy(proxy.port, { NO_PROXY: "example.test" })
    const error = await expectCode("ERR_KMS_UNREACHABLE", () => kms.describeKey(ARN))
    expect(error.causes[0]?.code).to.be.oneOf(["ENOTFOUND", "EAI_AGAIN"])
    expect(proxy.asked).to.deep.equal([])
  })

  it("says that the proxy refused, and that nothing was created", async () => {
    await using server = await serveTls(describeAnswer, folder(), NAME)
    await using proxy = await serveProxy(server.port, 407)
    using kms = await viaProxy(proxy.port)
    const error = await expectCode("ERR_KMS_UNREACHABLE", () => kms.createKey(SYMMETRIC))
    expect(error.hint).to.include("HTTPS_PROXY")
    expect(JSON.stringify([error.message, error.causes])).to.not.include("word")
  })

  it("does not trust a certificate that nobody vouches for", async () => {
    await using server = await serveTls(describeAnswer, folder(), NAME)
    await using proxy = await serveProxy(server.port)
    using kms = await viaProxy(proxy.port, { AWS_CA_BUNDLE: undefined })
    const error = await expectCode("ERR_KMS_UNREACHABLE", () => kms.createKey(SYMMETRIC))
    expect(error.causes[0]?.code).to.equal("DEPTH_ZERO_SELF_SIGNED_CERT")
    expect(error.hint).to.include("AWS_CA_BUNDLE")
  })

  it("does not take another name's certificate", async () => {
    await using server = await serveTls(describeAnswer, folder(), NAME)
    using kms = await at(server.port, { AWS_CA_BUNDLE: join(folder(), "cert.pem") }, "https")
    const error = await expectCode("ERR_KMS_UNREACHABLE", () => kms.describeKey(ARN))
    expect(error.causes[0]?.code).to.equal("ERR_TLS_CERT_ALTNAME_INVALID")
  })

  it("says that nothing listens, or not TLS", async () => {
    const server = await serveHttp(describeAnswer)
    using tls = await at(server.port, {}, "https")
    await expectCode("ERR_KMS_UNREACHABLE", () => tls.describeKey(ARN))
    await server[Symbol.asyncDispose]()
    using kms = await at(server.port)
    const error = await expectCode("ERR_KMS_UNREACHABLE", () => kms.createKey(SYMMETRIC))
    expect(error.causes[0]?.code).to.equal("ECONNREFUSED")
  })
})

describe("answers of KMS", () => {
  awsEnvironment()
  const rsa = (modulusLength: number, publicExponent = 65537): Buffer =>
    generateKeyPairSync("rsa", { modulusLength, publicExponent }).publicKey.export({ format: "der", type: "spki" })
  const good = rsa(2048)
  const parameters = (fields: object): string =>
    JSON.stringify({
      KeyId: ARN,
      PublicKey: good.toString("base64"),
      ImportToken: "AAEC",
      ParametersValidTo: Date.now() / 1000 + 86_400,
      ...fields,
    })
  const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

  it("gives no parameters but those of the key, and needs no time of expiry", async () => {
    await using server = await serveHttp(
      answering(() => [200, JSON_TYPE, parameters({ ParametersValidTo: undefined })]),
    )
    using kms = await at(server.port)
    const { wrappingKey, parametersValidTo, requestId } = await kms.getParametersForImport(
      ARN,
      "RSAES_OAEP_SHA_1",
      "RSA_2048",
    )
    expect(Buffer.from(wrappingKey.spki).equals(good)).to.equal(true)
    expect(parametersValidTo).to.equal(null)
    expect(requestId).to.equal("request-1")
  })

  const bad: [name: string, answer: string, code: ErrorCode][] = [
    ["another key's parameters", parameters({ KeyId: OTHER_ARN }), "ERR_KMS_ANSWER"],
    ["parameters that are valid for years", parameters({ ParametersValidTo: 2e9 }), "ERR_KMS_ANSWER"],
    ["parameters that were never valid", parameters({ ParametersValidTo: 1e9 }), "ERR_KMS_ANSWER"],
    ["parameters with a negative date", parameters({ ParametersValidTo: -1 }), "ERR_KMS_ANSWER"],
    ["parameters with words for a date", parameters({ ParametersValidTo: "soon" }), "ERR_KMS_ANSWER"],
    ["parameters with a list for a key", parameters({ PublicKey: [1, 2] }), "ERR_KMS_ANSWER"],
    ["parameters of no key", parameters({ KeyId: undefined }), "ERR_KMS_ANSWER"],
    ["no import token", parameters({ ImportToken: undefined }), "ERR_KMS_ANSWER"],
    ["an empty import token", parameters({ ImportToken: "" }), "ERR_KMS_ANSWER"],
    ["no wrapping key", parameters({ PublicKey: undefined }), "ERR_KMS_ANSWER"],
    ["a wrapping key of another size", parameters({ PublicKey: b64(rsa(3072)) }), "ERR_WRAPPING_KEY_INVALID"],
    ["a wrapping key of exponent 3", parameters({ PublicKey: b64(rsa(2048, 3)) }), "ERR_WRAPPING_KEY_INVALID"],
    [
      "bytes after the wrapping key",
      parameters({ PublicKey: b64(Buffer.concat([good, Buffer.of(0)])) }),
      "ERR_WRAPPING_KEY_INVALID",
    ],
    ["a cut wrapping key", parameters({ PublicKey: b64(good.subarray(0, 200)) }), "ERR_WRAPPING_KEY_INVALID"],
    ["an empty object", "{}", "ERR_KMS_ANSWER"],
    ["a web page", "<html>sign in</html>", "ERR_KMS_ANSWER"],
  ]
  for (const [name, answer, code] of bad) {
    it(`refuses ${name}`, async () => {
      await using server = await serveHttp(answering(() => [200, JSON_TYPE, answer]))
      using kms = await at(server.port)
      const error = await expectCode(code, () => kms.getParametersForImport(ARN, "RSAES_OAEP_SHA_1", "RSA_2048"))
      const contradicts = name === "another key's parameters"
      expect(error.exit).to.be.oneOf(contradicts ? ["PROOF"] : ["UNAVAILABLE", "DATAERR"])
    })
  }

  it("takes the empty answer to ImportKeyMaterial of older times", async () => {
    await using server = await serveHttp(answering(() => [200, JSON_TYPE, "{}"]))
    using kms = await at(server.port)
    const token = new Secret(Uint8Array.of(1))
    expect((await kms.importKeyMaterial(ARN, token, Uint8Array.of(1), { validTo: null })).keyMaterialId).to.equal(null)
  })

  it("takes a description without what older emulators leave out", async () => {
    const { KeySpec, ...old } = METADATA
    const body = JSON.stringify({ KeyMetadata: { ...old, CustomerMasterKeySpec: KeySpec } })
    await using server = await serveHttp(answering(() => [200, JSON_TYPE, body]))
    using kms = await at(server.port)
    expect(await kms.describeKey(ARN)).to.include({
      keySpec: "SYMMETRIC_DEFAULT",
      multiRegion: false,
      creationDate: null,
    })
  })

  it("does not follow pages for ever", async () => {
    const page = JSON.stringify({ Tags: [], Truncated: true, NextMarker: "again" })
    await using server = await serveHttp(answering(() => [200, JSON_TYPE, page]))
    using kms = await at(server.port)
    await expectCode("ERR_KMS_ANSWER", () => kms.listResourceTags(ARN))
  })

  for (const [status, code] of [
    [403, "ERR_KMS_ANSWER"],
    [502, "ERR_KMS_UNAVAILABLE"],
  ] as const) {
    it(`reads a web page with status ${status} as ${code}`, async () => {
      await using server = await serveHttp(answering(() => [status, "text/html", "<html>no</html>"]))
      using kms = await at(server.port, { AWS_MAX_ATTEMPTS: "1" })
      const error = await expectCode(code, () => kms.describeKey(ARN))
      expect(JSON.stringify(error.causes)).to.include(`${status}`).and.not.include("html")
    })
  }
})

describe("who asks KMS", () => {
  awsEnvironment()
  const role = "arn:aws:iam::111122223333:role/byok"
  const sts = (fields: string): string =>
    `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>${fields}</AssumeRoleResult></AssumeRoleResponse>`

  it("assumes the role at the same endpoint, once", async () => {
    const signers: string[] = []
    await using server = await serveHttp(
      answering((request, body) => {
        signers.push(/Credential=(\w+)/.exec(request.headers.authorization ?? "")?.[1] ?? "none")
        if (!body.startsWith("Action=AssumeRole") && !body.includes("Action=AssumeRole")) {
          return [200, JSON_TYPE, JSON.stringify({ KeyMetadata: METADATA })]
        }
        expect(body).to.include("RoleSessionName=keyferry").and.include(encodeURIComponent(role))
        const credentials =
          "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        return [200, "text/xml", sts(credentials)]
      }),
    )
    using kms = await openKms({
      region: "us-east-1",
      endpointUrl: `http://127.0.0.1:${server.port}`,
      roleArn: role,
      env: {},
    })
    await kms.describeKey(ARN)
    await kms.describeKey(ARN)
    expect(signers).to.deep.equal(["AKIALOCALKMSTEST0000", "ASIAROLE", "ASIAROLE"])
  })

  it("names sts:AssumeRole where that is denied", async () => {
    const words = `User: u is not authorized to perform: sts:AssumeRole on resource: ${role}`
    const xml = `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${words}</Message></Error><RequestId>r</RequestId></ErrorResponse>`
    await using server = await serveHttp(answering(() => [403, "text/xml", xml]))
    using kms = await openKms({
      region: "us-east-1",
      endpointUrl: `http://127.0.0.1:${server.port}`,
      roleArn: role,
      env: {},
    })
    const error = await expectCode("ERR_KMS_ACCESS_DENIED", () => kms.createKey(SYMMETRIC))
    expect(error.hint).to.include("sts:AssumeRole")
  })
})

describe("KMS in a process of its own", () => {
  it("writes nothing to standard error, the SDK's warnings included, and ends by itself", async () => {
    await using local = await startLocalKms()
    const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM], {
      env: local.env,
      encoding: "utf8",
      timeout: 20_000,
    })
    expect({ stdout, stderr, status }).to.deep.equal({
      stdout: "PendingImport AWS_ENDPOINT_URL\n",
      stderr: "",
      status: 0,
    })
  })

  for (const [name, env, code] of [
    ["there are no credentials", {}, "ERR_KMS_CREDENTIALS"],
    ["the profile does not exist", { AWS_PROFILE: "none" }, "ERR_KMS_PROFILE_UNKNOWN"],
  ] as const) {
    it(`says that ${name}`, async () => {
      await using local = await startLocalKms()
      const rest = Object.entries(local.env).filter(([variable]) => !variable.includes("KEY"))
      const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM], {
        env: { ...Object.fromEntries(rest), ...env },
        encoding: "utf8",
        timeout: 20_000,
      })
      expect({ stdout, stderr }).to.deep.equal({ stdout: `${code} \n`, stderr: "" })
    })
  }
})
