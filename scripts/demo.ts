/** The main job, shown: every importable key spec, on the first of two tokens that carries it, used and proven. */
import { createPublicKey, randomBytes, verify } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  DecryptCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  type KMSClient,
  SignCommand,
  type SigningAlgorithmSpec,
  VerifyMacCommand,
} from "@aws-sdk/client-kms"
import type { KeyResult } from "#src/core/records/key-result.js"
import { isAsymmetric, KEY_SPEC_NAMES, KEY_SPECS, type KeySpec } from "#src/core/key/key-spec.js"
import { PLAIN } from "#src/cli/text/layout.js"
import { table } from "#src/cli/text/table.js"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { kmsClient, startLocalKms } from "#test/support/local-kms.js"
import { nssToken, softhsmToken, type TestToken } from "#test/support/tokens.js"

const SIGNING: Readonly<Record<"rsa" | "ec", readonly [SigningAlgorithmSpec, string]>> = {
  rsa: ["RSASSA_PKCS1_V1_5_SHA_256", "sha256"],
  ec: ["ECDSA_SHA_256", "sha256"],
}
const CURVE_SIGNING: Readonly<Record<string, readonly [SigningAlgorithmSpec, string]>> = {
  ECC_NIST_P384: ["ECDSA_SHA_384", "sha384"],
  ECC_NIST_P521: ["ECDSA_SHA_512", "sha512"],
}

/** Uses the key in KMS, and says what was done; throws if the result is not right. */
async function use(client: KMSClient, keySpec: KeySpec, keyId: string): Promise<string> {
  const message = randomBytes(64)
  const { family, mac } = KEY_SPECS[keySpec]
  if (family === "aes") {
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: keyId, Plaintext: message }))
    const { Plaintext } = await client.send(new DecryptCommand({ KeyId: keyId, CiphertextBlob }))
    must(message.equals(Plaintext ?? Buffer.alloc(0)), "KMS decrypts what it encrypted")
    return "encrypt, decrypt"
  }
  if (mac !== undefined) {
    const { Mac } = await client.send(
      new GenerateMacCommand({ KeyId: keyId, Message: message, MacAlgorithm: mac.algorithm }),
    )
    const { MacValid } = await client.send(
      new VerifyMacCommand({ KeyId: keyId, Message: message, Mac, MacAlgorithm: mac.algorithm }),
    )
    must(MacValid === true, "KMS verifies its MAC")
    return "generate MAC, verify MAC"
  }
  const [algorithm, hash] = CURVE_SIGNING[keySpec] ?? SIGNING[family === "rsa" ? "rsa" : "ec"]
  const { Signature } = await client.send(
    new SignCommand({ KeyId: keyId, Message: message, SigningAlgorithm: algorithm }),
  )
  const { PublicKey } = await client.send(new GetPublicKeyCommand({ KeyId: keyId }))
  const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: "der", type: "spki" })
  must(verify(hash, message, key, Signature ?? Buffer.alloc(0)), "the signature of KMS verifies")
  return "sign, verify outside"
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`)
}

const say = (text: string): void => console.error(`demo: ${text}`)

async function provision(keySpec: KeySpec, token: TestToken, env: Record<string, string>): Promise<CliResult> {
  const usage = isAsymmetric(keySpec) ? ["--key-usage", "SIGN_VERIFY"] : []
  const name = `demo-${keySpec.toLowerCase().replaceAll("_", "-")}`
  const args = [
    "provision",
    "--name",
    name,
    "--key-spec",
    keySpec,
    ...usage,
    "--custody",
    "token",
    "--prove",
    "full",
    "--alias",
    `alias/${name}`,
  ]
  return await keyferry([...args, "--json"], { env: { ...env, ...token.env, KEYFERRY_TOKEN: token.uri } })
}

const state = mkdtempSync(join(tmpdir(), "keyferry-demo-"))
const tokens = { SoftHSM: softhsmToken("demo"), "NSS softokn": nssToken() }
const kms = await startLocalKms()
const client = kmsClient(kms)
const rows: (string | null)[][] = []
const refused: string[] = []
try {
  say(`the local KMS plays AWS: ${kms.endpoint}`)
  for (const keySpec of KEY_SPEC_NAMES) {
    for (const [tokenName, token] of Object.entries(tokens)) {
      say(`${keySpec} on ${tokenName}`)
      const run = await provision(keySpec, token, { ...kms.env, KEYFERRY_STATE_DIR: join(state, token.label) })
      if (run.status !== 0) {
        const { message, causes } = run.error()
        refused.push(
          `${keySpec} on ${tokenName}: ${message}${causes.map((cause) => `\n    ${cause.code}: ${cause.message}`).join("")}`,
        )
        continue
      }
      const { keyArn, wrappingAlgorithm, wrapPath, proof } = run.json() as KeyResult
      rows.push([
        keySpec,
        tokenName,
        wrappingAlgorithm,
        wrapPath,
        await use(client, keySpec, keyArn),
        `${proof.kind} ${proof.result}`,
      ])
      break
    }
  }
} finally {
  await kms.stop()
  for (const token of Object.values(tokens)) token.remove()
  rmSync(state, { recursive: true, force: true })
}

console.log("\nWhat a token cannot carry cleanly is refused, with the reason:")
for (const line of refused) console.log(`  ${line}`)
console.log("\nImported, used in KMS, and proven to be the same key:\n")
console.log(table(["KEY SPEC", "TOKEN", "ALGORITHM", "PATH", "USED IN KMS", "PROOF"], rows, PLAIN))

const missing = KEY_SPEC_NAMES.filter((keySpec) => !rows.some(([name]) => name === keySpec))
// neither token generates Ed25519
const expected = ["ECC_NIST_EDWARDS25519"]
must(
  missing.every((keySpec) => expected.includes(keySpec)),
  `every key spec but ${expected.join()} is carried; missing: ${missing.join()}`,
)
must(
  rows.every(([, , , , , proof]) => proof?.endsWith(" proven") === true),
  "every key is proven",
)
