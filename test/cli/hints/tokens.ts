import { spawnSync } from "node:child_process"
import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { addSofthsmToken, type TestToken } from "../../support/tokens.js"
import { AES, commandIn, flagIn, type Followed, type Situation } from "./situation.js"

const LIST = ["key", "list"] as const
/** For a custody that imports only once. */
const ONCE = ["--expires-in", "never", "--accept-no-reimport"] as const
const DAY_S = 86_400

/** OpenSC's pkcs11-tool, which knows nothing of keyferry. */
function tool({ module, env, label }: TestToken, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync("pkcs11-tool", ["--module", module, "--token-label", label, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  })
  expect(status, stderr).to.equal(0)
}

const withPin = (pin: string) => ({ KEYFERRY_PIN_SOURCE: "env:HINT_PIN", HINT_PIN: pin })
const withoutPinSource = (uri: string): string => uri.replace(/&?pin-source=[^&]*/, "").replace(/\?$/, "")

/** Another token beside the stage's, with a PIN that may be spoilt. */
const ownToken = ({ stage, name }: Situation): TestToken => addSofthsmToken(stage.token, name)

export const TOKEN_HINTS = {
  ERR_MODULE_UNUSABLE: {
    fails: ({ stage, run }) =>
      run(LIST, { KEYFERRY_TOKEN: stage.token.uri.replace(/module-path=[^&]*/, "module-path=/usr/lib/nowhere.so") }),
    follow(situation, hint) {
      flagIn(hint, "module-path")
      return situation.run(LIST)
    },
  },
  ERR_TOKEN_URI_INVALID: {
    fails: ({ run }) => run(LIST, { KEYFERRY_TOKEN: "softhsm:keyferry" }),
    follow({ stage, run }, hint) {
      const [uri = ""] = /pkcs11:\S+/.exec(hint) ?? []
      const { label, pinFile } = stage.token
      return run([...LIST, "--pin-source", `file:${pinFile}`], { KEYFERRY_TOKEN: uri.replace("LABEL", label) })
    },
  },
  ERR_TOKEN_AMBIGUOUS: {
    async fails(situation) {
      const { uri } = ownToken(situation)
      addSofthsmToken(situation.stage.token, situation.name)
      return await situation.run(LIST, { KEYFERRY_TOKEN: uri })
    },
    async follow({ stage, name, run, well }, hint) {
      const flag = flagIn(hint, "serial=")
      const { stdout } = await well(["token", "list", "-o", "wide"])
      const [serial = ""] = /\b[0-9a-f]{16}\b/.exec(stdout.split("\n").find((line) => line.includes(name)) ?? "") ?? []
      const uri = stage.token.uri.replace(/token=[^?;]+/, `token=${name};${flag}${serial}`)
      return await run(LIST, { KEYFERRY_TOKEN: uri })
    },
  },
  ERR_TOKEN_PIN_INCORRECT: {
    async fails(situation) {
      const { uri } = ownToken(situation)
      return await situation.run(LIST, { KEYFERRY_TOKEN: withoutPinSource(uri), ...withPin("987654") })
    },
    follow({ stage, name, run }) {
      const uri = stage.token.uri.replace(/token=[^?;]+/, `token=${name}`)
      return run(LIST, { KEYFERRY_TOKEN: withoutPinSource(uri), ...withPin(stage.token.pin) })
    },
  },
  ERR_TOKEN_PIN_REFUSED_BEFORE: {
    async fails(situation) {
      const { uri } = ownToken(situation)
      const wrong = { KEYFERRY_TOKEN: withoutPinSource(uri), ...withPin("987654") }
      await situation.run(LIST, wrong)
      return await situation.run(LIST, wrong)
    },
    follow({ stage, name, run }, hint) {
      // the token's PIN is what was refused before, now
      const token = { ...stage.token, label: name }
      tool(token, "--login", "--pin", token.pin, "--change-pin", "--new-pin", "987654")
      const uri = withoutPinSource(token.uri.replace(/token=[^?;]+/, `token=${name}`))
      return run([...LIST, flagIn(hint, "--retry-pin")], { KEYFERRY_TOKEN: uri, ...withPin("987654") })
    },
  },
  ERR_PIN_SOURCE: {
    fails: ({ stage, run }) =>
      run(LIST, { KEYFERRY_TOKEN: withoutPinSource(stage.token.uri), KEYFERRY_PIN_SOURCE: "the PIN" }),
    async follow({ stage, run }, hint) {
      const uri = { KEYFERRY_TOKEN: withoutPinSource(stage.token.uri), KEYFERRY_PIN_SOURCE: undefined }
      const sources = [`file:${stage.token.pinFile}`, "env:HINT_PIN", `exec:cat ${stage.token.pinFile}`]
      for (const source of sources) {
        expect(hint).to.include(source.split(":")[0])
        const result = await run([...LIST, flagIn(hint, "--pin-source"), source], { ...uri, HINT_PIN: stage.token.pin })
        if (result.status !== 0) return result
      }
      return await run([...LIST, "--pin-source", sources[0] ?? ""], uri)
    },
  },
  ERR_NO_USABLE_ALGORITHM: {
    fails: ({ name, run }) =>
      run(["provision", "--name", name, "--key-spec", "RSA_2048", "--key-usage", "SIGN_VERIFY", "--custody", "token"]),
    follow: ({ run }, hint) => run(commandIn(hint, "token")),
    further: ({ stdout }) => expect(stdout).to.match(/^RSA_2048 .* no /m),
  },
  ERR_KEY_AMBIGUOUS: {
    async fails({ stage, name, run, well }) {
      await well(["key", "generate", "--name", name, ...AES, "--custody", "token"])
      const { token } = stage
      const keygen = ["--keygen", "--key-type", "AES:32", "--label", `keyferry/keyferry/${name}/0`, "--id", "0f0f"]
      tool(token, "--login", "--pin", token.pin, ...keygen, "--extractable")
      return await run(["provision", "--name", name, ...AES, "--custody", "token"])
    },
    async follow({ stage, name, run, well }, hint) {
      expect((await well(commandIn(hint, "key"))).stdout).to.include(name)
      const { token } = stage
      tool(token, "--login", "--pin", token.pin, "--delete-object", "--type", "secrkey", "--id", "0f0f")
      return await run(["provision", "--name", name, ...AES, "--custody", "token"])
    },
  },
  ERR_NAME_TAKEN: {
    async fails({ name, run, well }) {
      await well(["key", "generate", "--name", name, ...AES, "--custody", "token"])
      return await run(["key", "generate", "--name", name, ...AES, "--custody", "token"])
    },
    follow: ({ name, run }, hint) =>
      run(["key", "generate", flagIn(hint, "--name"), `${name}-b`, ...AES, "--custody", "token"]),
  },
  ERR_KEY_IN_USE: {
    async fails({ name, run, well }) {
      await well(["provision", "--name", name, ...AES, "--custody", "token"])
      return await run(["key", "destroy", "--name", name, "--yes"])
    },
    async follow({ stage, name, run, well }, hint) {
      await well([...commandIn(hint, "schedule"), name, "--pending-window-days", "7", "--yes"])
      await stage.kms.clock.advance(8 * DAY_S)
      return await run(["key", "destroy", "--name", name, "--yes"])
    },
  },
  ERR_KEY_USED: {
    async fails({ stage, name, run, well }) {
      const made = await well(["provision", "--name", name, ...AES, "--custody", "token", "--json"])
      const { keyArn } = made.json() as { keyArn: string }
      await stage.sdk.encrypt({ KeyId: keyArn, Plaintext: Buffer.from("x") })
      return await run(["schedule-deletion", name, "--yes"])
    },
    follow: ({ name, run }, hint) => run(["schedule-deletion", name, "--yes", flagIn(hint, "--although-used")]),
  },
  ERR_LAST_COPY: {
    async fails({ name, run, well }) {
      await well(["provision", "--name", name, ...AES, "--custody", "session", ...ONCE])
      return await run(["delete-material", name, "--yes"])
    },
    follow: ({ name, run }, hint) => run(["delete-material", name, "--yes", flagIn(hint, "--lose-last-copy")]),
  },
  ERR_KEY_NOT_EXTRACTABLE: {
    async fails({ stage, name, run }) {
      const { token } = stage
      const keygen = ["--keygen", "--key-type", "AES:32", "--label", `keyferry/keyferry/${name}/0`, "--id", "0e0e"]
      tool(token, "--login", "--pin", token.pin, ...keygen)
      return await run(["provision", "--name", name, ...AES, "--custody", "token"])
    },
    follow({ name, run }, hint) {
      expect(hint).to.include("generate a new source key")
      return run(["provision", "--name", `${name}-b`, ...AES, "--custody", "token"])
    },
  },
  ERR_CUSTODY_KEY_MISSING: {
    async fails({ stage, name, file, run, well }) {
      await well(["provision", "--name", name, ...AES, "--custody", "sealed"])
      const { token } = stage
      cpSync(join(token.dir, "tokens"), file("token"), { recursive: true })
      const custodyKey = ["--type", "secrkey", "--label", "keyferry/custody/keyferry/1"]
      tool(token, "--login", "--pin", token.pin, "--delete-object", ...custodyKey)
      return await run(["rewrap", name])
    },
    follow({ stage, name, file, run }, hint) {
      expect(hint).to.include("restore the custody key from the token's backup")
      rmSync(join(stage.token.dir, "tokens"), { recursive: true })
      cpSync(file("token"), join(stage.token.dir, "tokens"), { recursive: true })
      return run(["rewrap", name])
    },
  },
} as const satisfies Partial<Record<ErrorCode, Followed>>
