import { createPublicKey, publicEncrypt, randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { openssl, wrapAes, wrapOaep } from "#test/support/openssl.js"
import {
  createKey,
  getParameters,
  importMaterial,
  type Lent,
  makePkcs8,
  refusalOf,
  spkiOf,
  usualAlgorithm,
  wrapWith,
} from "../support/local-kms-fixture.js"

/** Runs `openssl` over a key that is written to `key.der` first. */
function reshape(key: Buffer, ...args: readonly string[]): Buffer {
  using tool = openssl()
  tool.write("key.der", key)
  return tool.run(...args, "-inform", "DER", "-in", "key.der")
}

/** The same for a key that `openssl pkey` writes with other options, as PKCS #8 again. */
function reshapePkcs8(key: Buffer, ...args: readonly string[]): Buffer {
  using tool = openssl()
  tool.write("key.der", key)
  tool.run(...args, "-inform", "DER", "-in", "key.der", "-out", "other.pem")
  return tool.run("pkcs8", "-topk8", "-nocrypt", "-in", "other.pem", "-outform", "DER")
}

const flip = (bytes: Uint8Array, at: number) => Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)))

/** One TLV with a two-byte long-form length where the short form would do: BER, not DER. */
function longForm(der: Buffer): Buffer {
  const header = (der[1] ?? 0) < 0x80 ? 2 : 2 + ((der[1] ?? 0) & 0x7f)
  const body = der.subarray(header)
  return Buffer.concat([Buffer.from([der[0] ?? 0, 0x84]), uint32(body.length), body])
}

