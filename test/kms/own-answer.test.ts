import { createServer, type Server } from "node:net"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { Secret } from "#src/core/base/secret.js"
import { openKms } from "#src/kms/kms.js"
import type { Kms } from "#src/core/ports/kms.js"
import { expectCode } from "#test/support/expect-code.js"
import { type KmsProxy, type Spoiling, startKmsProxy } from "#test/support/kms-proxy.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { awsEnvironment, SYMMETRIC } from "../support/aws-environment.js"
import { changed, cut, endless, webPage, withoutRequestId, wrongTypes } from "../support/bad-answers.js"

describe("answers that are not of AWS", () => {
  awsEnvironment()
  let local: LocalKmsProcess
  let proxy: KmsProxy
  let kms: Kms & Disposable
  let times: Date[] = []
  before(async () => {
    local = await startLocalKms()
    proxy = await startKmsProxy(local.endpoint)
    kms = await openKms({
      region: "us-east-1",
      endpointUrl: proxy.endpoint,
      env: { AWS_MAX_ATTEMPTS: "2" },
      timeouts: { connectMs: 1000, requestMs: 400 },
      onTime: (date) => times.push(date),
    })
  })
  after(async () => {
    kms[Symbol.dispose]()
    await proxy[Symbol.asyncDispose]()
    await local.stop()
  })
  afterEach(() => proxy.unspoil())
  beforeEach(async () => {
    await local.reset()
    times = []
  })

  for (const status of [200, 301, 302, 307, 400, 401, 403, 404, 407, 408, 413, 429, 500, 502, 503, 504, 511]) {
    for (const effect of [true, false]) {
      it(`leaves open what became of CreateKey at a web page with ${status}, ${effect ? "done" : "not done"}`, async () => {
        const hits = proxy.spoil("CreateKey", { effect, respond: webPage(status), times: 5 })
        await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
        expect(hits()).to.equal(1)
        // the page has a Date
        expect(times).to.deep.equal([])
      })
    }
  }

  for (const body of ["null", "[]", '"KeyMetadata"', "42", "no JSON"]) {
    it(`takes ${body} for no answer of AWS, whatever its request ID`, async () => {
      const { key } = await kms.createKey(SYMMETRIC)
      const respond: Spoiling["respond"] = (response, answered) =>
        response.writeHead(200, answered?.headers ?? {}).end(body)
      proxy.spoil("TagResource", { effect: true, respond, times: 5 })
      await expectCode("ERR_KMS_ANSWER", () => kms.tagResource(key.keyArn, { a: "b" }))
    })
  }

  for (const [member, body] of [
    ["KeyId", '{"KeyId":"a","KeyId":"b"}'],
    ["KeyMetadata", '{"KeyMetadata":{},"Other":[{"a":"}"}],"KeyMetadata":null}'],
  ] as const) {
    it(`believes no answer that says ${member} twice, and names it`, async () => {
      const { key } = await kms.createKey(SYMMETRIC)
      const respond: Spoiling["respond"] = (response, answered) =>
        response.writeHead(200, { ...answered?.headers, "content-length": Buffer.byteLength(body) }).end(body)
      proxy.spoil("TagResource", { effect: true, respond, times: 5 })
      const error = await expectCode("ERR_KMS_ANSWER", () => kms.tagResource(key.keyArn, { a: "b" }))
      expect(error.causes[0]?.message).to.include(`the member "${member}" twice`)
      proxy.unspoil()
      proxy.spoil("CreateKey", { effect: true, respond, times: 5 })
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
    })
  }

  for (const [status, code] of [
    [307, "ERR_KMS_ANSWER"],
    [403, "ERR_KMS_ANSWER"],
    [404, "ERR_KMS_ANSWER"],
    [413, "ERR_KMS_ANSWER"],
    [503, "ERR_KMS_UNAVAILABLE"],
  ] as const) {
    it(`takes a web page with ${status} for no word of KMS on a key`, async () => {
      const { key } = await kms.createKey(SYMMETRIC)
      proxy.spoil("DescribeKey", { effect: false, respond: webPage(status), times: 5 })
      await expectCode(code, () => kms.describeKey(key.keyArn))
      proxy.unspoil()
      expect((await kms.describeKey(key.keyArn)).keyArn).to.equal(key.keyArn)
    })
  }

  it("believes neither an answer nor a refusal without a request ID", async () => {
    proxy.spoil("CreateKey", { effect: true, respond: withoutRequestId })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
    await local.fault({ kind: "access-denied", operation: "CreateKey", count: 1, skip: 0 })
    proxy.unspoil()
    proxy.spoil("CreateKey", { effect: true, respond: withoutRequestId })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
    await local.fault({ kind: "access-denied", operation: "CreateKey", count: 1, skip: 0 })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => kms.createKey(SYMMETRIC))
  })

  for (const date of [undefined, "", "xx", "yesterday"]) {
    it(`believes no answer whose Date is ${String(date)}: the host's clock must not stand in for it`, async () => {
      const { key } = await kms.createKey(SYMMETRIC)
      proxy.spoil("DescribeKey", {
        effect: true,
        respond(response, answered) {
          response.sendDate = false
          const headers = Object.entries(answered?.headers ?? {}).filter(([name]) => name !== "date")
          if (date !== undefined) headers.push(["date", date])
          response.writeHead(200, Object.fromEntries(headers)).end(answered?.body)
        },
        times: 9,
      })
      await expectCode("ERR_KMS_ANSWER", () => kms.describeKey(key.keyArn))
    })
  }

  it("believes no refusal with a request ID that names no error", async () => {
    proxy.spoil("CreateKey", {
      effect: false,
      respond: (response) => response.writeHead(403, { "x-amzn-requestid": "r" }).end("<html>no</html>"),
    })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
  })

  const broken: readonly [title: string, respond: Parameters<KmsProxy["spoil"]>[1]["respond"], read: ErrorCode][] = [
    ["a byte now and then", endless(1, 50), "ERR_KMS_UNREACHABLE"],
    ["a body without end", endless(300_000, 1), "ERR_KMS_ANSWER"],
    ["half a body", cut, "ERR_KMS_UNREACHABLE"],
    ["wrong types", wrongTypes, "ERR_KMS_ANSWER"],
    [
      "no JSON",
      (response, answered) => response.writeHead(200, answered?.headers ?? {}).end("<html>"),
      "ERR_KMS_ANSWER",
    ],
    ["a list", changed(() => []), "ERR_KMS_ANSWER"],
    ["nothing", changed(() => ({})), "ERR_KMS_ANSWER"],
    ["a number", changed(() => 7), "ERR_KMS_ANSWER"],
  ]
  for (const [title, respond, code] of broken) {
    it(`leaves open what became of CreateKey, and reads nothing, at ${title}`, async () => {
      const { key } = await kms.createKey(SYMMETRIC)
      const hits = proxy.spoil("CreateKey", { effect: true, respond, times: 9 })
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
      expect(hits()).to.equal(1)
      const described = proxy.spoil("DescribeKey", { effect: true, respond, times: 9 })
      await expectCode(code, () => kms.describeKey(key.keyArn))
      expect(described()).to.be.at.least(1)
    })
  }

  it("sends new key material once more than whose answer was a web page, and lets that be told", async () => {
    const { key } = await kms.createKey(SYMMETRIC)
    const hits = proxy.spoil("ImportKeyMaterial", { effect: false, respond: webPage(403), times: 9 })
    const send = () =>
      kms.importKeyMaterial(key.keyArn, new Secret(Uint8Array.of(1)), Uint8Array.of(1), {
        validTo: null,
        importType: "NEW_KEY_MATERIAL",
      })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", send)
    expect(hits()).to.equal(1)
  })

  it("signs CreateKey anew where KMS refused the signature for the host's clock, and no other error with a Date that is far away", async () => {
    await local.clock.advance(86_400)
    const error = { kind: "error", operation: "CreateKey", count: 1, skip: 0, status: 400 } as const
    await local.fault({ ...error, name: "InvalidSignatureException", message: "Signature expired" })
    expect((await kms.createKey(SYMMETRIC)).key.keyState).to.equal("PendingImport")
    await local.clock.advance(86_400)
    await local.fault({ ...error, name: "KMSInternalException", status: 500, effect: true })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
    expect((await local.counts()).requests["CreateKey"]).to.equal(3)
    await local.clock.set(new Date())
  })

  it("leaves open what became of CreateKey where the answer is no HTTP", async () => {
    const server: Server = createServer((socket) => {
      socket.on("error", () => undefined)
      socket.once("data", () => socket.end("220 mail.example.com ESMTP\r\n"))
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    using stranger = await openKms({ region: "us-east-1", endpointUrl: `http://127.0.0.1:${port}`, env: {} })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => stranger.createKey(SYMMETRIC))
    await expectCode("ERR_KMS_UNREACHABLE", () => stranger.describeKey("alias/a"))
    server.close()
  })
})
