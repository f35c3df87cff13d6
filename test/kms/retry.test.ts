import { randomBytes } from "node:crypto"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import type { Kms } from "#src/core/ports/kms.js"
import type { FaultKind } from "#src/local-kms/server/faults.js"
import { expectCode } from "#test/support/expect-code.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { wrapOaep } from "#test/support/openssl.js"
import { awsEnvironment, openAt, SYMMETRIC } from "../support/aws-environment.js"

describe("retries of each operation", () => {
  awsEnvironment()
  let local: LocalKmsProcess
  let kms: Kms & Disposable
  let keyArn: string
  before(async () => {
    local = await startLocalKms()
    kms = (await openAt(local)).kms
    keyArn = (await kms.createKey(SYMMETRIC)).key.keyArn
  })
  after(async () => {
    kms[Symbol.dispose]()
    await local.stop()
  })
  beforeEach(async () => {
    await local.clearFaults()
    await local.clearCounts()
  })
  const requests = async (operation: string): Promise<number> => (await local.counts()).requests[operation] ?? 0
  const keys = async (): Promise<number> => {
    let count = 0
    for await (const { keyId } of kms.listKeys()) count += keyId === "" ? 0 : 1
    return count
  }

  const createKey = () => kms.createKey(SYMMETRIC)
  const createAlias = () => kms.createAlias(`alias/${randomBytes(8).toString("hex")}`, keyArn)
  const describeKey = () => kms.describeKey(keyArn)
  const getParameters = () => kms.getParametersForImport(keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")

  /** One fault, then none: what comes of it, after how many requests. */
  const cases: [
    operation: string,
    fault: FaultKind,
    run: () => Promise<unknown>,
    expected: ErrorCode | null,
    sent: number,
  ][] = [
    ["CreateKey", "throttle", createKey, null, 2],
    ["CreateKey", "internal", createKey, "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["CreateKey", "dependency-timeout", createKey, "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["CreateKey", "unavailable", createKey, "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["CreateKey", "drop-before", createKey, "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["CreateKey", "drop-after", createKey, "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["CreateKey", "access-denied", createKey, "ERR_KMS_ACCESS_DENIED", 1],
    ["CreateAlias", "throttle", createAlias, null, 2],
    ["CreateAlias", "drop-after", createAlias, "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["DescribeKey", "throttle", describeKey, null, 2],
    ["DescribeKey", "internal", describeKey, null, 2],
    ["DescribeKey", "drop-before", describeKey, null, 2],
    ["DescribeKey", "access-denied", describeKey, "ERR_KMS_ACCESS_DENIED", 1],
    ["GetParametersForImport", "throttle", getParameters, null, 2],
    ["GetParametersForImport", "drop-after", getParameters, null, 2],
    ["TagResource", "drop-after", () => kms.tagResource(keyArn, { a: "b" }), null, 2],
  ]
  for (const [operation, kind, run, expected, sent] of cases) {
    it(`${operation} after ${kind}: ${expected ?? "done"} after ${sent} of them`, async () => {
      const before = await keys()
      await local.fault({ kind, operation, count: 1, skip: 0 })
      if (expected === null) await run()
      else await expectCode(expected, run)
      expect(await requests(operation)).to.equal(sent)
      const made = operation === "CreateKey" && (expected === null || kind === "drop-after") ? 1 : 0
      expect((await keys()) - before).to.equal(made)
    })
  }

  it("imports the same material again when the answer was lost", async () => {
    const { key } = await kms.createKey(SYMMETRIC)
    const { wrappingKey, importToken } = await kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")
    const wrapped = wrapOaep(wrappingKey.spki, randomBytes(32), "sha256")
    await local.fault({ kind: "drop-after", operation: "ImportKeyMaterial", count: 1, skip: 0 })
    const { keyMaterialId } = await kms.importKeyMaterial(key.keyArn, importToken, wrapped, { validTo: null })
    expect(await requests("ImportKeyMaterial")).to.equal(2)
    expect((await kms.describeKey(key.keyArn)).currentKeyMaterialId).to.equal(keyMaterialId)
  })

  it("does not repeat NEW_KEY_MATERIAL, whose second answer would be a refusal", async () => {
    const { key } = await kms.createKey(SYMMETRIC)
    const { wrappingKey, importToken } = await kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")
    const wrapped = wrapOaep(wrappingKey.spki, randomBytes(32), "sha256")
    await local.fault({ kind: "drop-after", operation: "ImportKeyMaterial", count: 1, skip: 0 })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () =>
      kms.importKeyMaterial(key.keyArn, importToken, wrapped, { validTo: null, importType: "NEW_KEY_MATERIAL" }),
    )
    expect(await requests("ImportKeyMaterial")).to.equal(1)
  })

  for (const operation of ["CreateKey", "DescribeKey", "GetParametersForImport"] as const) {
    it(`never repeats ${operation} after LimitExceededException`, async () => {
      await local.fault({
        kind: "error",
        operation,
        count: 1,
        skip: 0,
        name: "LimitExceededException",
        message: "m",
        status: 400,
      })
      const run = { CreateKey: createKey, DescribeKey: describeKey, GetParametersForImport: getParameters }[operation]
      const error = await expectCode("ERR_KMS_LIMIT", run)
      expect(error.causes[0]?.code).to.equal("LimitExceededException")
      expect(await requests(operation)).to.equal(1)
    })
  }

  it("gives up after a while, and says that trying later may help", async () => {
    await local.fault({ kind: "internal", operation: "DescribeKey", count: 99, skip: 0 })
    const error = await expectCode("ERR_KMS_UNAVAILABLE", describeKey)
    expect(error.retry).to.equal("later")
    expect(await requests("DescribeKey")).to.equal(3)
  })

  it("keeps to AWS_MAX_ATTEMPTS", async () => {
    const { kms: impatient, calls } = await openAt(local, { env: { AWS_MAX_ATTEMPTS: "1" } })
    await local.fault({ kind: "throttle", operation: "DescribeKey", count: 99, skip: 0 })
    await expectCode("ERR_KMS_THROTTLED", () => impatient.describeKey(keyArn))
    expect(await requests("DescribeKey")).to.equal(1)
    expect(calls.map(({ operation, error }) => [operation, error])).to.deep.equal([
      ["DescribeKey", "ThrottlingException"],
    ])
    impatient[Symbol.dispose]()
  })

  it("leaves waiting for a new key to be known to who made it", async () => {
    await local.fault({
      kind: "error",
      operation: "GetParametersForImport",
      count: 2,
      skip: 0,
      name: "NotFoundException",
      message: "not yet",
      status: 400,
    })
    await expectCode("ERR_KMS_KEY_NOT_FOUND", getParameters)
    expect(await requests("GetParametersForImport")).to.equal(1)
  })

  it("takes a request that is not answered in time for lost", async () => {
    const { kms: hurried } = await openAt(local, { timeouts: { connectMs: 1000, requestMs: 100 } })
    await local.fault({ kind: "delay", operation: "CreateKey", count: 1, skip: 0, milliseconds: 1500 })
    await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => hurried.createKey(SYMMETRIC))
    expect(await requests("CreateKey")).to.equal(1)
    await local.fault({ kind: "delay", operation: "DescribeKey", count: 1, skip: 0, milliseconds: 1500 })
    await hurried.describeKey(keyArn)
    expect(await requests("DescribeKey")).to.equal(2)
    hurried[Symbol.dispose]()
  })
})
