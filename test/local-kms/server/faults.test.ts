import { setTimeout as sleep } from "node:timers/promises"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey, importMaterial, refusalOf } from "../../support/local-kms-fixture.js"

describe("local KMS: faults, quotas, counts", () => {
  let kms: LocalKmsProcess
  let client: KMS
  before(async () => {
    kms = await startLocalKms({ regions: ["us-east-1", "eu-west-3"] })
    client = kmsClient(kms)
  })
  beforeEach(() => kms.reset())
  after(() => kms.stop())

  const nameOf = async (call: Promise<unknown>) => (await refusalOf(call)).name
  const keyCount = async () => (await client.listKeys({})).Keys!.length

  describe("faults", () => {
    const kinds = [
      ["throttle", "ThrottlingException", 400],
      ["internal", "KMSInternalException", 500],
      ["dependency-timeout", "DependencyTimeoutException", 503],
      ["unavailable", "ServiceUnavailableException", 503],
      ["access-denied", "AccessDeniedException", 400],
    ] as const
    for (const [kind, name, status] of kinds) {
      it(`${kind}: ${name}, once, without effect`, async () => {
        await kms.fault({ kind, operation: "CreateKey" })
        let seen: unknown
        await createKey(client).catch((error: unknown) => (seen = error))
        expect(seen).to.have.property("name", name)
        expect(seen).to.have.nested.property("$metadata.httpStatusCode", status)
        expect(await keyCount()).to.equal(0)
        await createKey(client)
        expect(await kms.faults()).to.deep.equal([])
      })
    }

    it("answers with any error that is wanted", async () => {
      await kms.fault({ kind: "error", operation: "DescribeKey", name: "NotFoundException", message: "not yet" })
      const KeyId = await createKey(client)
      expect(await refusalOf(client.describeKey({ KeyId }))).to.deep.equal({
        name: "NotFoundException",
        message: "not yet",
      })
    })

    it("hits only its operation, after those it lets pass, as often as it says", async () => {
      await kms.fault({ kind: "throttle", operation: "CreateKey", skip: 1, count: 2 })
      const names: string[] = []
      for (let i = 0; i < 4; i++) {
        await client.listKeys({})
        names.push(await nameOf(createKey(client)))
      }
      expect(names).to.deep.equal(["", "ThrottlingException", "ThrottlingException", ""])
    })

    it("lets a second fault wait for the first", async () => {
      await kms.fault({ kind: "throttle" })
      await kms.fault({ kind: "internal" })
      expect([await nameOf(keyCount()), await nameOf(keyCount()), await nameOf(keyCount())]).to.deep.equal([
        "ThrottlingException",
        "KMSInternalException",
        "",
      ])
    })

    it("drops the connection before the operation takes effect", async () => {
      await kms.fault({ kind: "drop-before", operation: "CreateKey" })
      expect(await nameOf(createKey(client))).not.to.equal("")
      expect(await keyCount()).to.equal(0)
    })

    it("drops the connection after it took effect, so that the SDK's retries leave orphans", async () => {
      await kms.fault({ kind: "drop-after", operation: "CreateKey", count: 2 })
      await createKey(kmsClient(kms, "us-east-1", 3))
      expect(await keyCount()).to.equal(3)
      const { requests, succeeded } = await kms.counts()
      expect([requests["CreateKey"], succeeded["CreateKey"]]).to.deep.equal([3, 3])
    })

    for (const kind of ["throttle", "internal", "error"] as const) {
      it(`${kind}: takes effect before it fails where that is asked for`, async () => {
        await kms.fault({ kind, operation: "CreateKey", effect: true, name: "KMSInternalException" })
        expect(await nameOf(createKey(client))).to.match(/^(Throttling|KMSInternal)Exception$/)
        expect(await keyCount()).to.equal(1)
      })
    }

    it("cuts the answer off in the middle after it took effect", async () => {
      await kms.fault({ kind: "cut-after", operation: "CreateKey" })
      expect(await nameOf(createKey(client))).not.to.equal("")
      expect(await keyCount()).to.equal(1)
    })

    it("hits one Region only where that is asked for, and the new operations by their names", async () => {
      const paris = kmsClient(kms, "eu-west-3")
      await kms.fault({ kind: "throttle", region: "eu-west-3" })
      await createKey(client)
      expect(await nameOf(createKey(paris))).to.equal("ThrottlingException")
      const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", MultiRegion: true })
      const KeyId = KeyMetadata!.KeyId!
      await importMaterial(client, KeyId, Buffer.alloc(32, 1))
      await kms.fault({ kind: "drop-after", operation: "ReplicateKey" })
      expect(await nameOf(client.replicateKey({ KeyId, ReplicaRegion: "eu-west-3" }))).not.to.equal("")
      expect((await paris.describeKey({ KeyId })).KeyMetadata!.KeyState).to.equal("Creating")
      await kms.fault({ kind: "internal", operation: "UpdatePrimaryRegion" })
      expect(await nameOf(client.updatePrimaryRegion({ KeyId, PrimaryRegion: "eu-west-3" }))).to.equal(
        "KMSInternalException",
      )
    })

    it("delays", async () => {
      await kms.fault({ kind: "delay", operation: "ListKeys", milliseconds: 30_000 })
      const abortSignal = AbortSignal.timeout(200)
      const waiting = client.listKeys({}, { abortSignal })
      expect(await nameOf(waiting)).to.equal("AbortError")
      expect(await keyCount()).to.equal(0)
    })

    it("lets a delayed request go on when they are cleared", async () => {
      await kms.fault({ kind: "delay", operation: "ListKeys", milliseconds: 600_000 })
      await kms.clearCounts()
      const waiting = keyCount()
      while ((await kms.counts()).requests["ListKeys"] === undefined) await sleep(5)
      await kms.clearFaults()
      expect(await waiting).to.equal(0)
    })

    it("are cleared", async () => {
      await kms.fault({ kind: "throttle", count: 100 })
      await kms.clearFaults()
      expect(await keyCount()).to.equal(0)
    })
  })

  describe("quotas", () => {
    afterEach(async () => {
      await kms.quotas({ preset: "off" })
      await kms.clock.tick()
    })

    /** How many of so many calls in an instant get through. */
    async function through(calls: number, call: () => Promise<unknown>): Promise<number> {
      let passed = 0
      for (let i = 0; i < calls; i++) if ((await nameOf(call())) !== "ThrottlingException") passed++
      return passed
    }

    it("are off by default", async () => {
      await kms.clock.freeze()
      expect(await through(30, () => createKey(client))).to.equal(30)
    })

    it("are buckets with one second of burst by the clock", async () => {
      await kms.clock.freeze()
      await kms.quotas({ preset: "aws" })
      expect(await through(8, () => createKey(client))).to.equal(5)
      await kms.clock.advance(1)
      expect(await through(8, () => createKey(client))).to.equal(5)
      await kms.clock.advance(3600)
      expect(await through(8, () => createKey(client))).to.equal(5)
    })

    it("of AWS lend one wrapping key a second", async () => {
      const KeyId = await createKey(client)
      const lend = () =>
        client.getParametersForImport({ KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" })
      await kms.clock.freeze()
      await kms.quotas({ preset: "aws" })
      expect(await through(3, lend)).to.equal(1)
    })

    it("take fractions: a rate of 0.25 lets one through every four seconds", async () => {
      await kms.clock.freeze()
      await kms.quotas({ preset: "off", rates: { CreateKey: 0.25 } })
      expect(await through(2, () => createKey(client))).to.equal(1)
      await kms.clock.advance(3)
      expect(await through(2, () => createKey(client))).to.equal(0)
      await kms.clock.advance(1)
      expect(await through(2, () => createKey(client))).to.equal(1)
    })
  })

  it("counts requests, successes and errors, and forgets them", async () => {
    const KeyId = await createKey(client)
    await nameOf(client.encrypt({ KeyId, Plaintext: Buffer.of(1) }))
    await kmsClient(kms, "eu-west-3").listKeys({})
    expect(await kms.counts()).to.deep.equal({
      requests: { CreateKey: 1, Encrypt: 1, ListKeys: 1 },
      regions: { "us-east-1": { CreateKey: 1, Encrypt: 1 }, "eu-west-3": { ListKeys: 1 } },
      succeeded: { CreateKey: 1, ListKeys: 1 },
      errors: { Encrypt: { KMSInvalidStateException: 1 } },
      recent: ["CreateKey", "Encrypt", "ListKeys"],
    })
    await kms.clearCounts()
    expect((await kms.counts()).requests).to.deep.equal({})
  })
})
