import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { promisify } from "node:util"
import { expect } from "chai"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { type OpenSsl, openssl, wrapOaep } from "#test/support/openssl.js"

const run = promisify(execFile)
/** The `aws` that PATH finds first may be a version manager's shim. */
const AWS = process.env["KEYFERRY_TEST_AWS"] ?? "/usr/bin/aws"

describe("local KMS: the AWS CLI with OpenSSL, which know nothing of it", () => {
  let kms: LocalKmsProcess
  let files: OpenSsl
  before(async () => {
    kms = await startLocalKms({ regions: ["us-east-1", "eu-west-3"], replicationSeconds: 0 })
    files = openssl()
  })
  after(async () => {
    files[Symbol.dispose]()
    await kms.stop()
  })

  async function aws(service: string, ...args: string[]): Promise<Record<string, unknown>> {
    const command = [service, ...args, "--endpoint-url", kms.endpoint, "--output", "json"]
    const { stdout } = await run(AWS, command, { cwd: files.folder, env: kms.env })
    return stdout === "" ? {} : (JSON.parse(stdout) as Record<string, unknown>)
  }
  const decode = (value: unknown) => Buffer.from(String(value), "base64")
  const stateOf = async (name: string) => (await describeKey(name))["KeyState"]
  const describeKey = async (name: string) =>
    (await aws("kms", "describe-key", "--key-id", name))["KeyMetadata"] as Record<string, unknown>

  /** The steps that AWS's guide gives for importing key material. */
  async function importMaterial(keyId: string, material: Buffer, ...options: string[]): Promise<void> {
    const spec = ["--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_2048"]
    const at = options.includes("--region") ? options.slice(options.indexOf("--region")) : []
    const parameters = await aws("kms", "get-parameters-for-import", "--key-id", keyId, ...spec, ...at)
    files.write("ImportToken.bin", decode(parameters["ImportToken"]))
    files.write("EncryptedKeyMaterial.bin", wrapOaep(decode(parameters["PublicKey"]), material, "sha256"))
    const blobs = [
      "--encrypted-key-material",
      "fileb://EncryptedKeyMaterial.bin",
      "--import-token",
      "fileb://ImportToken.bin",
    ]
    await aws("kms", "import-key-material", "--key-id", keyId, ...blobs, ...options)
  }

  it("create, import with and without expiry, encrypt, decrypt, alias, delete, import again", async () => {
    expect((await aws("sts", "get-caller-identity"))["Account"]).to.equal("111122223333")
    const made = await aws("kms", "create-key", "--origin", "EXTERNAL", "--tags", "TagKey=owner,TagValue=test")
    const keyId = String((made["KeyMetadata"] as Record<string, unknown>)["KeyId"])
    const material = randomBytes(32)

    const inMonth = new Date(Date.now() + 30 * 24 * 3600 * 1000).toISOString()
    await importMaterial(keyId, material, "--expiration-model", "KEY_MATERIAL_EXPIRES", "--valid-to", inMonth)
    expect(await describeKey(keyId)).to.include({ KeyState: "Enabled", ExpirationModel: "KEY_MATERIAL_EXPIRES" })

    await aws("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", keyId)
    files.write("plaintext", Buffer.from("plaintext"))
    const encrypted = await aws("kms", "encrypt", "--key-id", "alias/cli", "--plaintext", "fileb://plaintext")
    files.write("ciphertext", decode(encrypted["CiphertextBlob"]))
    const decrypt = async () => (await aws("kms", "decrypt", "--ciphertext-blob", "fileb://ciphertext"))["Plaintext"]
    expect(decode(await decrypt()).toString()).to.equal("plaintext")

    await aws("kms", "delete-imported-key-material", "--key-id", keyId)
    expect(await stateOf(keyId)).to.equal("PendingImport")
    let refusal = ""
    await decrypt().catch((error: unknown) => (refusal = (error as { stderr: string }).stderr))
    expect(refusal).to.contain("(KMSInvalidStateException) when calling the Decrypt operation")

    await importMaterial(keyId, material, "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    expect(await describeKey(keyId)).to.include({ ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" })
    expect(decode(await decrypt()).toString()).to.equal("plaintext")
    const { Tags } = await aws("kms", "list-resource-tags", "--key-id", keyId)
    expect(Tags).to.deep.equal([{ TagKey: "owner", TagValue: "test" }])
  })

  it("replicate a multi-Region key and move its primary Region", async () => {
    const made = await aws("kms", "create-key", "--origin", "EXTERNAL", "--multi-region")
    const keyId = String((made["KeyMetadata"] as Record<string, unknown>)["KeyId"])
    const material = randomBytes(32)
    const forever = ["--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE"]
    await importMaterial(keyId, material, ...forever)
    await aws("kms", "replicate-key", "--key-id", keyId, "--replica-region", "eu-west-3")
    await importMaterial(keyId, material, ...forever, "--region", "eu-west-3")
    await aws("kms", "update-primary-region", "--key-id", keyId, "--primary-region", "eu-west-3")
    expect(await describeKey(keyId)).to.have.nested.property("MultiRegionConfiguration.PrimaryKey.Region", "eu-west-3")
  })
})