/** The same with an indefinite length. */
function indefinite(der: Buffer): Buffer {
  const header = (der[1] ?? 0) < 0x80 ? 2 : 2 + ((der[1] ?? 0) & 0x7f)
  return Buffer.concat([Buffer.from([der[0] ?? 0, 0x80]), der.subarray(header), Buffer.alloc(2)])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Replaces the only occurrence of a byte string; the lengths around it must not change. */
function replaceOnce(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  const at = bytes.indexOf(from)
  expect(at, "the bytes to replace").to.be.at.least(0)
  return Buffer.concat([bytes.subarray(0, at), to, bytes.subarray(at + from.length)])
}

describe("local KMS: strictness", () => {
  let kms: LocalKmsProcess
  let client: KMS
  const keys = {} as Record<
    "RSA_2048" | "RSA_3072" | "ECC_NIST_P256" | "ECC_NIST_P384" | "ECC_NIST_EDWARDS25519",
    Buffer
  >
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
    for (const keySpec of [
      "RSA_2048",
      "RSA_3072",
      "ECC_NIST_P256",
      "ECC_NIST_P384",
      "ECC_NIST_EDWARDS25519",
    ] as const) {
      keys[keySpec] = makePkcs8(keySpec)
    }
  })
  after(() => kms.stop())

  const INVALID = { name: "InvalidCiphertextException", message: "" }
  const NONE = { name: "", message: "not refused" }

  describe("the plaintext", () => {
    const p256 = () => keys.ECC_NIST_P256
    const rsa = () => keys.RSA_2048
    const edwards = () => keys.ECC_NIST_EDWARDS25519
    const publicPoint = (pkcs8: Buffer) => spkiOf(pkcs8).subarray(-65)

    const cases: [what: string, keySpec: KeySpec, material: () => Buffer, expected: typeof INVALID][] = [
      ["AES of 32 bytes", "SYMMETRIC_DEFAULT", () => randomBytes(32), NONE],
      ["AES of 16 bytes", "SYMMETRIC_DEFAULT", () => randomBytes(16), INVALID],
      ["AES of 31 bytes", "SYMMETRIC_DEFAULT", () => randomBytes(31), INVALID],
      ["AES of 40 bytes", "SYMMETRIC_DEFAULT", () => randomBytes(40), INVALID],
      ["HMAC_224 of 27 bytes", "HMAC_224", () => randomBytes(27), INVALID],
      ["EC in PKCS #8", "ECC_NIST_P256", p256, NONE],
      ["EC with one byte behind it", "ECC_NIST_P256", () => Buffer.concat([p256(), Buffer.of(0)]), INVALID],
      [
        "EC padded with zeros to a multiple of 8",
        "ECC_NIST_P256",
        () => Buffer.concat([p256(), Buffer.alloc(6)]),
        INVALID,
      ],
      ["EC cut short", "ECC_NIST_P256", () => p256().subarray(0, -1), INVALID],
      ["EC in SEC1", "ECC_NIST_P256", () => reshape(p256(), "ec", "-outform", "DER"), INVALID],
      ["EC as PEM", "ECC_NIST_P256", () => reshape(p256(), "pkey"), INVALID],
      [
        "EC with explicit curve parameters",
        "ECC_NIST_P256",
        () => reshapePkcs8(p256(), "pkey", "-ec_param_enc", "explicit"),
        INVALID,
      ],
      [
        "EC with a compressed point",
        "ECC_NIST_P256",
        () => reshapePkcs8(p256(), "pkey", "-ec_conv_form", "compressed"),
        NONE,
      ],
      ["EC without the public point", "ECC_NIST_P256", () => reshapePkcs8(p256(), "ec", "-no_public"), NONE],
      [
        "EC with another's public point",
        "ECC_NIST_P256",
        () => replaceOnce(p256(), publicPoint(p256()), publicPoint(makePkcs8("ECC_NIST_P256"))),
        INVALID,
      ],
      ["EC of another curve", "ECC_NIST_P256", () => keys.ECC_NIST_P384, INVALID],
      ["secp256k1 as P-256", "ECC_NIST_P256", () => makePkcs8("ECC_SECG_P256K1"), INVALID],
      ["a public key", "ECC_NIST_P256", () => spkiOf(p256()), INVALID],
      ["RSA as EC", "ECC_NIST_P256", rsa, INVALID],
      ["RSA in PKCS #8", "RSA_2048", rsa, NONE],
      ["RSA with one byte behind it", "RSA_2048", () => Buffer.concat([rsa(), Buffer.of(0)]), INVALID],
      ["RSA in PKCS #1", "RSA_2048", () => reshape(rsa(), "rsa", "-traditional", "-outform", "DER"), INVALID],
      ["RSA of another size", "RSA_2048", () => keys.RSA_3072, INVALID],
      ["RSA with a changed modulus", "RSA_2048", () => flip(rsa(), 100), INVALID],
      ["RSA with a changed prime", "RSA_2048", () => flip(rsa(), rsa().length - 400), INVALID],
      ["RSA with a changed CRT coefficient", "RSA_2048", () => flip(rsa(), rsa().length - 1), INVALID],
      [
        "RSA with the version of RFC 5958",
        "RSA_2048",
        () => replaceOnce(rsa(), Buffer.from("020100300d", "hex"), Buffer.from("020101300d", "hex")),
        INVALID,
      ],
      [
        "an encrypted PKCS #8",
        "ECC_NIST_P256",
        () => reshape(p256(), "pkcs8", "-topk8", "-outform", "DER", "-passout", "pass:x"),
        INVALID,
      ],
      ["Ed25519 in DER", "ECC_NIST_EDWARDS25519", edwards, NONE],
      ["Ed25519 in BER, long-form length", "ECC_NIST_EDWARDS25519", () => longForm(edwards()), INVALID],
      ["Ed25519 in BER, indefinite length", "ECC_NIST_EDWARDS25519", () => indefinite(edwards()), INVALID],
      [
        "Ed25519 with one byte behind it",
        "ECC_NIST_EDWARDS25519",
        () => Buffer.concat([edwards(), Buffer.of(0)]),
        INVALID,
      ],
      ["Ed25519 as a bare seed", "ECC_NIST_EDWARDS25519", () => edwards().subarray(-32), INVALID],
      [
        "X25519 as Ed25519",
        "ECC_NIST_EDWARDS25519",
        () => replaceOnce(edwards(), Buffer.from("2b6570", "hex"), Buffer.from("2b656e", "hex")),
        INVALID,
      ],
      [
        "Ed25519 as an ECPrivateKey in PKCS #8, openCryptoki's form",
        "ECC_NIST_EDWARDS25519",
        () => openCryptokiForm(edwards()),
        INVALID,
      ],
      ["nothing that parses", "RSA_2048", () => randomBytes(1217), INVALID],
    ]
    for (const [what, keySpec, material, expected] of cases) {
      it(`${expected === NONE ? "takes" : "refuses"} ${what}`, async () => {
        const KeyId = await createKey(client, keySpec)
        expect(await refusalOf(importMaterial(client, KeyId, material(), { keySpec }))).to.deep.equal(expected)
      })
    }

    for (const [form, encode] of [
      ["long-form lengths", longForm],
      ["an indefinite length", indefinite],
    ] as const) {
      for (const keySpec of ["RSA_2048", "ECC_NIST_P256"] as const) {
        it(`knows ${keySpec} in BER with ${form} for the same material`, async () => {
          const KeyId = await createKey(client, keySpec)
          await importMaterial(client, KeyId, keys[keySpec], { keySpec })
          await importMaterial(client, KeyId, encode(keys[keySpec]), { keySpec })
          const { PublicKey } = await client.getPublicKey({ KeyId })
          expect(Buffer.from(PublicKey!)).to.deep.equal(spkiOf(keys[keySpec]))
        })
      }
    }

    function openCryptokiForm(pkcs8: Buffer): Buffer {
      const inner = Buffer.concat([Buffer.from("30250201010420", "hex"), pkcs8.subarray(-32)])
      return Buffer.concat([Buffer.from("3033020100300506032b65700427", "hex"), inner])
    }
  })

  describe("the wrapping", () => {
    type Wrap = (lent: Lent, material: Buffer) => Buffer

    async function tryWrap(keySpec: KeySpec, wrap: Wrap, algorithm = usualAlgorithm(keySpec)) {
      const KeyId = await createKey(client, keySpec)
      const lent = await getParameters(client, KeyId, algorithm)
      const material = keySpec === "SYMMETRIC_DEFAULT" ? randomBytes(32) : keys.ECC_NIST_P256
      return refusalOf(
        client.importKeyMaterial({
          KeyId,
          ImportToken: lent.importToken,
          EncryptedKeyMaterial: wrap(lent, material),
          ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }),
      )
    }

    const hybrid =
      (aesKey: Buffer, form: "kwp" | "kw", change: (kwp: Buffer) => Buffer = (kwp) => kwp): Wrap =>
      ({ publicKey }, material) =>
        Buffer.concat([wrapOaep(publicKey, aesKey, "sha256"), change(wrapAes(aesKey, material, form))])
    // RFC 3394 takes whole blocks only
    const padded = (material: Buffer) => Buffer.concat([material, Buffer.alloc(-material.length & 7)])

    const cases: [what: string, keySpec: KeySpec, wrap: Wrap][] = [
      [
        "OAEP with SHA-1 where SHA-256 was asked",
        "SYMMETRIC_DEFAULT",
        ({ publicKey }, m) => wrapOaep(publicKey, m, "sha1"),
      ],
      [
        "OAEP with SHA-256 and MGF1 with SHA-1",
        "SYMMETRIC_DEFAULT",
        ({ publicKey }, m) => wrapOaep(publicKey, m, "sha256", "sha1"),
      ],
      ["PKCS #1 v1.5", "SYMMETRIC_DEFAULT", ({ publicKey }, m) => pkcs1(publicKey, m)],
      ["OAEP with a label", "SYMMETRIC_DEFAULT", ({ publicKey }, m) => labelled(publicKey, m)],
      [
        "a byte too many",
        "SYMMETRIC_DEFAULT",
        ({ publicKey }, m) => Buffer.concat([wrapOaep(publicKey, m, "sha256"), Buffer.of(0)]),
      ],
      ["a leading zero left out", "SYMMETRIC_DEFAULT", ({ publicKey }, m) => leadingZero(publicKey, m).subarray(1)],
      ["a byte too few", "SYMMETRIC_DEFAULT", ({ publicKey }, m) => wrapOaep(publicKey, m, "sha256").subarray(0, -1)],
      ["a flipped bit", "SYMMETRIC_DEFAULT", ({ publicKey }, m) => flip(wrapOaep(publicKey, m, "sha256"), 100)],
      ["another wrapping key", "SYMMETRIC_DEFAULT", (_, m) => wrapOaep(spkiOf(keys.RSA_2048), m, "sha256")],
      [
        "RSA-AES with SHA-1 where SHA-256 was asked",
        "ECC_NIST_P256",
        ({ publicKey }, m) => wrapWith("RSA_AES_KEY_WRAP_SHA_1", publicKey, m),
      ],
      ["RFC 3394 instead of RFC 5649", "ECC_NIST_P256", (lent, m) => hybrid(randomBytes(32), "kw")(lent, padded(m))],
      ["a flipped bit in the AES part", "ECC_NIST_P256", hybrid(randomBytes(32), "kwp", (kwp) => flip(kwp, 20))],
      [
        "a block too many in the AES part",
        "ECC_NIST_P256",
        hybrid(randomBytes(32), "kwp", (kwp) => Buffer.concat([kwp, Buffer.alloc(8)])),
      ],
      [
        "the AES part first",
        "ECC_NIST_P256",
        ({ publicKey }, m) => {
          const whole = wrapWith("RSA_AES_KEY_WRAP_SHA_256", publicKey, m)
          return Buffer.concat([whole.subarray(256), whole.subarray(0, 256)])
        },
      ],
      ["no AES part", "ECC_NIST_P256", ({ publicKey }) => wrapOaep(publicKey, randomBytes(32), "sha256")],
      ["a 128-bit AES key", "ECC_NIST_P256", ({ publicKey }, m) => aes128(publicKey, m)],
      ["plain OAEP where RSA-AES was asked", "ECC_NIST_P256", ({ publicKey }, m) => wrapOaep(publicKey, m, "sha256")],
      ["the bare material", "ECC_NIST_P256", (_, m) => m],
    ]
    for (const [what, keySpec, wrap] of cases) {
      it(`refuses ${what}`, async () => {
        expect(await tryWrap(keySpec, wrap)).to.deep.equal(INVALID)
      })
    }

    it("takes the same key wrapped rightly", async () => {
      expect(await tryWrap("ECC_NIST_P256", hybrid(randomBytes(32), "kwp"))).to.deep.equal(NONE)
    })

    it("refuses every changed bit", async () => {
      const KeyId = await createKey(client, "ECC_NIST_P256")
      const algorithm = usualAlgorithm("ECC_NIST_P256")
      const { publicKey, importToken: ImportToken } = await getParameters(client, KeyId, algorithm)
      const whole = wrapWith(algorithm, publicKey, keys.ECC_NIST_P256)
      const send = (EncryptedKeyMaterial: Buffer) =>
        refusalOf(
          client.importKeyMaterial({
            KeyId,
            ImportToken,
            EncryptedKeyMaterial,
            ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
          }),
        )
      for (let at = 0; at < whole.length; at++) {
        const changed = Buffer.from(whole)
        changed[at]! ^= 1 << (at & 7)
        expect(await send(changed), `byte ${at}`).to.deep.equal(INVALID)
      }
      expect(await send(whole)).to.deep.equal(NONE)
    })

    function pkeyutl(publicKey: Uint8Array, material: Buffer, ...options: readonly string[]): Buffer {
      using tool = openssl()
      tool.write("public.der", publicKey)
      tool.write("material.bin", material)
      const flags = options.flatMap((option) => ["-pkeyopt", option])
      const input = ["-pubin", "-keyform", "DER", "-inkey", "public.der", "-in", "material.bin"]
      return tool.run("pkeyutl", "-encrypt", ...input, ...flags)
    }
    /** OAEP whose result begins with a zero byte, as one in 256 does; OpenSSL's command line would take a minute. */
    function leadingZero(publicKey: Uint8Array, material: Buffer): Buffer {
      const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" })
      for (;;) {
        const wrapped = publicEncrypt({ key, oaepHash: "sha256" }, material)
        if (wrapped[0] === 0) return wrapped
      }
    }
    const pkcs1 = (publicKey: Uint8Array, material: Buffer) => pkeyutl(publicKey, material, "rsa_padding_mode:pkcs1")
    const labelled = (publicKey: Uint8Array, material: Buffer) =>
      pkeyutl(
        publicKey,
        material,
        "rsa_padding_mode:oaep",
        "rsa_oaep_md:sha256",
        "rsa_mgf1_md:sha256",
        "rsa_oaep_label:00",
      )
    function aes128(publicKey: Uint8Array, material: Buffer): Buffer {
      using tool = openssl()
      const aesKey = randomBytes(16)
      tool.write("material.bin", material)
      const wrap = ["enc", "-id-aes128-wrap-pad", "-iv", "A65959A6", "-K", aesKey.toString("hex")]
      return Buffer.concat([wrapOaep(publicKey, aesKey, "sha256"), tool.run(...wrap, "-in", "material.bin")])
    }
  })

  describe("the import token", () => {
    const TOKEN = { name: "InvalidImportTokenException", message: "" }

    async function tryToken(KeyId: string, token: Uint8Array, publicKey: Uint8Array) {
      return refusalOf(
        client.importKeyMaterial({
          KeyId,
          ImportToken: token,
          EncryptedKeyMaterial: wrapOaep(publicKey, randomBytes(32), "sha256"),
          ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }),
      )
    }
    const fresh = async () => {
      const KeyId = await createKey(client)
      return { KeyId, lent: await getParameters(client, KeyId, "RSAES_OAEP_SHA_256") }
    }

    it("of another key is refused", async () => {
      const [one, other] = [await fresh(), await fresh()]
      expect(await tryToken(one.KeyId, other.lent.importToken, other.lent.publicKey)).to.deep.equal(TOKEN)
    })

    it("of another wrapping key does not open what was wrapped", async () => {
      const { KeyId, lent } = await fresh()
      const other = await client.getParametersForImport({
        KeyId,
        WrappingAlgorithm: "RSAES_OAEP_SHA_256",
        WrappingKeySpec: "RSA_3072",
      })
      expect(await tryToken(KeyId, lent.importToken, other.PublicKey!)).to.deep.equal(INVALID)
    })

    it("is refused with any of its bits flipped, cut short, or made up", async () => {
      const { KeyId, lent } = await fresh()
      const { importToken, publicKey } = lent
      const wrong = [0, 11, 12, importToken.length >> 1, importToken.length - 1].map((at) => flip(importToken, at))
      for (const token of [...wrong, importToken.subarray(0, -1), randomBytes(10), randomBytes(200)]) {
        expect(await tryToken(KeyId, token, publicKey)).to.deep.equal(TOKEN)
      }
    })

    it("can be used twice, also after a newer one was lent", async () => {
      const { KeyId, lent } = await fresh()
      const EncryptedKeyMaterial = wrapOaep(lent.publicKey, randomBytes(32), "sha256")
      const request = { KeyId, ImportToken: lent.importToken, EncryptedKeyMaterial }
      await client.importKeyMaterial({ ...request, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" })
      await getParameters(client, KeyId, "RSAES_OAEP_SHA_256")
      await client.importKeyMaterial({ ...request, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" })
    })

    it("dies after 24 hours by the clock", async () => {
      await kms.clock.freeze()
      const KeyId = await createKey(client)
      const answer = await client.getParametersForImport({
        KeyId,
        WrappingAlgorithm: "RSAES_OAEP_SHA_256",
        WrappingKeySpec: "RSA_2048",
      })
      const now = await kms.clock.now()
      expect(answer.ParametersValidTo!.getTime() - now.getTime()).to.equal(24 * 3600 * 1000)
      await kms.clock.advance(24 * 3600)
      const refusal = await tryToken(KeyId, answer.ImportToken!, answer.PublicKey!)
      expect(refusal.name).to.equal("ExpiredImportTokenException")
      await kms.clock.advance(-1)
      expect(await tryToken(KeyId, answer.ImportToken!, answer.PublicKey!)).to.deep.equal(NONE)
      await kms.clock.tick()
    })
  })
})
