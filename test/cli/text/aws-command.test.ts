import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { zipSync } from "fflate"
import { awsImportCommand } from "#src/cli/text/aws-command.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const KEY_ARN = "arn:aws:kms:eu-west-3:111122223333:key/11111111-2222-3333-4444-555555555555"
const TOKEN = Buffer.from("the import token")

/** An `aws` that writes down its arguments, and what the files hold that they name. */
const FAKE_AWS = `#!/bin/sh
for word; do
  case $word in
    fileb:///dev/fd/*) printf 'file:'; cat "\${word#fileb://}"; printf '\\0' ;;
    *) printf '%s\\0' "$word" ;;
  esac
done > "$SEEN"
`

describe("awsImportCommand", () => {
  const folder = temporaryFolder()
  beforeEach(() => {
    mkdirSync(join(folder(), "bin"))
    writeFileSync(join(folder(), "bin", "aws"), FAKE_AWS)
    chmodSync(join(folder(), "bin", "aws"), 0o755)
  })
  /** What `aws` gets of a command that is typed into bash as it was printed. */
  const typed = (command: string): readonly string[] => {
    const env = { PATH: `${join(folder(), "bin")}:${process.env["PATH"] ?? ""}`, SEEN: join(folder(), "seen") }
    const { status, stderr } = spawnSync("bash", ["-c", command], { cwd: folder(), env, encoding: "utf8" })
    expect(status, stderr).to.equal(0)
    return readFileSync(join(folder(), "seen"), "utf8").split("\0").slice(0, -1)
  }
  const after = (words: readonly string[], option: string): string | undefined => words[words.indexOf(option) + 1]

  const names = [
    ";touch${IFS}x;.bin",
    "$(touch x)",
    "a 'b' \"c\".bin",
    "-o.bin",
    "first\nsecond",
    "[a]*?.bin",
    "back\\slash",
    "`touch x`",
  ]
  for (const name of names) {
    it(`is taken by a shell as it is meant: ${JSON.stringify(name)}`, () => {
      writeFileSync(join(folder(), name), JSON.stringify({ ImportToken: TOKEN.toString("base64") }))
      const zipName = `${name}.zip`
      writeFileSync(join(folder(), zipName), zipSync({ "importToken_1.bin": TOKEN }))
      const before = readdirSync(folder())
      const terms = { keyId: KEY_ARN, ciphertext: name, validTo: null }
      for (const [parameterFiles, token] of [
        [{ parameters: name }, `file:${TOKEN.toString()}`],
        [{ consoleZip: zipName }, `file:${TOKEN.toString()}`],
        [{ importToken: name }, `fileb://${name}`],
      ] as const) {
        const words = typed(awsImportCommand({ ...terms, parameterFiles }))
        expect(after(words, "--import-token"), JSON.stringify(parameterFiles)).to.equal(token)
        expect(after(words, "--encrypted-key-material")).to.equal(`fileb://${name}`)
        expect(after(words, "--key-id")).to.equal(KEY_ARN)
        expect(after(words, "--region")).to.equal("eu-west-3")
      }
      expect(readdirSync(folder()).filter((file) => file !== "seen")).to.deep.equal(before)
    })
  }

  for (const keyId of [`arn:aws:kms:;touch\${IFS}x;:111122223333:key/1`, ";touch${IFS}x;", "x\ntouch x", "'"]) {
    it(`gives a key ID of no KMS key as one word: ${JSON.stringify(keyId)}`, () => {
      const command = awsImportCommand({ keyId, ciphertext: "e", parameterFiles: { importToken: "t" }, validTo: null })
      expect(after(typed(command), "--key-id")).to.equal(keyId)
      expect(readdirSync(folder()).sort()).to.deep.equal(["bin", "seen"])
    })
  }
})
