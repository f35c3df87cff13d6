import { expect } from "chai"
import { generateKeyPairSync } from "node:crypto"
import pkcs11js from "pkcs11js"
import type { SourceKey } from "#src/core/key/source-key.js"
import type { WrapCapability } from "#src/core/key/wrapping.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import { profileNamed } from "#src/pkcs11/profiles.js"
import { chooseToken } from "#src/pkcs11/session/choose-token.js"
import { loadModule } from "#src/pkcs11/session/module.js"
import { expectCode } from "#test/support/expect-code.js"
import { newKey, open, softhsm, uriOf } from "../../support/token-fixture.js"

const wrappingKey = parseWrappingKey(
  generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
  "RSA_2048",
)
const oaep: WrapCapability = {
  keySpec: "SYMMETRIC_DEFAULT",
  wrappingAlgorithm: "RSAES_OAEP_SHA_1",
  wrappingKeySpec: "RSA_2048",
  wrapPath: "oaep",
  mechanisms: ["CKM_RSA_PKCS_OAEP"],
  usable: true,
  shortScalars: false,
  reason: "",
}

type Values = Readonly<Record<string, boolean | number | string | Buffer>>

/** A client beside keyferry, in the same process and so logged in with it. */
function client() {
  const holder = loadModule(softhsm().module)
  const { lib, handle: slot } = chooseToken(holder, uriOf(softhsm())).slot
  const session = lib.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION)
  const constants = pkcs11js as unknown as Readonly<Record<string, number>>
  const template = (values: Values): pkcs11js.Template =>
    Object.entries(values).map(([name, value]) => ({ type: constants[`CKA_${name}`]!, value }))
  const find = (values: Values): Buffer[] => {
    lib.C_FindObjectsInit(session, template(values))
    try {
      return lib.C_FindObjects(session, 100)
    } finally {
      lib.C_FindObjectsFinal(session)
    }
  }
  const objectOf = (key: Pick<SourceKey, "id">, cls: number): Buffer =>
    find({ ID: Buffer.from(key.id, "hex"), CLASS: cls })[0]!
  return {
    lib,
    session,
    template,
    find,
    objectOf,
    [Symbol.dispose]() {
      lib.C_CloseSession(session)
      holder[Symbol.dispose]()
    },
  }
}

