import { execFile } from "node:child_process"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { createKey } from "../support/local-kms-fixture.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"
import {
  awsJson,
  freshPath,
  generate,
  lend,
  type Lent,
  loosePaths,
  readJson,
  writeFile,
  zip,
} from "../support/three-steps-stage.js"

const run = promisify(execFile)
/** The `aws` that PATH finds first may be a version manager's shim. */
const AWS = process.env["KEYFERRY_TEST_AWS"] ?? "/usr/bin/aws"

describe("the three steps: params, wrap, import", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
    await generate(stage, state, "shared")
  })
  after(() => stage[Symbol.asyncDispose]())

  async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
    const result = await stage.run([...args, "--json"], { state })
    expect(result.status, result.stderr).to.equal(0)
    return result.json() as Record<string, unknown>
  }
  const describeKey = async (KeyId: string) => (await stage.sdk.describeKey({ KeyId })).KeyMetadata!

  describe("with keyferry's own files", () => {
    const kinds: readonly (readonly [KeySpec, KeyResult["proof"], usage: readonly string[]])[] = [
      ["SYMMETRIC_DEFAULT", { kind: "none", result: "accepted" }, []],
      ["HMAC_512", { kind: "mac", result: "proven" }, []],
      ["ECC_NIST_P384", { kind: "public-key", result: "proven" }, ["--key-usage", "SIGN_VERIFY"]],
    ]
    for (const [keySpec, proof, usage] of kinds) {
      it(`carry ${keySpec} to a KMS key that params makes`, async () => {
        const name = `own-${keySpec.toLowerCase().replaceAll("_", "-")}`
        const [parameters, wrapped] = [freshPath(stage, "params.json"), freshPath(stage, "EncryptedKeyMaterial.bin")]
        await generate(stage, state, name, keySpec)
        const made = await json("params", "--name", name, "--key-spec", keySpec, ...usage, "--out", parameters)
        const expected = String(made["wrappingKeyFingerprint"])
        const from = ["--name", name, "--parameters", parameters]
        const wrap = await json("wrap", ...from, "--expect-fingerprint", expected, "--out", wrapped)
        const imported = await json("import", ...from, "--wrapped", wrapped, "--expires-in", "30d")

        expect(imported).to.include({ outcome: "done", name, keySpec, keyArn: made["keyArn"], custody: "token" })
        expect(imported["proof"]).to.deep.equal(proof)
        expect(imported["wrapPath"]).to.equal(wrap["wrapPath"])
        for (const file of [parameters, wrapped, `${wrapped}.json`]) {
          expect(statSync(file).mode & 0o777, file).to.equal(0o600)
        }
        const key = await describeKey(String(made["keyArn"]))
        expect(key.KeyState).to.equal("Enabled")
        expect(key.ValidTo?.toISOString().replace(".000", "")).to.equal(imported["validTo"])
        const shown = await json("key", "show", "--name", name)
        expect((shown["kms"] as { status: string }[]).map(({ status }) => status)).to.deep.equal(["imported"])
        expect(shown["id"]).to.equal((imported["sourceKey"] as { id: string }).id)
      })
    }

    it("know a key that is to be locked: imported for ever or not at all, then locked", async () => {
      const [parameters, wrapped] = [freshPath(stage, "p.json"), freshPath(stage, "e.bin")]
      const generated = ["--name", "door", "--key-spec", "HMAC_256", "--custody", "locked", "--accept-no-reimport"]
      expect(await json("key", "generate", ...generated)).to.include({ custody: "locked" })
      expect(await json("key", "show", "--name", "door")).to.include({ custody: "locked" })
      const KeyId = await createKey(stage.sdk, "HMAC_256")
      const algorithm = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
      await json("params", "--key-id", KeyId, ...algorithm, "--out", parameters)
      const wrap = await json("wrap", "--name", "door", "--parameters", parameters, "--out", wrapped)
      expect((wrap["sourceKey"] as { custody: string }).custody).to.equal("locked")
      // the online host knows it by the bundle alone
      const args = ["import", "--name", "door", "--parameters", parameters, "--wrapped", wrapped, "--json"]
      const expiring = await stage.run([...args, "--expires-in", "30d"], { state: stage.state() })
      expect([expiring.status, expiring.error().code]).to.deep.equal([78, "ERR_NOT_ACKNOWLEDGED"])
      expect((await describeKey(KeyId)).KeyState).to.equal("PendingImport")
      expect((await stage.sdk.listResourceTags({ KeyId })).Tags).to.deep.equal([])
      const imported = await stage.run([...args, "--expires-in", "never"], { state })
      expect(imported.status, imported.stderr).to.equal(0)
      expect(imported.json()).to.include({ custody: "locked", validTo: null })
      expect(await json("key", "lock", "--name", "door")).to.nested.include({
        outcome: "done",
        "key.custody": "locked",
        "key.attributes.extractable": false,
      })
    })

    it("say in words of a shell what comes next at the token, and that gets to the wrapped key", async () => {
      for (const custody of ["token", "sealed"]) {
        const name = `next-${custody}`
        const [parameters, wrapped] = [freshPath(stage, "params.json"), freshPath(stage, "EncryptedKeyMaterial.bin")]
        const args = ["params", "--name", name, "--key-spec", "HMAC_256", "--out", parameters]
        const more = custody === "token" ? [] : ["--custody", custody]
        const { stdout, stderr } = await stage.run([...args, ...more], { state, env: { COLUMNS: "80" } })
        const commands = stdout.replaceAll(/ \\\n +/g, " ").matchAll(/^ {2}keyferry (.*)$/gm)
        const [generating, wrapping, ...others] = [...commands].map(([, words = ""]) => words.split(" "))
        expect(others, stdout + stderr).to.deep.equal([])
        expect(generating?.slice(-2)).to.deep.equal(["--custody", custody])
        const generated = await stage.run(generating ?? [], { state })
        expect(generated.status, generated.stderr).to.equal(0)
        const into = (wrapping ?? []).map((word) => (word === "EncryptedKeyMaterial.bin" ? wrapped : word))
        const ended = await stage.run(into, { state })
        expect(ended.status, ended.stderr).to.equal(0)
      }
    })

    it("make one KMS key, however often params is asked", async () => {
      const args = ["params", "--name", "again", "--key-spec", "HMAC_256", "--out"]
      const [first, second] = [freshPath(stage, "p.json"), freshPath(stage, "p.json")]
      expect((await json(...args, first))["keyArn"]).to.equal((await json(...args, second))["keyArn"])
    })

    it("take a KMS key by its alias from the first step on", async () => {
      const TargetKeyId = await createKey(stage.sdk)
      await stage.sdk.createAlias({ AliasName: "alias/three", TargetKeyId })
      const [parameters, wrapped] = [freshPath(stage, "p.json"), freshPath(stage, "e.bin")]
      await generate(stage, state, "by-alias")
      await json("params", "--key-id", "alias/three", "--out", parameters)
      await json("wrap", "--name", "by-alias", "--parameters", parameters, "--out", wrapped)
      const from = ["--parameters", parameters, "--wrapped", wrapped]
      const imported = await json("import", "--name", "by-alias", "--key-id", "alias/three", ...from)
      expect(imported["keyArn"]).to.equal(TargetKeyId)
    })

    it("work on an online host that has no token and no state of the other", async () => {
      const [parameters, wrapped] = [freshPath(stage, "p.json"), freshPath(stage, "e.bin")]
      await generate(stage, state, "split", "HMAC_256")
      const env = { KEYFERRY_TOKEN: "" }
      const online = stage.state()
      const KeyId = await createKey(stage.sdk, "HMAC_256")
      const algorithm = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
      const lent = await stage.run(["params", "--key-id", KeyId, ...algorithm, "--out", parameters], {
        state: online,
        env,
      })
      expect(lent.status, lent.stderr).to.equal(0)
      const offline = { AWS_ENDPOINT_URL: "http://127.0.0.1:9", AWS_ACCESS_KEY_ID: "", AWS_REGION: "" }
      const args = ["wrap", "--name", "split", "--parameters", parameters, "--out", wrapped]
      expect((await stage.run(args, { state, env: offline })).status).to.equal(0)
      const last = ["import", "--name", "split", "--parameters", parameters, "--wrapped", wrapped, "--json"]
      const imported = (await stage.run(last, { state: online, env })).json() as KeyResult
      expect(imported.proof).to.deep.equal({ kind: "mac", result: "proven" })
      expect(imported.token?.serial).to.match(/^[0-9a-f]{16}$/)
    })
  })

  describe("with what AWS gives, the last step by the printed command", () => {
    /** Runs what was printed as it stands. Debian's CLI is too old for AWS_ENDPOINT_URL, so a function adds the option. */
    async function asPrinted(command: string): Promise<void> {
      const env = { ...stage.env, PATH: `${dirname(AWS)}:${process.env["PATH"] ?? ""}` }
      const endpoint = `aws() { command aws --endpoint-url ${stage.kms.endpoint} "$@"; }`
      await run("bash", ["--norc", "-eo", "pipefail", "-c", `${endpoint}\n${command}`], { env })
    }

    const forms: readonly (readonly [
      what: string,
      words: (lent: Lent) => Promise<readonly string[]> | readonly string[],
    ])[] = [
      [
        "the JSON of the AWS CLI",
        async ({ keyId }) => {
          const asked = [
            "--key-id",
            keyId,
            "--wrapping-algorithm",
            "RSAES_OAEP_SHA_1",
            "--wrapping-key-spec",
            "RSA_4096",
          ]
          const { stdout } = await run(
            AWS,
            ["--endpoint-url", stage.kms.endpoint, "kms", "get-parameters-for-import", ...asked],
            {
              env: stage.env,
            },
          )
          return ["--parameters", writeFile(stage, "it's from aws.json", stdout)]
        },
      ],
      [
        "JSON on one line",
        (lent) => ["--parameters", writeFile(stage, "p.json", JSON.stringify(JSON.parse(awsJson(lent))))],
      ],
      ["loose files", (lent) => loosePaths(stage, lent)],
      [
        "the console's zip",
        ({ publicKey, importToken }) => [
          "--console-zip",
          zip(stage, {
            "WrappingPublicKey.bin": publicKey,
            "ImportToken.bin": importToken,
            "README.txt": Buffer.from("how to import"),
          }),
        ],
      ],
      [
        "the console's zip with its later names",
        ({ keyId, publicKey, importToken }) => {
          const id = keyId.split("/").at(-1) ?? ""
          return ["--console-zip", zip(stage, { [`wrappingKey_${id}`]: publicKey, [`importToken_${id}`]: importToken })]
        },
      ],
    ]
    for (const [what, words] of forms) {
      it(what, async () => {
        const lent = await lend(stage)
        const out = freshPath(stage, "EncryptedKeyMaterial.bin")
        const given = [...(await words(lent)), "--wrapping-algorithm", "RSAES_OAEP_SHA_1", "--key-id", lent.keyId]
        const args = ["wrap", "--name", "shared", ...given, "--expires-in", "30d", "--out", out]
        const result = await stage.run(args, { state })
        expect(result.status, result.stderr).to.equal(0)
        const command = result.stdout.slice(result.stdout.indexOf("aws kms import-key-material"))
        const token = Buffer.from(lent.importToken).toString("base64")
        expect(result.stdout + result.stderr).to.not.include(token)
        await asPrinted(command)
        const key = await describeKey(lent.keyId)
        expect(key.KeyState).to.equal("Enabled")
        const days = ((key.ValidTo?.getTime() ?? 0) - Date.now()) / 86_400_000
        expect(days).to.be.within(29.9, 30.1)
      })
    }

    it("without --expires-in the command shows where the time goes; never is exact", async () => {
      const lent = await lend(stage)
      const given = [...loosePaths(stage, lent), "--wrapping-algorithm", "RSAES_OAEP_SHA_1", "--key-id", lent.keyId]
      const open = await json("wrap", "--name", "shared", ...given, "--out", freshPath(stage, "e.bin"))
      expect(open["awsCommand"]).to.match(/--valid-to TIME$/)
      const never = await json(
        "wrap",
        "--name",
        "shared",
        ...given,
        "--expires-in",
        "never",
        "--out",
        freshPath(stage, "e.bin"),
      )
      await asPrinted(String(never["awsCommand"]))
      expect((await describeKey(lent.keyId)).ExpirationModel).to.equal("KEY_MATERIAL_DOES_NOT_EXPIRE")
    })

    it("loose files in base64 are taken too, and keyferry does the last step", async () => {
      const lent = await lend(stage)
      const text = (bytes: Uint8Array): Buffer => Buffer.from(`${Buffer.from(bytes).toString("base64")}\n`)
      const files = loosePaths(stage, { ...lent, publicKey: text(lent.publicKey), importToken: text(lent.importToken) })
      const [out, algorithm] = [freshPath(stage, "e.bin"), ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]]
      const given = ["--name", "loose", ...files, "--key-id", lent.keyId]
      await generate(stage, state, "loose")
      await json("wrap", ...given, ...algorithm, "--out", out)
      const imported = await json("import", ...given, "--wrapped", out)
      expect(imported).to.include({ outcome: "done", keyArn: lent.keyId, wrappingAlgorithm: "RSAES_OAEP_SHA_1" })
    })

    it("without the bundle the token proves it, and with neither that is said", async () => {
      const lent = await lend(stage, "HMAC_256")
      await generate(stage, state, "bare", "HMAC_256")
      const parameters = writeFile(stage, "p.json", awsJson(lent))
      const wrapped = freshPath(stage, "e.bin")
      const given = ["--name", "bare", "--parameters", parameters, "--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
      await json("wrap", ...given, "--out", wrapped)
      const alone = freshPath(stage, "alone.bin")
      writeFileSync(alone, readFileSync(wrapped))
      const online = stage.state()
      const without = await stage.run(["import", ...given, "--wrapped", alone, "--json"], {
        state: online,
        env: { KEYFERRY_TOKEN: "" },
      })
      expect((without.json() as KeyResult).proof).to.deep.equal({ kind: "none", result: "accepted" })
      expect(without.stderr).to.match(/warning: no bundle and no token/)
      const withToken = await json("import", ...given, "--wrapped", alone)
      expect(withToken["proof"]).to.deep.equal({ kind: "mac", result: "proven" })
    })
  })

  it("leave no import token and no PIN in outputs or state", async () => {
    const [parameters, wrapped] = [freshPath(stage, "p.json"), freshPath(stage, "e.bin")]
    const own = stage.state()
    await generate(stage, own, "quiet", "HMAC_256")
    const args = [
      ["params", "--name", "quiet", "--key-spec", "HMAC_256", "--out", parameters],
      ["wrap", "--name", "quiet", "--parameters", parameters, "--out", wrapped],
      ["import", "--name", "quiet", "--parameters", parameters, "--wrapped", wrapped],
    ]
    let said = ""
    for (const words of args) {
      const result = await stage.run([...words, "--verbose"], { state: own })
      expect(result.status, result.stderr).to.equal(0)
      said += result.stdout + result.stderr
    }
    const kept = filesUnder(own).map((file) => readFileSync(join(own, file), "utf8"))
    const token = String(readJson(parameters)["ImportToken"])
    const secrets = [stage.token.pin, token, Buffer.from(token, "base64").toString("hex")]
    for (const secret of secrets) {
      expect(said).to.not.include(secret)
      for (const content of [...kept, readFileSync(`${wrapped}.json`, "utf8")]) expect(content).to.not.include(secret)
    }
  })
})
