import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { MAIN } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"
import { block, expectPromised, ROOT } from "../support/docs-blocks.js"
import { freePort } from "../support/free-port.js"
import { PAGED, strangerShell } from "../support/stranger-shell.js"

const WIDE = 400
const PORT = "4598"
const BY_HAND = fileURLToPath(new URL("../support/wrap-by-hand.js", import.meta.url))
const LEAD = `
alias keyferry="${process.execPath} ${MAIN}"
# older AWS CLIs, such as Debian 12's, do not read AWS_ENDPOINT_URL
alias aws='aws --endpoint-url "$AWS_ENDPOINT_URL"'
encrypt() { aws kms encrypt --key-id "$1" --plaintext fileb://plain --query CiphertextBlob --output text | base64 -d >"$2"; }
printf hello >plain
`
/** What was done years ago with the key of the HSM: made there, wrapped there, and sent by the AWS CLI. */
const CARRIED_BY_HAND = `
tool() { pkcs11-tool --module "$MODULE" --token-label keyferry --login --pin env:PIN "$@" >/dev/null 2>&1; }
tool --keygen --key-type AES:32 --label 'aws key 2023' --id 0a1b --sensitive --extractable
HAND=$(aws kms create-key --origin EXTERNAL --query KeyMetadata.KeyId --output text)
aws kms create-alias --alias-name alias/ledger --target-key-id "$HAND"
aws kms get-parameters-for-import --key-id "$HAND" --wrapping-algorithm RSAES_OAEP_SHA_1 \\
  --wrapping-key-spec RSA_4096 --query '[PublicKey,ImportToken]' --output text >hand.txt
cut -f 1 hand.txt | base64 -d >hand.der
cut -f 2 hand.txt | base64 -d >hand.token
tool --write-object hand.der --type pubkey --id 99 --label wrapping --usage-wrap
${process.execPath} ${BY_HAND} "$MODULE" keyferry "$PIN_FILE" 0a1b 99 hand.bin
aws kms import-key-material --key-id "$HAND" --encrypted-key-material fileb://hand.bin \\
  --import-token fileb://hand.token --expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE
encrypt alias/ledger ledger.bin
`

describe("docs/migrate.md", () => {
  const home = temporaryFolder()
  let kms: LocalKmsProcess
  let token: TestToken
  before(async () => {
    kms = await startLocalKms()
    token = softhsmToken()
  })
  after(async () => {
    token.remove()
    await kms.stop()
  })

  /** One shell through these texts, in their order. */
  const follow = async (...texts: readonly string[]): Promise<void> => {
    const script = texts.join("")
    const { output } = await strangerShell(LEAD + script, {
      home: home(),
      cwd: home(),
      env: {
        AWS_ACCESS_KEY_ID: "AKIALOCALKMSTEST0000",
        AWS_SECRET_ACCESS_KEY: "not-a-secret",
        AWS_REGION: "us-east-1",
        AWS_DEFAULT_REGION: "us-east-1",
        AWS_ENDPOINT_URL: kms.endpoint,
        AWS_PAGER: "",
        ...token.env,
        MODULE: token.module,
        PIN: token.pin,
        PIN_FILE: token.pinFile,
        KEYFERRY_TOKEN: token.uri,
        KEYFERRY_STATE_DIR: `${home()}/state`,
      },
      columns: WIDE,
    })
    expectPromised(script, output)
    expect(output).to.not.include(PAGED)
  }

  it("leads out of a key that the OpenSSL script imported", async () => {
    const pageText = [
      block("migrate: rehearsal"),
      block("migrate: the script"),
      block("migrate: a ciphertext"),
      block("migrate: which keys"),
      block("migrate: new key"),
      block("migrate: alias"),
      block("migrate: again"),
      block("migrate: end of the old key"),
    ].join("")
    expect(pageText).to.include(PORT)
    const script = pageText.replaceAll(PORT, String(await freePort()))
    const env = { TMPDIR: home() }
    const { output } = await strangerShell(`${script}kill %1\n`, { home: home(), cwd: ROOT, env, columns: WIDE })
    expectPromised(script, output)
    expect(output).to.not.include(PAGED)
  })

  it("takes over a key that was carried from the HSM by hand", async () => {
    await follow(CARRIED_BY_HAND, block("migrate: in the token"), block("migrate: adopt"), block("migrate: proof"))
  })
})
