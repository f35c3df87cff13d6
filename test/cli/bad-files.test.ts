import { createPublicKey, generateKeyPairSync } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { sha256 } from "#src/core/key/wrapping-key.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { createKey, importedKey, makeMaterial, makePkcs8, spkiOf } from "../support/local-kms-fixture.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { refused, type Refusal } from "../support/refusal.js"
import { setStage, type Stage } from "../support/stage.js"
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

const USAGE = { code: "ERR_USAGE", exit: 64 } as const
const TRANSFER = { code: "ERR_TRANSFER_INVALID", exit: 65 } as const
const WRAPPING_KEY = { code: "ERR_WRAPPING_KEY_INVALID", exit: 65 } as const
const EXISTS = { code: "ERR_OUTPUT_EXISTS", exit: 73 } as const
const ALGORITHM = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"] as const

function rsaPublic(modulusLength: number, publicExponent = 65537): Buffer {
  return generateKeyPairSync("rsa", { modulusLength, publicExponent }).publicKey.export({ format: "der", type: "spki" })
}

describe("bad input: files of the three steps", () => {
  let stage: Stage
  let state: string
  let lent: Lent
  before(async () => {
    stage = await setStage()
    state = stage.state()
    await generate(stage, state, "source")
    lent = await lend(stage)
  })
  after(() => stage[Symbol.asyncDispose]())

  const parametersFile = (more: object = {}): string => writeFile(stage, "p.json", awsJson(lent, more))
  const withKey = (publicKey: Uint8Array): readonly string[] => [
    ...loosePaths(stage, { ...lent, publicKey }),
    ...["--key-id", lent.keyId, ...ALGORITHM],
  ]

  describe("wrap", () => {
    type Row = readonly [what: string, words: () => readonly string[], refusal: Refusal]
    const rows: readonly Row[] = [
      ["no parameters", () => [], USAGE],
      ["parameters in two forms", () => ["--parameters", parametersFile(), ...loosePaths(stage, lent)], USAGE],
      ["a public key without import token", () => loosePaths(stage, lent).slice(0, 2), USAGE],
      ["an import token without public key", () => loosePaths(stage, lent).slice(2), USAGE],
      ["no wrapping algorithm", () => ["--parameters", parametersFile()], { ...USAGE, tells: /--wrapping-algorithm/ }],
      [
        "loose files without --key-id",
        () => [...loosePaths(stage, lent), ...ALGORITHM],
        { ...USAGE, tells: /--key-id/ },
      ],
      [
        "another algorithm than the parameters are for",
        () => ["--parameters", parametersFile({ WrappingAlgorithm: "RSAES_OAEP_SHA_256" }), ...ALGORITHM],
        { ...USAGE, tells: /contradicts/ },
      ],
      [
        "another KMS key than the parameters are for",
        () => ["--parameters", parametersFile(), ...ALGORITHM, "--key-id", "11111111-2222-3333-4444-555555555555"],
        { ...TRANSFER, tells: /are for/ },
      ],
      [
        "parameters of another key spec than the source key's",
        () => ["--parameters", parametersFile({ KeySpec: "HMAC_256" }), ...ALGORITHM],
        { code: "ERR_KMS_KEY_MISMATCH", exit: 65, tells: /HMAC_256.*SYMMETRIC_DEFAULT/ },
      ],
      [
        "a key ID that a shell would take for commands",
        () => [...loosePaths(stage, lent), ...ALGORITHM, "--key-id", `arn:aws:kms:;touch\${IFS}x;:111122223333:key/1`],
        { ...USAGE, tells: /neither the ID nor the ARN/ },
      ],
      [
        "another fingerprint than the one expected",
        () => ["--parameters", parametersFile(), ...ALGORITHM, "--expect-fingerprint", `sha256:${"0".repeat(64)}`],
        { code: "ERR_FINGERPRINT_MISMATCH", exit: 65 },
      ],
      [
        "a fingerprint that is none",
        () => ["--parameters", parametersFile(), "--expect-fingerprint", "sha1:00"],
        USAGE,
      ],
      [
        "a file that is not there",
        () => ["--parameters", "/nonexistent/p.json"],
        { code: "ERR_INPUT_UNREADABLE", exit: 65 },
      ],
      ["a folder", () => ["--parameters", stage.folder], { code: "ERR_INPUT_UNREADABLE", exit: 65 }],
      ["no JSON", () => ["--parameters", writeFile(stage, "p.json", "hello"), ...ALGORITHM], TRANSFER],
      ["JSON that is no object", () => ["--parameters", writeFile(stage, "p.json", "[]"), ...ALGORITHM], TRANSFER],
      [
        "a public key that is not base64",
        () => ["--parameters", parametersFile({ PublicKey: "%%%" }), ...ALGORITHM],
        { ...TRANSFER, tells: /PublicKey/ },
      ],
      [
        "no import token",
        () => ["--parameters", parametersFile({ ImportToken: undefined }), ...ALGORITHM],
        { ...TRANSFER, tells: /ImportToken/ },
      ],
      [
        "a wrapping key that is an EC key",
        () => withKey(spkiOf(makePkcs8("ECC_NIST_P256"))),
        { ...WRAPPING_KEY, tells: /not rsa/ },
      ],
      ["a wrapping key of 1024 bits", () => withKey(rsaPublic(1024)), { ...WRAPPING_KEY, tells: /1024 bits/ }],
      ["a wrapping key with exponent 3", () => withKey(rsaPublic(2048, 3)), { ...WRAPPING_KEY, tells: /exponent 3/ }],
      [
        "a wrapping key with a byte after its end",
        () => withKey(Buffer.concat([lent.publicKey, Buffer.of(0)])),
        WRAPPING_KEY,
      ],
      ["half a wrapping key", () => withKey(lent.publicKey.subarray(0, 200)), WRAPPING_KEY],
      [
        "a wrapping key as PKCS #1",
        () => {
          const key = createPublicKey({ key: Buffer.from(lent.publicKey), format: "der", type: "spki" })
          return withKey(key.export({ format: "der", type: "pkcs1" }))
        },
        WRAPPING_KEY,
      ],
      [
        "a wrapping key of another size than asked",
        () => [...withKey(rsaPublic(2048)), "--wrapping-key-spec", "RSA_4096"],
        { ...WRAPPING_KEY, tells: /2048 bits, not the 4096/ },
      ],
      [
        "a zip that is none",
        () => ["--console-zip", writeFile(stage, "x.zip", "PK"), "--key-id", lent.keyId, ...ALGORITHM],
        { ...TRANSFER, tells: /no zip/ },
      ],
      [
        "a zip without import token",
        () => [
          "--console-zip",
          zip(stage, { "WrappingPublicKey.bin": lent.publicKey }),
          "--key-id",
          lent.keyId,
          ...ALGORITHM,
        ],
        { ...TRANSFER, tells: /import token/ },
      ],
      [
        "a zip with two wrapping keys",
        () => {
          const { publicKey, importToken } = lent
          const both = { "WrappingPublicKey.bin": publicKey, wrappingKey_1: publicKey, "ImportToken.bin": importToken }
          return ["--console-zip", zip(stage, both), "--key-id", lent.keyId, ...ALGORITHM]
        },
        { ...TRANSFER, tells: /wrapping public key/ },
      ],
    ]
    inParallel(rows, {
      width: 1,
      name: ([what]) => what,
      lane: sharedLane,
      run: async ([, words, refusal]) => {
        const out = freshPath(stage, "e.bin")
        await refused(stage, ["wrap", "--name", "source", ...words(), "--out", out], refusal, { state })
        expect([existsSync(out), existsSync(`${out}.json`)]).to.deep.equal([false, false])
      },
    })

    it("a name that no source key has", async () => {
      const args = ["wrap", "--name", "nobody", "--parameters", parametersFile(), ...ALGORITHM]
      const refusal = { code: "ERR_KEY_NOT_FOUND", exit: 65, tells: /nobody/ } as const
      await refused(stage, [...args, "--out", freshPath(stage, "e.bin")], refusal, { state })
    })

    for (const ending of ["", ".json"]) {
      it(`an output that is there${ending === "" ? "" : ", beside it"}`, async () => {
        const out = freshPath(stage, "e.bin")
        writeFileSync(`${out}${ending}`, "mine")
        const args = ["wrap", "--name", "source", "--parameters", parametersFile(), ...ALGORITHM, "--out", out]
        await refused(stage, args, EXISTS, { state })
        expect(readFileSync(`${out}${ending}`, "utf8")).to.equal("mine")
      })
    }
  })

  describe("params", () => {
    it("an output that is there, before anything is spent", async () => {
      const out = writeFile(stage, "p.json", "mine")
      await refused(stage, ["params", "--key-id", lent.keyId, "--out", out], EXISTS, { state })
      await refused(stage, ["params", "--name", "new", "--key-spec", "HMAC_256", "--out", out], EXISTS, { state })
    })

    it("an output in a folder that is not there", async () => {
      const out = join(stage.folder, "no", "such", "p.json")
      const refusal = { code: "ERR_OUTPUT_WRITE", exit: 74 } as const
      await refused(stage, ["params", "--name", "new", "--key-spec", "HMAC_256", "--out", out], refusal, { state })
    })

    it("neither a KMS key nor what to make", async () => {
      await refused(stage, ["params", "--out", freshPath(stage, "p.json")], USAGE, { state })
    })

    it("a wrapping key from KMS that has another size than asked: nothing is written", async () => {
      const out = freshPath(stage, "p.json")
      await refused(stage, ["params", "--key-id", lent.keyId, "--wrapping-key-spec", "RSA_1024", "--out", out], USAGE, {
        state,
      })
      expect(existsSync(out)).to.equal(false)
    })
  })

  describe("import", () => {
    interface Wrapped {
      readonly name: string
      readonly parameters: string
      readonly ciphertext: string
      readonly keyId: string
    }
    let count = 0

    /** A source key that was wrapped for a KMS key of its own. */
    async function wrapped(keySpec: "SYMMETRIC_DEFAULT" | "HMAC_256" | "ECC_NIST_P384" = "HMAC_256"): Promise<Wrapped> {
      count += 1
      const name = `wrapped-${count}`
      const [parameters, ciphertext] = [freshPath(stage, "p.json"), freshPath(stage, "e.bin")]
      await generate(stage, state, name, keySpec)
      const keyId = await createKey(stage.sdk, keySpec, keySpec === "ECC_NIST_P384" ? "SIGN_VERIFY" : undefined)
      for (const args of [
        ["params", "--key-id", keyId, "--out", parameters],
        ["wrap", "--name", name, "--parameters", parameters, "--out", ciphertext],
      ]) {
        const { status, stderr } = await stage.run(args, { state })
        expect(status, stderr).to.equal(0)
      }
      return { name, parameters, ciphertext, keyId }
    }
    const words = ({ name, parameters, ciphertext }: Wrapped, ...more: readonly string[]): readonly string[] => [
      ...["import", "--name", name, "--parameters", parameters, "--wrapped", ciphertext],
      ...more,
    ]
    const bytesOf = (path: string): Uint8Array => Uint8Array.from(readFileSync(path))
    const flipped = (path: string): string => {
      const bytes = bytesOf(path)
      bytes[100]! ^= 1
      return writeFile(stage, "flipped.bin", bytes)
    }

    it("what does not belong together, or is damaged, is refused before KMS is asked", async () => {
      const one = await wrapped()
      const other = await wrapped()
      const bundle = ["--bundle", `${one.ciphertext}.json`]
      const cases: readonly (readonly [args: readonly string[], refusal: Refusal])[] = [
        [
          words({ ...one, ciphertext: flipped(one.ciphertext) }, ...bundle),
          { ...TRANSFER, tells: /encryptedKeyMaterialDigest/ },
        ],
        [
          words({ ...one, ciphertext: writeFile(stage, "short.bin", bytesOf(one.ciphertext).subarray(1)) }),
          { ...TRANSFER, tells: /511 bytes/ },
        ],
        [words({ ...one, name: other.name }), { ...TRANSFER, tells: /bundle is of/ }],
        [
          words({ ...one, parameters: other.parameters }),
          { ...TRANSFER, tells: /another wrapping key|another import token/ },
        ],
        [words(one, "--key-id", other.keyId), { ...TRANSFER, tells: /parameters are for/ }],
        [words({ ...one, ciphertext: "/nonexistent" }), { code: "ERR_INPUT_UNREADABLE", exit: 65 }],
        [words(one, "--bundle", writeFile(stage, "b.json", "{}")), { ...TRANSFER, tells: /version/ }],
        [words(one, "--expires-in", "366d"), { code: "ERR_EXPIRY_INVALID", exit: 64 }],
        [words(one).slice(0, 5), { ...USAGE, tells: /--wrapped/ }],
      ]
      for (const [args, refusal] of cases) await refused(stage, args, refusal, { state })
    })

    /** Refused by KMS, which the error says; the same step with the right files then succeeds. */
    async function refusedByKms(args: readonly string[], { code, exit, tells }: Refusal): Promise<void> {
      const result = await stage.run([...args, "--json"], { state })
      const error = result.error()
      expect(error.code, error.message).to.equal(code)
      expect(result.status).to.equal(exit)
      expect(result.stdout).to.equal("")
      expect(error.message).to.include("ImportKeyMaterial")
      if (tells !== undefined) expect(JSON.stringify(error)).to.match(tells)
    }
    async function succeeds(args: readonly string[]): Promise<void> {
      const result = await stage.run([...args, "--json"], { state })
      expect(result.status, result.stderr).to.equal(0)
      expect((result.json() as { proof: object }).proof).to.deep.equal({ kind: "mac", result: "proven" })
    }

    it("an import without a bundle or a token leaves a state that every command can read", async () => {
      const one = await wrapped("SYMMETRIC_DEFAULT")
      rmSync(`${one.ciphertext}.json`)
      const own = stage.state()
      const env = { KEYFERRY_TOKEN: undefined }
      const imported = await stage.run([...words(one), "--json"], { state: own, env })
      expect(imported.status, imported.stderr).to.equal(0)
      const status = await stage.run(["status", "--json"], { state: own, env })
      expect(status.status, status.stderr).to.equal(0)
      expect((status.json() as { keys: { name: string }[] }).keys.map(({ name }) => name)).to.deep.equal([one.name])
    })

    it("damaged ciphertext without its bundle", async () => {
      const one = await wrapped()
      const args = words({ ...one, ciphertext: flipped(one.ciphertext) })
      await refusedByKms(args, { code: "ERR_KMS_CIPHERTEXT", exit: 65, tells: /InvalidCiphertextException/ })
      await succeeds(words(one))
    })

    it("an import token of another KMS key", async () => {
      const [one, other] = [await wrapped(), await wrapped()]
      const { ImportToken } = readJson(other.parameters)
      const mixed = writeFile(stage, "mixed.json", JSON.stringify({ ...readJson(one.parameters), ImportToken }))
      const ciphertext = writeFile(stage, "alone.bin", bytesOf(one.ciphertext))
      const refusal = { code: "ERR_KMS_IMPORT_TOKEN", exit: 65, tells: /belongs to another KMS key/ } as const
      await refusedByKms(words({ ...one, parameters: mixed, ciphertext }), refusal)
      await succeeds(words(one))
    })

    it("a KMS key that is bound to other material", async () => {
      const KeyId = await importedKey(stage.sdk, "SYMMETRIC_DEFAULT", makeMaterial("SYMMETRIC_DEFAULT"))
      const [parameters, ciphertext] = [freshPath(stage, "p.json"), freshPath(stage, "e.bin")]
      await stage.run(["params", "--key-id", KeyId, "--out", parameters], { state })
      await stage.run(["wrap", "--name", "source", "--parameters", parameters, "--out", ciphertext], { state })
      const refusal = { code: "ERR_KMS_KEY_MATERIAL", exit: 65, tells: /IncorrectKeyMaterialException/ } as const
      await refusedByKms(words({ name: "source", parameters, ciphertext, keyId: KeyId }), refusal)
    })

    it("a bundle whose public key is not the one that KMS has: the proof fails, and that is kept", async () => {
      const one = await wrapped("ECC_NIST_P384")
      const publicKey = spkiOf(makePkcs8("ECC_NIST_P384"))
      const written = readJson(`${one.ciphertext}.json`) as { readonly sourceKey: object }
      const foreign = {
        ...written,
        proof: { publicKey: publicKey.toString("base64") },
        sourceKey: { ...written.sourceKey, publicKeyFingerprint: sha256(publicKey) },
      }
      const bundle = writeFile(stage, "b.json", JSON.stringify(foreign))
      const result = await stage.run([...words(one, "--bundle", bundle), "--json"], { state })
      expect(result.error().code).to.equal("ERR_PROOF_FAILED")
      expect(result.status).to.equal(76)
      expect(result.error().key).to.include(one.keyId)
      const entry = readJson(join(state, "inventory", "us-east-1", `${one.name}.json`)) as unknown as InventoryEntry
      expect(entry.imports.at(-1)?.proof).to.deep.equal({ kind: "public-key", result: "failed" })
      const listed = await stage.run(["key", "list"], { state })
      expect(listed.stdout).to.match(/the proof failed: do not use this KMS key/)
    })

    it("parameters that are older than a day by KMS' time: nothing is sent", async () => {
      const one = await wrapped()
      await stage.kms.clock.advance(25 * 3600)
      const before = await stage.footprint(state)
      const result = await stage.run([...words(one), "--json"], { state })
      expect(result.error().code).to.equal("ERR_IMPORT_TOKEN_EXPIRED")
      expect(result.status).to.equal(75)
      expect(await stage.footprint(state)).to.deep.equal(before)
    })
  })
})
