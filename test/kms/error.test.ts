import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { translate } from "#src/kms/error.js"
import { ERRORS_BY_NAME } from "#src/kms/error-row.js"
import type { Kms } from "#src/core/ports/kms.js"
import { Secret } from "#src/core/base/secret.js"
import { expectCode } from "#test/support/expect-code.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { awsEnvironment, openAt, SYMMETRIC } from "../support/aws-environment.js"

const KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

describe("errors of KMS on the wire", () => {
  awsEnvironment()
  let local: LocalKmsProcess
  let kms: Kms & Disposable
  before(async () => {
    local = await startLocalKms()
    kms = (await openAt(local, { env: { AWS_MAX_ATTEMPTS: "1" } })).kms
  })
  after(async () => {
    kms[Symbol.dispose]()
    await local.stop()
  })
  beforeEach(() => local.clearFaults())

  const cases: [name: string, status: number, code: ErrorCode][] = [
    ["ExpiredTokenException", 400, "ERR_KMS_CREDENTIALS"],
    ["UnrecognizedClientException", 400, "ERR_KMS_CREDENTIALS"],
    ["InvalidSignatureException", 400, "ERR_KMS_CREDENTIALS"],
    ["MissingAuthenticationTokenException", 400, "ERR_KMS_CREDENTIALS"],
    ["AccessDeniedException", 400, "ERR_KMS_ACCESS_DENIED"],
    ["KMSInternalException", 500, "ERR_KMS_UNAVAILABLE"],
    ["DependencyTimeoutException", 503, "ERR_KMS_UNAVAILABLE"],
    ["SomethingNewException", 500, "ERR_KMS_UNAVAILABLE"],
    ["SomethingNewException", 400, "ERR_KMS_OTHER"],
    ["ThrottlingException", 400, "ERR_KMS_THROTTLED"],
    ["LimitExceededException", 400, "ERR_KMS_LIMIT"],
    ["InvalidArnException", 400, "ERR_KMS_KEY_NOT_FOUND"],
    ["UnsupportedOperationException", 400, "ERR_KMS_KEY_ORIGIN"],
    ["DisabledException", 400, "ERR_KMS_KEY_STATE"],
    ["KMSInvalidStateException", 400, "ERR_KMS_KEY_STATE"],
    ["UnknownOperationException", 400, "ERR_KMS_ANSWER"],
    ["ValidationException", 400, "ERR_KMS_REFUSED"],
  ]
  for (const [name, status, code] of cases) {
    it(`${name} with ${status} is ${code}`, async () => {
      await local.fault({ kind: "error", operation: "DescribeKey", count: 1, skip: 0, name, message: "words", status })
      const error = await expectCode(code, () => kms.describeKey(KEY))
      expect(error.causes).to.have.lengthOf(1)
      expect(error.causes[0]?.code).to.equal(name)
      expect(error.causes[0]?.message).to.match(/^words \(request ID [0-9a-f-]{36}\)$/)
      expect(error.key).to.equal(KEY)
      expect(error.cause).to.be.instanceOf(Error)
    })
  }

  const token = new Secret(Uint8Array.of(1))
  const bytes = Uint8Array.of(1)
  const operations: [operation: string, run: () => Promise<unknown>][] = [
    ["CreateKey", () => kms.createKey(SYMMETRIC)],
    ["DescribeKey", () => kms.describeKey(KEY)],
    ["ListResourceTags", () => kms.listResourceTags(KEY)],
    ["TagResource", () => kms.tagResource(KEY, { a: "b" })],
    ["CreateAlias", () => kms.createAlias("alias/a", KEY)],
    ["GetParametersForImport", () => kms.getParametersForImport(KEY, "RSAES_OAEP_SHA_1", "RSA_2048")],
    ["ImportKeyMaterial", () => kms.importKeyMaterial(KEY, token, bytes, { validTo: null })],
    ["ListKeyRotations", () => kms.listKeyRotations(KEY)],
    ["GetPublicKey", () => kms.getPublicKey(KEY)],
    ["VerifyMac", () => kms.verifyMac(KEY, bytes, bytes, "HMAC_SHA_256")],
    ["ListKeys", async () => kms.listKeys()[Symbol.asyncIterator]().next()],
  ]
  for (const [operation, run] of operations) {
    it(`names the IAM action when ${operation} is denied`, async () => {
      await local.fault({ kind: "access-denied", operation, count: 1, skip: 0 })
      const error = await expectCode("ERR_KMS_ACCESS_DENIED", run)
      expect(error.hint).to.include(`kms:${operation} `)
      expect(error.exit).to.equal("NOPERM")
    })
  }
})

