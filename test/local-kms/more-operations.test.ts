import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto"
import { randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey, importedKey, makeMaterial, refusalOf, spkiOf } from "../support/local-kms-fixture.js"

const GRANTEE = "arn:aws:iam::111122223333:role/grantee"
const RETIRING = "arn:aws:iam::111122223333:role/retiring"

describe("local KMS: grants, data key pairs, last use", () => {
  let kms: LocalKmsProcess
  let client: KMS
  let KeyId: string
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
    KeyId = await importedKey(client, "SYMMETRIC_DEFAULT", randomBytes(32))
  })
  after(async () => {
    client.destroy()
    await kms.stop()
  })

  it("makes, lists, retires and revokes grants", async () => {
    const terms = { KeyId, GranteePrincipal: GRANTEE, RetiringPrincipal: RETIRING, Operations: ["Decrypt"] } as const
    const { GrantId, GrantToken } = await client.createGrant({ ...terms, Operations: [...terms.Operations], Name: "a" })
    const same = await client.createGrant({ ...terms, Operations: [...terms.Operations], Name: "a" })
    expect(same.GrantId).to.equal(GrantId)
    const second = await client.createGrant({ ...terms, Operations: ["Encrypt"] })
    const { Grants = [] } = await client.listGrants({ KeyId })
    expect(Grants.map((grant) => grant.GrantId)).to.have.members([GrantId, second.GrantId])
    expect(Grants.find((grant) => grant.GrantId === GrantId)).to.deep.include({
      KeyId,
      Name: "a",
      GranteePrincipal: GRANTEE,
      Operations: ["Decrypt"],
      IssuingAccount: "arn:aws:iam::111122223333:root",
    })
    expect((await client.listRetirableGrants({ RetiringPrincipal: RETIRING })).Grants).to.have.lengthOf(2)
    expect((await client.listRetirableGrants({ RetiringPrincipal: GRANTEE })).Grants).to.deep.equal([])
    await client.retireGrant({ GrantToken })
    await client.revokeGrant({ KeyId, GrantId: second.GrantId })
    expect((await client.listGrants({ KeyId })).Grants).to.deep.equal([])
    expect((await refusalOf(client.revokeGrant({ KeyId, GrantId: second.GrantId }))).name).to.equal("NotFoundException")
    expect((await refusalOf(client.retireGrant({ GrantToken }))).name).to.equal("InvalidGrantTokenException")
  })

  for (const KeyPairSpec of ["RSA_2048", "ECC_NIST_P256", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"] as const) {
    it(`makes a data key pair of ${KeyPairSpec}, with and without its plaintext`, async () => {
      const pair = await client.generateDataKeyPair({ KeyId, KeyPairSpec, EncryptionContext: { a: "b" } })
      const opened = await client.decrypt({
        CiphertextBlob: pair.PrivateKeyCiphertextBlob,
        EncryptionContext: { a: "b" },
      })
      expect(Buffer.from(opened.Plaintext!).equals(pair.PrivateKeyPlaintext!)).to.equal(true)
      const privateKey = createPrivateKey({ key: Buffer.from(opened.Plaintext!), format: "der", type: "pkcs8" })
      const publicKey = createPublicKey({ key: Buffer.from(pair.PublicKey!), format: "der", type: "spki" })
      const hash = KeyPairSpec === "ECC_NIST_EDWARDS25519" ? null : "sha256"
      expect(verify(hash, Buffer.from("a"), publicKey, sign(hash, Buffer.from("a"), privateKey))).to.equal(true)
      const blind = await client.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec })
      expect(blind).to.not.have.property("PrivateKeyPlaintext")
      await client.decrypt({ CiphertextBlob: blind.PrivateKeyCiphertextBlob })
    })
  }

  it("tells who used a key last, for what, when", async () => {
    const unused = await createKey(client)
    expect(await client.getKeyLastUsage({ KeyId: unused })).to.not.have.property("KeyLastUsage")
    const { $metadata } = await client.encrypt({ KeyId, Plaintext: Buffer.from("a") })
    const { KeyLastUsage, TrackingStartDate, KeyCreationDate } = await client.getKeyLastUsage({ KeyId })
    expect(KeyLastUsage).to.include({ Operation: "Encrypt", KmsRequestId: $metadata.requestId })
    expect(TrackingStartDate).to.deep.equal(KeyCreationDate)
    await client.encrypt({ KeyId, Plaintext: Buffer.from("a"), DryRun: true }).catch(() => undefined)
    await client.describeKey({ KeyId })
    expect((await client.getKeyLastUsage({ KeyId })).KeyLastUsage).to.deep.equal(KeyLastUsage)
  })

  it("lists the one policy of a key", async () => {
    expect(await client.listKeyPolicies({ KeyId })).to.deep.include({ PolicyNames: ["default"], Truncated: false })
  })

  it("signs by ED25519_PH_SHA_512 what is a digest", async () => {
    const pkcs8 = makeMaterial("ECC_NIST_EDWARDS25519")
    const edwards = await importedKey(client, "ECC_NIST_EDWARDS25519", pkcs8, "SIGN_VERIFY")
    const terms = { KeyId: edwards, SigningAlgorithm: "ED25519_PH_SHA_512", MessageType: "DIGEST" } as const
    const Message = randomBytes(64)
    const { Signature } = await client.sign({ ...terms, Message })
    expect((await client.verify({ ...terms, Message, Signature })).SignatureValid).to.equal(true)
    const other = { ...terms, Message: randomBytes(64), Signature }
    expect((await refusalOf(client.verify(other))).name).to.equal("KMSInvalidSignatureException")
    const publicKey = createPublicKey({ key: spkiOf(pkcs8), format: "der", type: "spki" })
    expect(verify(null, Message, publicKey, Buffer.from(Signature!)), "another instance of the algorithm").to.equal(
      false,
    )
    for (const request of [
      { ...terms, Message, MessageType: "RAW" } as const,
      { ...terms, Message: randomBytes(32) },
    ]) {
      expect((await refusalOf(client.sign(request))).name).to.equal("ValidationException")
    }
  })
})
