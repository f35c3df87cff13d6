import { expect } from "chai"
import type { Fleet } from "#src/app/fleet/fleet.js"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import { signatureCheck } from "#src/app/verify/public-key.js"
import { verifyKeys } from "#src/app/verify/verify.js"
import type { VerifyRow } from "#src/app/verify/row.js"
import { type ExitName } from "#src/core/base/exit-code.js"
import { exitOf } from "#src/core/plan/row.js"
import { KEY_SPECS } from "#src/core/key/key-spec.js"
import { type Answer, type KmsProxy, startKmsProxy } from "#test/support/kms-proxy.js"
import { expectCode } from "#test/support/expect-code.js"
import { importedKey, makePkcs8, spkiOf } from "../../support/local-kms-fixture.js"
import { EC, HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

describe("verify", () => {
  worldEnvironment()
  let world: World
  let proxy: KmsProxy
  before(async () => {
    world = await openWorld()
    proxy = await startKmsProxy(world.kms.endpoint)
  })
  beforeEach(() => world.reset())
  afterEach(() => {
    for (const operation of ["GetPublicKey", "VerifyMac", "Sign", "ListKeyRotations", "DescribeKey"]) {
      proxy.alter(operation)
    }
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  const make = async (...args: Parameters<typeof requestFor>) =>
    provision((await world.run()).deps, requestFor(...args))
  const run = async (
    names: readonly string[] = [],
    { full = false, token = true }: { readonly full?: boolean; readonly token?: boolean } = {},
  ): Promise<{ readonly rows: readonly VerifyRow[]; readonly exit: ExitName }> => {
    const { deps } = await world.run({ endpoint: proxy.endpoint })
    const entries = await deps.inventory.list()
    const fleet: Fleet = {
      ...deps,
      owner: "keyferry",
      bindings: [],
      entries,
      damaged: [],
      unmanaged: entries,
      width: 1,
      lock: null,
      heldWork: null,
      depsOf: () => Promise.resolve(deps),
      kmsOf: (_, region) => deps.kmsIn(region ?? "us-east-1"),
      clockOf: () => deps.clock,
      whenAlone: (work) => work(),
      quotasOf: () => undefined,
      inTurn: (_rank, work) => work(),
      tokenOf: () => Promise.resolve(token ? deps.token : null),
    }
    const rows = await verifyKeys(fleet, names, { full })
    return { rows, exit: exitOf(rows) }
  }
  const only = async (...args: Parameters<typeof run>) => {
    const { rows, exit } = await run(...args)
    expect(rows).to.have.length(1)
    return { ...rows[0]!, exit }
  }

  it("proves each family as it allows, and that KMS signs with the token's key", async () => {
    await make("hmac", HMAC)
    await make("curve", EC)
    await make("aes")
    const { rows, exit } = await run()
    expect(exit).to.equal("OK")
    const found = new Map(rows.map((row) => [row.name, row]))
    expect(rows.map(({ outcome }) => outcome)).to.deep.equal(["done", "done", "done"])
    const proofs = (name: string) => found.get(name)?.generations.map(({ proof }) => proof)
    expect(proofs("hmac")).to.deep.equal([{ kind: "mac", result: "proven" }])
    expect(proofs("curve")).to.deep.equal([{ kind: "public-key", result: "proven" }])
    expect(proofs("aes")).to.deep.equal([{ kind: "none", result: "accepted" }])
    expect(found.get("curve")?.use).to.deep.equal({ algorithm: "ECDSA_SHA_384", result: "proven" })
    expect(await world.requests("GetParametersForImport"), "spends nothing").to.equal(3)
    await expectCode("ERR_KEY_NOT_FOUND", () => run(["nobody"]))
  })

  for (const keySpec of ["RSA_2048", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"] as const) {
    it(`checks what KMS signs with a ${keySpec} key`, async () => {
      const { deps } = await world.run()
      const pkcs8 = makePkcs8(keySpec)
      const key = await importedKey(world.sdk, keySpec, pkcs8, "SIGN_VERIFY")
      const use = await signatureCheck(deps.kms, key, spkiOf(pkcs8), keySpec)
      expect(use).to.deep.equal({ algorithm: KEY_SPECS[keySpec].signing?.algorithm, result: "proven" })
      const foreign = await signatureCheck(deps.kms, key, spkiOf(makePkcs8(keySpec)), keySpec)
      expect(foreign?.result).to.equal("failed")
    })
  }

  const other = spkiOf(makePkcs8("ECC_NIST_P384")).toString("base64")
  const failures: readonly [
    name: string,
    request: Parameters<typeof requestFor>[1],
    operation: string,
    change: (answer: Answer) => Answer,
    reason: string,
  ][] = [
    ["another public key", EC, "GetPublicKey", (answer) => ({ ...answer, PublicKey: other }), "PROOF_FAILED"],
    ["a signature of another key", EC, "Sign", (answer) => ({ ...answer, Signature: "MAYCAQECAQE=" }), "PROOF_FAILED"],
    ["another MAC", HMAC, "VerifyMac", (answer) => ({ ...answer, MacValid: false }), "PROOF_FAILED"],
    ["material that is not listed", {}, "ListKeyRotations", (answer) => ({ ...answer, Rotations: [] }), "PROOF_FAILED"],
    [
      "material that nobody recorded",
      {},
      "ListKeyRotations",
      ({ Rotations, ...answer }) => ({
        ...answer,
        Rotations: [
          ...(Rotations as object[]),
          { KeyMaterialId: "ab".repeat(32), ImportState: "IMPORTED", KeyMaterialState: "NON_CURRENT" },
        ],
      }),
      "FOREIGN_MATERIAL",
    ],
    [
      "other material in use",
      {},
      "DescribeKey",
      (answer) => ({
        KeyMetadata: { ...(answer["KeyMetadata"] as object), CurrentKeyMaterialId: "ab".repeat(32) },
      }),
      "FOREIGN_MATERIAL",
    ],
  ]
  for (const [name, request, operation, change, reason] of failures) {
    it(`finds ${name}, and goes on with the others`, async () => {
      const [bad, good] = [`a-${failures.findIndex(([one]) => one === name)}`, `b-${operation}-${reason}`]
      await make(bad, request)
      proxy.alter(operation, change)
      const { rows, exit } = await run([bad])
      proxy.alter(operation)
      expect(exit).to.equal("PROOF")
      expect(rows[0]).to.include({ outcome: "failed", reason, name: bad })
      await make(good)
      await world.kms.fault({ kind: "access-denied", operation: "DescribeKey", count: 1, skip: 0 })
      const both = await run([bad, good])
      expect(both.rows.map(({ outcome }) => outcome)).to.deep.equal(["failed", "done"])
      expect(both.exit).to.equal("NOPERM")
    })
  }

  it("with --full imports every generation once more, pinned, with the expiry that it has", async () => {
    const first = await make("full", { expiresIn: "30d" })
    const { deps } = await world.run()
    const entry = (await deps.inventory.get("full", "us-east-1"))!
    await world.kms.rotationSeconds(1)
    await rotateKey(deps, entry, {
      expiresIn: "60d",
      wrappingAlgorithm: null,
      wrappingKeySpec: null,
      prove: "accept",
    })
    const listed = async () =>
      (await deps.kms.listKeyRotations(first.keyArn)).map(({ keyMaterialId, validTo }) => ({ keyMaterialId, validTo }))
    const before = await listed()
    await world.kms.clearCounts()
    const row = await only(["full"], { full: true })
    expect(row).to.include({ outcome: "done", exit: "OK" })
    const proven = { kind: "key-material-id", result: "proven" }
    expect(row.generations.map(({ proof }) => proof)).to.deep.equal([proven, proven])
    expect(await listed()).to.deep.equal(before)
    expect(await world.requests("GetParametersForImport")).to.equal(2)
    expect((await only(["full"])).generations.map(({ proof }) => proof)).to.deep.equal([proven, proven])
    await world.kms.fault({
      kind: "error",
      operation: "ImportKeyMaterial",
      count: 1,
      skip: 0,
      name: "IncorrectKeyMaterialException",
      message: "other",
      status: 400,
    })
    const failed = await only(["full"], { full: true })
    expect(failed).to.include({ outcome: "failed", reason: "PROOF_FAILED", exit: "PROOF" })
    expect(failed.generations[0]?.proof).to.deep.equal({ kind: "key-material-id", result: "failed" })
  })

  it("with --full proves replaced keys as well, each kept in its own place of the entry", async () => {
    const old = await make("placed", { expiresIn: "30d" })
    const { deps } = await world.run()
    const before = (await deps.inventory.get("placed", "us-east-1"))!
    const made = await replaceKey(deps, before, { ...AS_BEFORE, description: null })
    const { rows, exit } = await run(["placed"], { full: true })
    expect(rows.map(({ replaced, keyArn, outcome }) => [replaced, keyArn, outcome])).to.deep.equal([
      [false, made.keyArn, "done"],
      [true, old.keyArn, "done"],
    ])
    expect(exit).to.equal("OK")
    const entry = (await deps.inventory.get("placed", "us-east-1"))!
    const proven = { kind: "key-material-id", result: "proven" }
    expect(
      [entry, ...entry.former].map(({ keyArn, imports }) => [keyArn, imports.map(({ proof }) => proof)]),
    ).to.deep.equal([
      [made.keyArn, [proven]],
      [old.keyArn, [proven]],
    ])
  })

  it("says that a key is unfinished which nothing was imported to yet", async () => {
    await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => make("begun", HMAC))
    expect(await only(["begun"])).to.include({ outcome: "blocked", reason: "UNFINISHED" })
  })

  it("leaves a disabled key disabled, and says what it could not look at", async () => {
    const { keyArn } = await make("off")
    await world.sdk.disableKey({ KeyId: keyArn })
    expect(await only(["off"], { full: true })).to.include({ outcome: "blocked", reason: "KEY_STATE", exit: "DATAERR" })
    expect((await world.sdk.describeKey({ KeyId: keyArn })).KeyMetadata?.KeyState).to.equal("Disabled")
  })

  it("without a token holds a pair against what was recorded, and says what needs one", async () => {
    await make("pair", EC)
    await make("secret", HMAC)
    await make("plain")
    const { rows, exit } = await run([], { token: false })
    expect(rows.map(({ name, outcome, reason }) => [name, outcome, reason])).to.deep.equal([
      ["pair", "done", "VERIFIED"],
      ["plain", "done", "VERIFIED"],
      ["secret", "blocked", "TOKEN_NEEDED"],
    ])
    expect(rows[0]?.message).to.include("recorded when it was generated")
    expect(exit).to.equal("USAGE")
  })
})