describe("translate", () => {
  const of = (error: object, operation = "DescribeKey") => translate(error, { operation, input: {}, keyId: KEY })

  it("knows every name of the table", () => {
    for (const [name, { code }] of Object.entries(ERRORS_BY_NAME)) {
      expect(of({ name, $metadata: { httpStatusCode: 400 } }).code, name).to.equal(code)
    }
  })

  const refined: [name: string, message: string, operation: string, code: ErrorCode, hint: RegExp][] = [
    [
      "KMSInvalidStateException",
      `${KEY} is pending deletion.`,
      "ImportKeyMaterial",
      "ERR_KMS_KEY_STATE",
      /cancel-key-deletion/,
    ],
    ["KMSInvalidStateException", `${KEY} is pending import.`, "GetPublicKey", "ERR_KMS_KEY_STATE", /keyferry recover/],
    [
      "KMSInvalidStateException",
      "New key material (id: a) cannot be imported into KMS key b, because another key material (id: c) is pending rotation.",
      "ImportKeyMaterial",
      "ERR_KMS_KEY_STATE",
      /keyferry rotate/,
    ],
    ["DisabledException", `${KEY} is disabled.`, "GetPublicKey", "ERR_KMS_KEY_STATE", /keyferry enable/],
    ["UnsupportedOperationException", "origin is AWS_KMS", "GetParametersForImport", "ERR_KMS_KEY_ORIGIN", /EXTERNAL/],
    ["UnsupportedOperationException", "not here", "CreateKey", "ERR_KMS_REFUSED", /below/],
    [
      "AccessDenied",
      "User: u is not authorized to perform: sts:AssumeRole on resource: r",
      "DescribeKey",
      "ERR_KMS_ACCESS_DENIED",
      /sts:AssumeRole.*trust policy/,
    ],
    [
      "ValidationException",
      "KeySpec ML_DSA_44 is not supported for Origin EXTERNAL",
      "CreateKey",
      "ERR_KMS_REFUSED",
      /below/,
    ],
  ]
  for (const [name, message, operation, code, hint] of refined) {
    it(`reads ${name}: ${message.slice(0, 40)}`, () => {
      const error = of({ name, message, $metadata: { httpStatusCode: 400 } }, operation)
      expect(error.code).to.equal(code)
      expect(error.hint).to.match(hint)
    })
  }

  const network: [error: object, code: ErrorCode, ofCreateKey: ErrorCode][] = [
    [{ name: "Error", code: "ENOTFOUND", syscall: "getaddrinfo" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_UNREACHABLE"],
    [{ name: "TimeoutError", code: "ECONNREFUSED" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_UNREACHABLE"],
    [{ name: "TimeoutError", code: "ETIMEDOUT", syscall: "connect" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_UNREACHABLE"],
    [{ name: "TimeoutError", code: "ETIMEDOUT" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_OUTCOME_UNKNOWN"],
    [{ name: "TimeoutError", code: "ECONNRESET" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_OUTCOME_UNKNOWN"],
    [{ name: "Error", code: "DEPTH_ZERO_SELF_SIGNED_CERT" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_UNREACHABLE"],
    [{ name: "Error", message: "Bad response: 407" }, "ERR_KMS_UNREACHABLE", "ERR_KMS_UNREACHABLE"],
  ]
  for (const [error, code, ofCreateKey] of network) {
    it(`reads ${JSON.stringify(error)}`, () => {
      expect(of(error).code).to.equal(code)
      expect(of(error, "CreateKey").code).to.equal(ofCreateKey)
    })
  }

  it("reads what is no error at all", () => {
    expect(translate("words", { operation: "DescribeKey", input: {} }).causes).to.deep.equal([
      { code: "Error", message: "words" },
    ])
  })
})
