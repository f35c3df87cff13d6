import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { LocalKmsProcess } from "#test/support/local-kms.js"

/** The `aws` that PATH finds first may be a version manager's shim. */
const AWS = process.env["KEYFERRY_TEST_AWS"] ?? "/usr/bin/aws"

/**
 * Imports symmetric keys by the commands of AWS' guide ("Importing key material"): the material lies in a file of this
 * host, and nothing proves or records the import.
 *
 * @returns the seconds that it took
 */
export async function todaysKeys(kms: LocalKmsProcess, cwd: string, keys: number): Promise<number> {
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd, env: kms.env, encoding: "utf8" })
  const aws = (...args: string[]): Record<string, unknown> => {
    const said = run(AWS, "kms", ...args, "--endpoint-url", kms.endpoint, "--output", "json")
    return (said === "" ? {} : JSON.parse(said)) as Record<string, unknown>
  }
  const save = (name: string, base64: unknown): void =>
    writeFileSync(join(cwd, name), Buffer.from(String(base64), "base64"))
  const oaep = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]

  const start = performance.now()
  for (let key = 0; key < keys; key++) {
    run("openssl", "rand", "-out", "PlaintextKeyMaterial.bin", "32")
    const { KeyId: keyId } = aws("create-key", "--origin", "EXTERNAL")["KeyMetadata"] as { KeyId: string }
    const spec = ["--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_4096"]
    const parameters = aws("get-parameters-for-import", "--key-id", keyId, ...spec)
    save("WrappingPublicKey.bin", parameters["PublicKey"])
    save("ImportToken.bin", parameters["ImportToken"])
    const files = ["-in", "PlaintextKeyMaterial.bin", "-out", "EncryptedKeyMaterial.bin"]
    const wrapping = ["-inkey", "WrappingPublicKey.bin", "-keyform", "DER", "-pubin", "-encrypt"]
    run("openssl", "pkeyutl", ...files, ...wrapping, ...oaep.flatMap((option) => ["-pkeyopt", option]))
    const blobs = ["--encrypted-key-material", "fileb://EncryptedKeyMaterial.bin"]
    const token = ["--import-token", "fileb://ImportToken.bin", "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE"]
    aws("import-key-material", "--key-id", keyId, ...blobs, ...token)
  }
  const seconds = (performance.now() - start) / 1000
  const { Keys: listed = [] } = aws("list-keys") as { Keys?: unknown[] }
  if (listed.length < keys || readFileSync(join(cwd, "EncryptedKeyMaterial.bin")).length !== 512) {
    throw new Error("the commands did not import their keys")
  }
  return await Promise.resolve(seconds)
}
