import { expect } from "chai"
import { wrap } from "#src/app/offline/wrap.js"
import { provision } from "#src/app/provision/provision.js"
import { sha256, type ImportParameters } from "#src/core/key/wrapping-key.js"
import type { SourceKey } from "#src/core/key/source-key.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { HMAC, openWorld, overriding, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

const ACCOUNT = { account: "111122223333", partition: "aws" } as const

describe("wrapping under parameters that came in a file", () => {
  worldEnvironment()
  let world: World
  let run: Run
  let source: SourceKey
  let parameters: ImportParameters
  before(async () => {
    world = await openWorld()
    run = await world.run()
    const { sourceKey } = await provision(run.deps, requestFor("w-key", HMAC))
    source = (await run.deps.token.findSourceKeys({ id: sourceKey.id }))[0]!
    const keyArn = await createKey(world.sdk, "HMAC_256")
    parameters = await run.deps.kms.getParametersForImport(keyArn, "RSAES_OAEP_SHA_1", "RSA_2048")
  })
  after(() => world[Symbol.asyncDispose]())

  type Terms = Parameters<typeof wrap>[2]
  const wrapped = (more: Partial<Terms> = {}, deps = run.deps, key = source) =>
    wrap(deps, key, { ...{ parameters, expectFingerprint: null, accounts: [] }, ...more })
  const strict = () => run.with({ policy: { ...run.deps.policy, requireFingerprint: true } })

  it("asks nothing of KMS, and says in the bundle what was wrapped for whom", async () => {
    await world.kms.clearCounts()
    const { wrapped: material, bundle } = await wrapped()
    expect((await world.kms.counts()).requests).to.deep.equal({})
    expect(bundle).to.deep.include({
      name: "w-key",
      generation: 0,
      keyId: parameters.keyArn,
      wrappingKeyFingerprint: parameters.wrappingKey.fingerprint,
      importTokenDigest: sha256(parameters.importToken.reveal()),
      encryptedKeyMaterialDigest: sha256(material.bytes),
    })
    expect(bundle.sourceKey).to.include({ id: source.id, custody: "token" })
    expect(bundle.proof).to.have.keys("nonce", "mac")
  })

  it("is refused under another wrapping key than was expected, and without an expectation where the policy wants one", async () => {
    const { fingerprint } = parameters.wrappingKey
    await wrapped({ expectFingerprint: fingerprint.toUpperCase() }, strict())
    const missing = await expectCode("ERR_POLICY_REFUSED", () => wrapped({}, strict()))
    expect(missing.message).to.include(fingerprint)
    const other = fingerprint.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))
    await expectCode("ERR_FINGERPRINT_MISMATCH", () => wrapped({ expectFingerprint: other }))
  })

  it("is refused of a key that says that it is not extractable", async () => {
    const locked = { ...source, attributes: { ...source.attributes, extractable: false } }
    await expectCode("ERR_KEY_NOT_EXTRACTABLE", () => wrapped({}, run.deps, locked))
    const unsaid = { ...source, attributes: { ...source.attributes, extractable: null } }
    await expectCode("ERR_KEY_NOT_EXTRACTABLE", () => wrapped({}, run.deps, unsaid))
  })

  it("is refused for an account that is none of the key's targets, and told where the account is not known", async () => {
    await wrapped({ accounts: [{ ...ACCOUNT, account: "444455556666" }, ACCOUNT] })
    for (const account of [
      { ...ACCOUNT, account: "444455556666" },
      { ...ACCOUNT, partition: "aws-cn" },
    ] as const) {
      const error = await expectCode("ERR_POLICY_REFUSED", () => wrapped({ accounts: [account] }))
      expect(error.message).to.include(`${account.account} in ${account.partition}`)
    }
    const bare = { ...parameters, keyArn: parameters.keyArn.split("/").at(-1) ?? "" }
    await wrapped({ parameters: bare, accounts: [{ ...ACCOUNT, account: "444455556666" }] })
    expect(run.warnings.join()).to.include(`the account of KMS key ${bare.keyArn} is not known here`)
  })

  it("is refused for another account than the first import's", async () => {
    const other = { ...parameters, keyArn: parameters.keyArn.replace(ACCOUNT.account, "444455556666") }
    const before = custodyEvents(run.stateDir).length
    const error = await expectCode("ERR_POLICY_REFUSED", () => wrapped({ parameters: other }))
    expect(error.message).to.include(`belongs to account ${ACCOUNT.account}`)
    expect(custodyEvents(run.stateDir)).to.have.length(before)
  })

  it("says by what to fetch other parameters where the token cannot carry the key under these", async () => {
    // the self-test's answer of a token that has proven nothing
    const { token } = run.deps
    const unable = overriding(token, {
      selfTest: async (requests) =>
        (await token.selfTest(requests)).map((verdict) => ({ ...verdict, usable: false, reason: "not here" })),
    })
    const error = await expectCode("ERR_NO_USABLE_ALGORITHM", () => wrapped({}, { ...run.deps, token: unable }))
    expect(error.hint).to.match(/keyferry token probe.*keyferry params.*--wrapping-algorithm/)
    expect(error.key).to.equal(source.label)
  })
})
