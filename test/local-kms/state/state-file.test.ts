import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, startLocalKms } from "#test/support/local-kms.js"
import { wrapOaep } from "#test/support/openssl.js"
import { createKey, getParameters, importMaterial } from "../../support/local-kms-fixture.js"

describe("local KMS: state file, start options", () => {
  let folder: string
  let stateFile: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "keyferry-local-kms-"))
    stateFile = join(folder, "state.json")
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it("keeps keys, aliases, import tokens and the clock over a kill, mode 0600, with a warning", async () => {
    const start = () => startLocalKms({ stateFile })
    const material = randomBytes(32)
    const first = await start()
    const client = kmsClient(first)
    const KeyId = await createKey(client)
    await importMaterial(client, KeyId, material)
    await client.createAlias({ AliasName: "alias/kept", TargetKeyId: KeyId })
    const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext: Buffer.from("plaintext") })
    const lent = await getParameters(client, KeyId, "RSAES_OAEP_SHA_256")
    await first.clock.freeze()
    await first.clock.set("2040-01-01T00:00:00Z")
    expect(statSync(stateFile).mode & 0o777).to.equal(0o600)
    expect(first.stderr()).to.contain(`${stateFile} holds plaintext keys`)
    process.kill(first.pid, "SIGKILL")

    await using second = await start()
    const again = kmsClient(second)
    expect(await second.clock.now()).to.deep.equal(new Date("2040-01-01T00:00:00Z"))
    expect((await again.describeKey({ KeyId: "alias/kept" })).KeyMetadata!.Arn).to.equal(KeyId)
    expect(Buffer.from((await again.decrypt({ CiphertextBlob })).Plaintext!).toString()).to.equal("plaintext")
    await second.clock.set(new Date())
    await again.importKeyMaterial({
      KeyId,
      ImportToken: lent.importToken,
      EncryptedKeyMaterial: wrapOaep(lent.publicKey, material, "sha256"),
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    })
  })

  it("keeps replicas, their roles, staged material and a deletion that waits", async () => {
    const regions = ["us-east-1", "eu-west-3"]
    const first = await startLocalKms({ stateFile, regions })
    await first.clock.freeze()
    const [home, paris] = [kmsClient(first), kmsClient(first, "eu-west-3")]
    const { KeyMetadata } = await home.createKey({ Origin: "EXTERNAL", MultiRegion: true })
    const KeyId = KeyMetadata!.KeyId!
    const [old, next] = [randomBytes(32), randomBytes(32)]
    await importMaterial(home, KeyId, old)
    await home.replicateKey({ KeyId, ReplicaRegion: "eu-west-3", Description: "replica" })
    await first.clock.advance(2)
    await importMaterial(paris, KeyId, old)
    await importMaterial(home, KeyId, next, { ImportType: "NEW_KEY_MATERIAL" })
    const { CiphertextBlob } = await home.encrypt({ KeyId, Plaintext: Buffer.from("plaintext") })
    await home.updatePrimaryRegion({ KeyId, PrimaryRegion: "eu-west-3" })
    await first.clock.advance(2)
    await paris.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    const lookAt = async (client: KMS) => [
      (await client.describeKey({ KeyId })).KeyMetadata,
      (await client.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).Rotations,
    ]
    const before = [await lookAt(home), await lookAt(paris)]
    process.kill(first.pid, "SIGKILL")

    await using second = await startLocalKms({ stateFile, regions })
    const [homeAgain, parisAgain] = [kmsClient(second), kmsClient(second, "eu-west-3")]
    expect([await lookAt(homeAgain), await lookAt(parisAgain)]).to.deep.equal(before)
    expect(before).to.have.nested.property("[1][0].KeyState", "PendingReplicaDeletion")
    expect(before).to.have.nested.property("[0][0].MultiRegionConfiguration.MultiRegionKeyType", "REPLICA")
    await parisAgain.cancelKeyDeletion({ KeyId })
    await importMaterial(parisAgain, KeyId, next)
    await parisAgain.enableKey({ KeyId })
    await parisAgain.rotateKeyOnDemand({ KeyId })
    await second.clock.advance(150)
    expect(Buffer.from((await homeAgain.decrypt({ CiphertextBlob })).Plaintext!).toString()).to.equal("plaintext")
    await homeAgain.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    await second.clock.advance(7 * 24 * 3600)
    expect((await parisAgain.describeKey({ KeyId })).KeyMetadata!.MultiRegionConfiguration!.ReplicaKeys).to.deep.equal(
      [],
    )
  })

  const refused = async (options: Parameters<typeof startLocalKms>[0]) => {
    let message = ""
    await startLocalKms(options).then(
      (kms) => kms.stop(),
      (error: unknown) => (message = String(error)),
    )
    return message
  }

  it("refuses a file that is something else, and another account's", async () => {
    for (const text of ["{}", "", "plain", "{}\n{}\n", "\0".repeat(100)]) {
      writeFileSync(stateFile, text)
      expect(await refused({ stateFile }), text)
        .to.contain("StateFileError")
        .and.contain("is no state of a local KMS")
      expect(readFileSync(stateFile, "utf8"), "is left as it is").to.equal(text)
    }
    for (const version of [1, 4]) {
      writeFileSync(stateFile, JSON.stringify({ format: `keyferry local-kms ${version}` }))
      expect(await refused({ stateFile })).to.contain("was written by another version of keyferry")
    }
    rmSync(stateFile)
    await (await startLocalKms({ stateFile })).stop()
    expect(await refused({ stateFile, account: "444455556666" })).to.contain("OptionError")
  })

  it("refuses a file whose middle is damaged, and leaves out a change that a kill cut short", async () => {
    const first = await startLocalKms({ stateFile })
    const client = kmsClient(first)
    const kept = await createKey(client)
    const cut = await createKey(client)
    process.kill(first.pid, "SIGKILL")
    await first.ended
    const whole = readFileSync(stateFile, "utf8")
    writeFileSync(stateFile, whole.slice(0, -20))
    const second = await startLocalKms({ stateFile })
    const again = kmsClient(second)
    expect((await again.listKeys({})).Keys?.map(({ KeyArn }) => KeyArn)).to.deep.equal([kept])
    const later = await createKey(again)
    process.kill(second.pid, "SIGKILL")
    await second.ended
    const third = await startLocalKms({ stateFile })
    const arns = (await kmsClient(third).listKeys({})).Keys?.map(({ KeyArn }) => KeyArn)
    expect(arns).to.have.members([kept, later]).and.not.include(cut)
    await third.stop()
    writeFileSync(stateFile, whole.replace('{"set":', '{"set"'))
    expect(await refused({ stateFile })).to.contain("StateFileError")
  })

  it("is one server's: a second is refused, and takes it once the first was killed", async () => {
    const first = await startLocalKms({ stateFile })
    expect(await refused({ stateFile })).to.contain("another local KMS has the state file")
    const KeyId = await createKey(kmsClient(first))
    process.kill(first.pid, "SIGKILL")
    await first.ended
    await using second = await startLocalKms({ stateFile })
    await kmsClient(second).describeKey({ KeyId })
  })

  it("removes the plaintext keys that a run left which was killed while it wrote", async () => {
    writeFileSync(`${stateFile}.tmp`, "plaintext")
    await (await startLocalKms({ stateFile })).stop()
    expect(existsSync(`${stateFile}.tmp`)).to.equal(false)
  })

  it("loses no key that was answered for, killed at any moment while many are made", async () => {
    const answered: string[] = []
    for (let kill = 0; kill < 5; kill++) {
      const local = await startLocalKms({ stateFile })
      const client = kmsClient(local)
      const make = async (): Promise<void> => {
        for (;;) {
          const arn = await createKey(client).catch(() => undefined)
          if (arn === undefined) return
          answered.push(arn)
          if (answered.length % 50 === 0) process.kill(local.pid, "SIGKILL")
        }
      }
      await Promise.all(Array.from({ length: 8 }, make))
    }
    await using last = await startLocalKms({ stateFile })
    const client = kmsClient(last)
    for (const KeyId of answered) await client.describeKey({ KeyId })
    expect(answered.length).to.be.at.least(250)
  })

  it("keeps grants, what was moved and what was deleted", async () => {
    const first = await startLocalKms({ stateFile })
    const client = kmsClient(first)
    const [KeyId, other] = [await createKey(client), await createKey(client)]
    await importMaterial(client, KeyId, randomBytes(32))
    await client.createGrant({ KeyId, GranteePrincipal: "arn:aws:iam::111122223333:role/a", Operations: ["Decrypt"] })
    for (const name of ["moved", "gone"]) await client.createAlias({ AliasName: `alias/${name}`, TargetKeyId: KeyId })
    await client.updateAlias({ AliasName: "alias/moved", TargetKeyId: other })
    await client.deleteAlias({ AliasName: "alias/gone" })
    await client.scheduleKeyDeletion({ KeyId: other, PendingWindowInDays: 7 })
    await first.clock.advance(8 * 86_400)
    process.kill(first.pid, "SIGKILL")
    await first.ended
    await using second = await startLocalKms({ stateFile })
    const again = kmsClient(second)
    expect((await again.listGrants({ KeyId })).Grants).to.have.lengthOf(1)
    expect((await again.listAliases({})).Aliases).to.deep.equal([])
    expect((await again.listKeys({})).Keys?.map(({ KeyArn }) => KeyArn)).to.deep.equal([KeyId])
  })

  for (const options of [{ clock: "tomorrow" }, { regions: [] }, { regions: ["nowhere"] }, { account: "1" }]) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      expect(await refused(options)).to.contain("OptionError")
    })
  }

  it("starts its clock at an instant or an offset", async () => {
    await using absolute = await startLocalKms({ clock: "2035-05-05T05:05:00Z" })
    const since = (await absolute.clock.now()).getTime() - Date.parse("2035-05-05T05:05:00Z")
    expect(since).to.be.within(0, 60_000)
    await using later = await startLocalKms({ clock: "+90d" })
    const ahead = (await later.clock.now()).getTime() - Date.now()
    expect(Math.round(ahead / 3_600_000)).to.equal(90 * 24)
  })

  it("lends a new wrapping key for every request where that is asked for", async () => {
    await using fresh = await startLocalKms({ freshWrappingKeys: true })
    const client = kmsClient(fresh)
    const KeyId = await createKey(client)
    const seen = new Set<string>()
    for (let i = 0; i < 4; i++) {
      const { publicKey } = await getParameters(client, KeyId, "RSAES_OAEP_SHA_256")
      seen.add(Buffer.from(publicKey).toString("hex"))
    }
    expect(seen.size).to.equal(4)
    await importMaterial(client, KeyId, randomBytes(32))
  })
})
