import { type OutgoingHttpHeaders, request } from "node:http"
import { networkInterfaces } from "node:os"
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts"
import { expect } from "chai"
import { refusalOf } from "../support/local-kms-fixture.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey } from "../support/local-kms-fixture.js"

const scope = (region: string, service = "kms") =>
  `AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20300101/${region}/${service}/aws4_request, ` +
  `SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`

describe("local KMS: the wire", () => {
  let kms: LocalKmsProcess
  before(async () => {
    kms = await startLocalKms({ account: "999988887777" })
  })
  after(() => kms.stop())

  const HEADERS = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "TrentService.ListKeys",
    authorization: scope("us-east-1"),
  }
  async function post(headers: Record<string, string>, body: string, path = "/", method = "POST") {
    const init = method === "POST" ? { method, headers, body } : { method, headers }
    const response = await fetch(kms.endpoint + path, init)
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
  const typeOf = (body: string) => (JSON.parse(body) as { __type?: string }).__type ?? ""

  it("says on one line that it listens, and on standard error that it is for tests", () => {
    expect(kms.ready).to.equal(`keyferry local-kms listening on ${kms.endpoint} (for tests; any Region)`)
    expect(kms.stderr()).to.match(/for tests/)
  })

  it("answers GET /health once it listens, without credentials and uncounted", async () => {
    const { status, headers, body } = await post({}, "", "/health", "GET")
    expect([status, headers.get("content-type"), body]).to.deep.equal([200, "application/json", '{"status":"ok"}\n'])
    expect((await kms.counts()).recent).to.deep.equal([])
    expect((await post({}, "", "/health", "POST")).status).to.equal(400)
  })

  it("answers JSON 1.1 with a request ID", async () => {
    const { status, headers, body } = await post(HEADERS, "{}")
    expect(status).to.equal(200)
    expect(headers.get("content-type")).to.equal("application/x-amz-json-1.1")
    expect(headers.get("x-amzn-requestid")).to.match(/^[0-9a-f-]{36}$/)
    expect(JSON.parse(body)).to.deep.equal({ Keys: [], Truncated: false })
  })

  it("leaves the message out where the service has none", async () => {
    const target = { "x-amz-target": "TrentService.Decrypt" }
    const { status, body } = await post({ ...HEADERS, ...target }, JSON.stringify({ CiphertextBlob: "AAAA" }))
    expect([status, body]).to.deep.equal([400, '{"__type":"InvalidCiphertextException"}'])
  })

  const IMPORT = { KeyId: "k", ImportToken: "AAAA", EncryptedKeyMaterial: "AAAA" }
  const blob = (bytes: number) => Buffer.alloc(bytes).toString("base64")
  const bodies: [what: string, operation: string, body: unknown, type: string][] = [
    ["what is no JSON", "ListKeys", undefined, "SerializationException"],
    ["a list for a structure", "ListKeys", [], "SerializationException"],
    ["an unknown member", "ListKeys", { Limits: 1 }, "SerializationException"],
    ["a member in the wrong case", "ListKeys", { limit: 1 }, "SerializationException"],
    [
      "an unknown member inside a tag",
      "TagResource",
      { KeyId: "k", Tags: [{ TagKey: "a", TagValue: "b", Extra: 1 }] },
      "SerializationException",
    ],
    ["a number for a text", "DescribeKey", { KeyId: 1 }, "SerializationException"],
    ["a text for a number", "ListKeys", { Limit: "1" }, "SerializationException"],
    ["a fraction for a whole number", "ListKeys", { Limit: 1.5 }, "SerializationException"],
    ["a text for a date", "ImportKeyMaterial", { ...IMPORT, ValidTo: "2030-01-01" }, "SerializationException"],
    ["a text for a flag", "CreateKey", { MultiRegion: "true" }, "SerializationException"],
    [
      "both names of the key spec",
      "CreateKey",
      { Origin: "EXTERNAL", KeySpec: "RSA_2048", CustomerMasterKeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" },
      "ValidationException",
    ],
    ["base64 with other characters", "Decrypt", { CiphertextBlob: "AA-_" }, "SerializationException"],
    ["base64 without its padding", "Decrypt", { CiphertextBlob: "AAA" }, "SerializationException"],
    ["a missing member", "DescribeKey", {}, "ValidationException"],
    ["a member that is null", "DescribeKey", { KeyId: null }, "ValidationException"],
    ["an empty key ID", "DescribeKey", { KeyId: "" }, "ValidationException"],
    ["a key ID of 2049 characters", "DescribeKey", { KeyId: "k".repeat(2049) }, "ValidationException"],
    ["an empty import token", "ImportKeyMaterial", { ...IMPORT, ImportToken: "" }, "ValidationException"],
    [
      "an import token of 6145 bytes",
      "ImportKeyMaterial",
      { ...IMPORT, ImportToken: blob(6145) },
      "ValidationException",
    ],
    [
      "material of 6145 bytes",
      "ImportKeyMaterial",
      { ...IMPORT, EncryptedKeyMaterial: blob(6145) },
      "ValidationException",
    ],
    [
      "a description of 257 characters",
      "ImportKeyMaterial",
      { ...IMPORT, KeyMaterialDescription: "d".repeat(257) },
      "ValidationException",
    ],
    [
      "a description with other characters",
      "ImportKeyMaterial",
      { ...IMPORT, KeyMaterialDescription: "a;b" },
      "ValidationException",
    ],
    [
      "a key material ID in capitals",
      "ImportKeyMaterial",
      { ...IMPORT, KeyMaterialId: "A".repeat(64) },
      "ValidationException",
    ],
    [
      "a key material ID that is short",
      "DeleteImportedKeyMaterial",
      { KeyId: "k", KeyMaterialId: "a" },
      "ValidationException",
    ],
    ["an unknown import type", "ImportKeyMaterial", { ...IMPORT, ImportType: "OTHER" }, "ValidationException"],
    [
      "an unknown wrapping algorithm",
      "GetParametersForImport",
      { KeyId: "k", WrappingAlgorithm: "X", WrappingKeySpec: "RSA_2048" },
      "ValidationException",
    ],
    [
      "an unknown wrapping key spec",
      "GetParametersForImport",
      { KeyId: "k", WrappingAlgorithm: "RSAES_OAEP_SHA_1", WrappingKeySpec: "RSA_1024" },
      "ValidationException",
    ],
    ["plaintext of 4097 bytes", "Encrypt", { KeyId: "k", Plaintext: blob(4097) }, "ValidationException"],
    ["a policy name that is none", "GetKeyPolicy", { KeyId: "k", PolicyName: "a b" }, "ValidationException"],
  ]
  for (const [what, operation, body, type] of bodies) {
    it(`refuses ${what}: ${type}`, async () => {
      const headers = { ...HEADERS, "x-amz-target": `TrentService.${operation}` }
      const answer = await post(headers, body === undefined ? "{" : JSON.stringify(body))
      expect([answer.status, typeOf(answer.body)]).to.deep.equal([400, type])
    })
  }

  it("words broken limits as KMS does", async () => {
    const headers = { ...HEADERS, "x-amz-target": "TrentService.GetParametersForImport" }
    const { body } = await post(
      headers,
      JSON.stringify({ WrappingAlgorithm: "RSAES_OAEP_SHA_1", WrappingKeySpec: "X" }),
    )
    expect(JSON.parse(body)).to.deep.equal({
      __type: "ValidationException",
      message:
        "2 validation errors detected: Value 'X' at 'wrappingKeySpec' failed to satisfy constraint: " +
        "Member must satisfy enum value set: [RSA_2048, RSA_3072, RSA_4096, SM2]; " +
        "Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    })
  })

  const requests: [what: string, headers: Record<string, string>, type: string, path?: string, method?: string][] = [
    ["an unknown operation", { ...HEADERS, "x-amz-target": "TrentService.CreateKeys" }, "UnknownOperationException"],
    [
      "a property of every object",
      { ...HEADERS, "x-amz-target": "TrentService.toString" },
      "UnknownOperationException",
    ],
    [
      "another service's target",
      { ...HEADERS, "x-amz-target": "DynamoDB_20120810.ListKeys" },
      "UnknownOperationException",
    ],
    ["another content type", { ...HEADERS, "content-type": "application/json" }, "UnknownOperationException"],
    ["another path", HEADERS, "UnknownOperationException", "/x"],
    ["GET", HEADERS, "UnknownOperationException", "/", "GET"],
    ["no signature", { ...HEADERS, authorization: "" }, "MissingAuthenticationTokenException"],
    ["another kind of signature", { ...HEADERS, authorization: "Bearer x" }, "IncompleteSignatureException"],
    [
      "half a signature",
      { ...HEADERS, authorization: scope("us-east-1").slice(0, -70) },
      "IncompleteSignatureException",
    ],
    ["what is no Region", { ...HEADERS, authorization: scope("nowhere-1") }, "InvalidSignatureException"],
    [
      "an operation of AWS that it has not",
      { ...HEADERS, "x-amz-target": "TrentService.CreateCustomKeyStore" },
      "UnsupportedOperationException",
    ],
    ["another service's scope", { ...HEADERS, authorization: scope("us-east-1", "s3") }, "InvalidSignatureException"],
  ]
  for (const [what, headers, type, path, method] of requests) {
    it(`refuses ${what}: ${type}`, async () => {
      const { status, body } = await post(headers, "{}", path, method)
      expect([status, typeOf(body)]).to.deep.equal([400, type])
    })
  }

  it("serves any Region, or those alone that it was given", async () => {
    const client = kmsClient(kms, "ap-southeast-2")
    const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL" })
    expect(KeyMetadata?.Arn).to.match(/^arn:aws:kms:ap-southeast-2:999988887777:/)
    expect((await kmsClient(kms, "eu-west-3").listKeys({})).Keys).to.deep.equal([])
    await using some = await startLocalKms({ regions: ["eu-west-3", "eu-central-1"] })
    expect(some.ready).to.contain("(for tests; regions eu-west-3, eu-central-1)")
    await kmsClient(some, "eu-central-1").listKeys({})
    const elsewhere = await refusalOf(kmsClient(some, "us-east-1").listKeys({}))
    expect(elsewhere.name).to.equal("InvalidSignatureException")
  })

  it("names an operation of AWS that it has not", async () => {
    const refusal = await refusalOf(kmsClient(kms).describeCustomKeyStores({}))
    expect(refusal).to.deep.equal({
      name: "UnsupportedOperationException",
      message: "the local KMS has no DescribeCustomKeyStores",
    })
  })

  it("keeps web pages and other names of this machine from its admin path", async () => {
    const ask = (headers: OutgoingHttpHeaders) =>
      new Promise<number>((resolve, reject) => {
        const asked = request(`${kms.endpoint}/_admin/clock`, { headers }, (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
        })
        asked.on("error", reject).end()
      })
    const { host, port } = new URL(kms.endpoint)
    expect(await ask({ host })).to.equal(200)
    expect(await ask({ host: `localhost:${port}` })).to.equal(200)
    for (const headers of [
      { host: `evil.example:${port}` },
      { host: `127.0.0.1.evil.example:${port}` },
      { host, origin: "https://evil.example" },
      { host, origin: kms.endpoint },
      { host, origin: "null" },
    ]) {
      expect(await ask(headers), JSON.stringify(headers)).to.equal(403)
    }
  })

  it("answers STS GetCallerIdentity", async () => {
    const sts = new STSClient({
      region: "us-east-1",
      endpoint: kms.endpoint,
      credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "x" },
      maxAttempts: 1,
    })
    expect(await sts.send(new GetCallerIdentityCommand({}))).to.deep.include({
      Account: "999988887777",
      Arn: "arn:aws:iam::999988887777:user/local-kms",
    })
  })

  it("refuses other STS actions", async () => {
    const headers = { ...HEADERS, "content-type": "application/x-www-form-urlencoded" }
    const { status, body } = await post(headers, "Action=GetSessionToken&Version=2011-06-15")
    expect(status).to.equal(400)
    expect(body).to.contain("<Code>InvalidAction</Code>")
  })

  it("names the account in its ARNs", async () => {
    expect(await createKey(kmsClient(kms))).to.contain(":999988887777:key/")
  })

  describe("the admin path", () => {
    it("refuses what it does not know", async () => {
      const cases: [method: string, path: string, body?: object][] = [
        ["GET", "nothing"],
        ["PUT", "clock", { sett: "2030-01-01T00:00:00Z" }],
        ["PUT", "clock", { set: "tomorrow" }],
        ["PUT", "quotas", { rates: { CreateKey: -1 } }],
        ["POST", "faults", { kind: "earthquake" }],
      ]
      for (const [method, path, body] of cases) {
        let failed = false
        await kms.admin(method, path, body).catch(() => (failed = true))
        expect(failed, `${method} ${path}`).to.equal(true)
      }
    })

    it("sets, advances, freezes and releases the clock", async () => {
      await kms.clock.freeze()
      await kms.clock.set("2031-02-03T04:05:06Z")
      expect(await kms.clock.now()).to.deep.equal(new Date("2031-02-03T04:05:06Z"))
      await kms.clock.advance(60)
      expect(await kms.admin("GET", "clock")).to.deep.equal({ now: "2031-02-03T04:06:06.000Z", ticking: false })
      const client = kmsClient(kms)
      const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL" })
      expect(KeyMetadata!.CreationDate).to.deep.equal(new Date("2031-02-03T04:06:06Z"))
      const { headers } = await post(HEADERS, "{}")
      expect(headers.get("date")).to.equal("Mon, 03 Feb 2031 04:06:06 GMT")
      await kms.clock.tick()
      expect(await kms.admin("GET", "clock")).to.have.property("ticking", true)
    })

    it("serves only this machine, even where the rest listens further", async () => {
      const outside = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .find(({ family, internal }) => family === "IPv4" && !internal)
      // a machine with no network has no other address to come from
      if (outside === undefined) return
      await using open = await startLocalKms({ listen: "0.0.0.0" })
      const port = new URL(open.endpoint).port
      const response = await fetch(`http://${outside.address}:${port}/_admin/clock`)
      expect(response.status).to.equal(403)
    })
  })
})