describe("source keys", () => {
  it("states every usage, so that the public half allows none and belongs to the pair", async () => {
    await using token = await open(softhsm())
    using other = client()
    for (const custody of ["token", "session"] as const) {
      const key = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P256", custody }))
      const object = other.objectOf(key, pkcs11js.CKO_PUBLIC_KEY)
      const names = ["TOKEN", "PRIVATE", "ENCRYPT", "VERIFY", "VERIFY_RECOVER", "WRAP", "DERIVE"]
      const read = names.map(
        (name) => other.lib.C_GetAttributeValue(other.session, object, other.template({ [name]: false }))[0]!.value[0],
      )
      expect(read).to.deep.equal([custody === "token" ? 1 : 0, 0, 0, 0, 0, 0, 0])
      await token.destroySourceKey(key)
      expect(other.find({ LABEL: key.label })).to.deep.equal([])
    }
  })

  it("keeps WRAP_WITH_TRUSTED, and such a key does not leave under an untrusted key", async () => {
    await using token = await open(softhsm())
    const key = await token.generateSourceKey(newKey({ wrapWithTrusted: true }))
    expect(key.attributes.wrapWithTrusted).to.equal(true)
    const error = await expectCode("ERR_TOKEN_OTHER", () => token.wrap(key, wrappingKey, oaep))
    expect(error.causes).to.deep.equal([{ code: "CKR_KEY_NOT_WRAPPABLE", message: "C_WrapKey" }])
    expect(error.key).to.equal(key.label)
  })

  it("refuses a label or an ID that is in use, whatever the object", async () => {
    await using token = await open(softhsm())
    const first = newKey()
    await token.generateSourceKey(first)
    await expectCode("ERR_NAME_TAKEN", () => token.generateSourceKey(newKey({ label: first.label })))
    await expectCode("ERR_NAME_TAKEN", () => token.generateSourceKey(newKey({ id: first.id })))
    expect(await token.findSourceKeys()).to.have.lengthOf(1)
  })

  it("is locked once and for all after its import, and of use in the token as it was asked", async () => {
    await using token = await open(softhsm())
    const template = newKey({ keySpec: "HMAC_256", custody: "locked", localUse: true })
    const made = await token.generateSourceKey(template)
    expect(made.attributes).to.include({ token: true, extractable: true, sign: true, verify: true, encrypt: false })
    const request = { keySpec: "HMAC_256", wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" } as const
    const [capability] = await token.selfTest([request])
    await token.wrap(made, wrappingKey, capability!)
    const locked = await token.lock(made)
    expect(locked).to.deep.equal({
      ...made,
      custody: "locked",
      attributes: { ...made.attributes, extractable: false },
    })
    await expectCode("ERR_KEY_NOT_EXTRACTABLE", () => token.wrap(locked, wrappingKey, capability!))
    expect(await token.mac(locked, Buffer.from("used on"))).to.have.lengthOf(32)
    await token.destroySourceKey(locked)
  })

  it("survives its process as a token object, and can be wrapped by the next", async () => {
    const template = newKey({ custody: "token" })
    const key = await (async () => {
      await using token = await open(softhsm())
      return await token.generateSourceKey(template)
    })()
    await using token = await open(softhsm())
    expect(await token.findSourceKeys({ label: template.label })).to.deep.equal([key])
    expect((await token.wrap(key, wrappingKey, oaep)).bytes).to.have.lengthOf(256)
    await token.destroySourceKey(key)
    await expectCode("ERR_KEY_NOT_FOUND", () => token.wrap(key, wrappingKey, oaep))
    await token.destroySourceKey(key)
  })

  it("says that a key is not extractable, by its own code", async () => {
    await using token = await open(softhsm())
    const key = await token.generateSourceKey(newKey())
    using other = client()
    const object = other.objectOf(key, pkcs11js.CKO_SECRET_KEY)
    other.lib.C_SetAttributeValue(other.session, object, other.template({ EXTRACTABLE: false }))
    const error = await expectCode("ERR_KEY_NOT_EXTRACTABLE", () => token.wrap(key, wrappingKey, oaep))
    expect(error.causes).to.deep.equal([{ code: "CKR_KEY_UNEXTRACTABLE", message: "C_WrapKey" }])
    expect(error.key).to.equal(key.label)
    const [found] = await token.findSourceKeys({ id: key.id })
    expect(found?.attributes.extractable).to.equal(false)
  })

  it("does not take another object for the key, though its handle is remembered", async () => {
    await using token = await open(softhsm())
    const key = await token.generateSourceKey(newKey({ custody: "token" }))
    using other = client()
    const object = other.objectOf(key, pkcs11js.CKO_SECRET_KEY)
    other.lib.C_SetAttributeValue(other.session, object, other.template({ LABEL: "keyferry/test/renamed/0" }))
    await expectCode("ERR_KEY_NOT_FOUND", () => token.wrap(key, wrappingKey, oaep))
    other.lib.C_DestroyObject(other.session, object)
  })

  it("says that a key is gone which another destroyed", async () => {
    await using token = await open(softhsm())
    using other = client()
    for (const custody of ["token", "session"] as const) {
      const key = await token.generateSourceKey(newKey({ custody }))
      other.lib.C_DestroyObject(other.session, other.objectOf(key, pkcs11js.CKO_SECRET_KEY))
      await expectCode("ERR_KEY_NOT_FOUND", () => token.wrap(key, wrappingKey, oaep))
    }
  })

  it("lists what carries a keyferry label and is no whole key, with the reason", async () => {
    await using token = await open(softhsm())
    using other = client()
    const whole = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384" }))
    const halves = [pkcs11js.CKO_PUBLIC_KEY, pkcs11js.CKO_PRIVATE_KEY]
    const broken: SourceKey[] = []
    for (const cls of halves) {
      const key = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384" }))
      other.lib.C_DestroyObject(other.session, other.objectOf(key, cls))
      broken.push(key)
    }
    const short = {
      CLASS: pkcs11js.CKO_SECRET_KEY,
      KEY_TYPE: pkcs11js.CKK_AES,
      VALUE_LEN: 16,
      TOKEN: false,
      SENSITIVE: true,
    }
    const label = "keyferry/test/short/0"
    other.lib.C_GenerateKey(
      other.session,
      { mechanism: pkcs11js.CKM_AES_KEY_GEN },
      other.template({ ...short, ID: Buffer.from("77", "hex"), LABEL: label }),
    )
    other.lib.C_GenerateKey(
      other.session,
      { mechanism: pkcs11js.CKM_AES_KEY_GEN },
      other.template({ ...short, ID: Buffer.from("78", "hex"), LABEL: "somebody else's" }),
    )
    expect(await token.findSourceKeys()).to.deep.equal([whole])
    const strays = new Map((await token.search()).strays.map((stray) => [stray.label, stray.reason]))
    expect(strays).to.deep.equal(
      new Map([
        [broken[0]!.label, "a private key without its public key"],
        [broken[1]!.label, "a public key without its private key"],
        [label, "a key of no KMS key spec (CKK_AES)"],
      ]),
    )
    expect((await token.search({ label })).strays.map((stray) => stray.label)).to.deep.equal([label])
  })

  it("finds an RSA key after an EC key, which has other attributes", async () => {
    await using token = await open(softhsm())
    for (const keySpec of ["ECC_NIST_P256", "RSA_2048", "ECC_NIST_P384", "HMAC_256", "SYMMETRIC_DEFAULT"] as const) {
      const key = await token.generateSourceKey(newKey({ keySpec }))
      expect(await token.findSourceKeys({ id: key.id })).to.deep.equal([key])
    }
  })

  it("does not choose between two keys of one identity", async () => {
    await using token = await open(softhsm())
    using other = client()
    const key = await token.generateSourceKey(newKey())
    const twins = { ...key, id: "7a", label: "keyferry/test/twins/0" }
    for (let made = 0; made < 2; made++) {
      other.lib.C_GenerateKey(
        other.session,
        { mechanism: pkcs11js.CKM_AES_KEY_GEN },
        other.template({
          CLASS: pkcs11js.CKO_SECRET_KEY,
          KEY_TYPE: pkcs11js.CKK_AES,
          VALUE_LEN: 32,
          TOKEN: false,
          SENSITIVE: true,
          ID: Buffer.from(twins.id, "hex"),
          LABEL: twins.label,
        }),
      )
    }
    await expectCode("ERR_KEY_AMBIGUOUS", () => token.wrap(twins, wrappingKey, oaep))
    expect((await token.search()).strays).to.deep.equal([
      { id: twins.id, label: twins.label, reason: "several keys carry one ID and label" },
    ])
  })

  it("states no usage that a profile says is unknown, in pairs and wrapping keys", async () => {
    await using token = await open(softhsm(), {
      profile: {
        ...(profileNamed("softhsm2") ?? expect.fail("no such profile")),
        unknownUsages: ["signRecover", "verifyRecover"],
      },
    })
    using other = client()
    const key = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384" }))
    const object = other.objectOf(key, pkcs11js.CKO_PRIVATE_KEY)
    const [read] = other.lib.C_GetAttributeValue(other.session, object, other.template({ SIGN_RECOVER: false }))
    // SoftHSM's own default for what a template leaves out
    expect(read!.value[0]).to.equal(1)
  })

  it("reports the call and the answer when the token is gone", async () => {
    await using token = await open(softhsm())
    const key = await token.generateSourceKey(newKey())
    const lib = new pkcs11js.PKCS11()
    lib.load(softhsm().module)
    lib.C_Finalize()
    const error = await expectCode("ERR_TOKEN_UNAVAILABLE", () => token.wrap(key, wrappingKey, oaep))
    expect(error.causes[0]?.code).to.equal("CKR_CRYPTOKI_NOT_INITIALIZED")
    await expectCode("ERR_TOKEN_UNAVAILABLE", () => token.generateSourceKey(newKey()))
    await expectCode("ERR_TOKEN_UNAVAILABLE", () => token.findSourceKeys())
    await expectCode("ERR_TOKEN_UNAVAILABLE", () =>
      token.selfTest([{ keySpec: "HMAC_256", wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" }]),
    )
    await expectCode("ERR_TOKEN_UNAVAILABLE", () => token.probeCustody())
  })
})
