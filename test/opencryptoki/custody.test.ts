import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { expect } from "chai"
import { KEY_SPEC_NAMES, KEY_SPECS, type KeySpec } from "#src/core/key/key-spec.js"
import { outcomesByName } from "#test/support/cli.js"
import { inProcess } from "#test/support/in-token-process.js"
import { kmsClient } from "#test/support/local-kms.js"
import { filesUnder, keysNamed } from "#test/support/stage.js"
import { type OpencryptokiStage, setOpencryptokiStage } from "./stage.js"

const ED25519 = "ECC_NIST_EDWARDS25519"
const SEALED = KEY_SPEC_NAMES.filter((keySpec) => keySpec !== ED25519)
const nameOf = (keySpec: KeySpec): string => keySpec.toLowerCase().replaceAll("_", "-")

describe("custody on openCryptoki 3.27", () => {
  let stage: OpencryptokiStage

  before(async () => {
    stage = await setOpencryptokiStage(
      KEY_SPEC_NAMES.map((keySpec) => {
        const usage = KEY_SPECS[keySpec].usages.includes("SIGN_VERIFY") ? ", keyUsage: SIGN_VERIFY" : ""
        return `${nameOf(keySpec)}: { keySpec: ${keySpec}${usage} }`
      }),
    )
  })
  after(() => stage[Symbol.asyncDispose]())

  it("is all enforced, CKA_WRAP_WITH_TRUSTED too, and private keys leave by the native RSA-AES", async () => {
    const probe = (await stage.run("token", "probe")).json() as {
      capabilities: { keySpec: KeySpec; usable: boolean; wrapPath: string | null; mechanisms: string[] }[]
      custody: { enforced: boolean }[]
      custodyFacts: Record<string, boolean | null>
    }
    const { tokenObjectFlaw, ...facts } = probe.custodyFacts
    expect(tokenObjectFlaw).to.equal(null)
    expect(new Set(Object.values(facts)), JSON.stringify(facts)).to.deep.equal(new Set([true]))
    expect(facts).to.include({ wrapWithTrustedEnforced: true })
    expect(probe.custody.every(({ enforced }) => enforced)).to.equal(true)
    for (const { keySpec, usable, wrapPath, mechanisms } of probe.capabilities) {
      if (!usable) continue
      const native = KEY_SPECS[keySpec].proof === "public-key"
      expect(wrapPath, keySpec).to.equal(native ? "native" : "oaep")
      expect(mechanisms, keySpec).to.deep.equal(native ? ["CKM_RSA_AES_KEY_WRAP"] : ["CKM_RSA_PKCS_OAEP"])
    }
  })

  it("seals every key spec but Ed25519, and is seen to shorten the scalars of EC keys when it unseals them", () => {
    const [outcome] = inProcess(stage.token, { pins: [stage.token.pin], probeCustody: KEY_SPEC_NAMES })
    for (const keySpec of KEY_SPEC_NAMES) {
      const verdict = outcome!.sealing[keySpec]!
      const possible = keySpec !== ED25519
      expect(verdict, keySpec).to.include({ possible, enforced: possible })
      expect(verdict.mechanism, keySpec).to.equal(possible ? "CKM_AES_KEY_WRAP_KWP" : null)
      const shortens = KEY_SPECS[keySpec].family === "ec"
      expect(verdict.shortScalars, keySpec).to.equal(shortens)
      if (shortens) expect(verdict.reason, keySpec).to.include("drops leading zero bytes of an EC private key's scalar")
      if (!possible) expect(verdict.reason).to.include("malformed PKCS #8 of 53 bytes (RFC 8410 has 48)")
    }
  })

  it("carries a sealed key of every key spec but Ed25519, which is refused before anything is made", async () => {
    const result = await stage.run("apply")
    expect(result.status, result.stderr).to.equal(78)
    const outcomes = outcomesByName(result)
    for (const keySpec of SEALED) expect(outcomes[nameOf(keySpec)], result.stdout).to.match(/^done /)
    expect(outcomes[nameOf(ED25519)]).to.match(/^failed /)
    const { keys } = result.json() as { keys: { name: string; message: string; hint: string }[] }
    const refused = keys.find(({ name }) => name === nameOf(ED25519))!
    expect(refused.message).to.include("CKM_AES_KEY_WRAP_KWP gives a malformed PKCS #8 of 53 bytes")
    expect(refused.hint).to.include(`carries ${ED25519} to KMS in no custody`)
    expect((await stage.kms.counts()).requests["CreateKey"]).to.equal(SEALED.length)
    expect(filesUnder(join(stage.state, "vault"))).to.have.length(SEALED.length)
  })

  it("unseals them all again once KMS has lost them, and they are the same keys", async () => {
    const sdk = kmsClient(stage.kms)
    try {
      for (const keySpec of SEALED) {
        const [key] = await keysNamed(sdk, nameOf(keySpec))
        await sdk.deleteImportedKeyMaterial({ KeyId: key!.arn })
      }
      const result = await stage.run("recover", "--yes", ...SEALED.map(nameOf))
      expect(result.status, result.stderr + result.stdout).to.equal(0)
      const verified = await stage.run("verify", ...SEALED.map(nameOf))
      expect(verified.status, verified.stderr + verified.stdout).to.equal(0)
      for (const keySpec of SEALED) {
        const keys = await keysNamed(sdk, nameOf(keySpec))
        expect(
          keys.map((key) => key.state),
          keySpec,
        ).to.deep.equal(["Enabled"])
      }
    } finally {
      sdk.destroy()
    }
  })

  it("keeps no object in the token but the custody key, as another client sees it", () => {
    const tool = ["pkcs11-tool", "--module", stage.token.module, "--login", "--pin", "env:PIN", "--list-objects"]
    const env = { ...process.env, ...stage.token.env, PIN: stage.token.pin }
    const listed = execFileSync("env", [...stage.token.prefix, ...tool], {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })
    const labels = [...listed.matchAll(/^ *label: +(\S+)$/gm)].map(([, label = ""]) => label)
    expect(labels).to.include("keyferry/custody/keyferry/1")
    expect(labels.filter((label) => !label.startsWith("keyferry/custody/"))).to.deep.equal([])
    expect(listed.match(/Object; .*/g)).to.have.length(labels.length)
  })
})
