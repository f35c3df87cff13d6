import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry } from "#test/support/cli.js"
import { readRecording } from "#test/support/spy-recording.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { softhsmToken, type SpiedToken, spy } from "#test/support/tokens.js"
import { CARELESS_CLIENT } from "../support/careless-client.js"
import { examineCalls, type Rule } from "../support/i1-rules.js"
import { PROBE_PROCESS } from "../support/i1-probe-process.js"

const rulesBroken = (recording: string): readonly Rule[] => [
  ...new Set(readRecording(recording).flatMap((calls) => examineCalls(calls).violations.map(({ rule }) => rule))),
]

/** Blocks of a recording, one a call, with what stands before the first. */
const blocksOf = (recording: string): string[] => recording.split(/^(?=\d+: C_\w+$)/m)

/** The recording with the first block changed that fits; a change that finds nothing to change is a fault of the test. */
function doctored(recording: string, fits: RegExp, change: (block: string) => string): string {
  const blocks = blocksOf(recording)
  const at = blocks.findIndex((block) => fits.test(block))
  if (at < 0) throw new Error(`no call fits ${fits.source}`)
  const before = blocks[at]!
  const after = change(before)
  if (after === before) throw new Error("nothing was changed")
  return blocks.with(at, after).join("")
}

const setting = (name: string, from: string, to: string) => (block: string) =>
  block.replace(new RegExp(`^( {4}CKA_${name} +)${from}`, "m"), `$1${to}`)
const without = (name: string) => (block: string) => block.replace(new RegExp(`^ {4}CKA_${name} .*\n`, "m"), "")

describe("invariant I1: the rules find what breaks them", () => {
  const folder = temporaryFolder()
  let token: SpiedToken
  beforeEach(() => {
    token = spy(softhsmToken())
  })
  afterEach(() => {
    token.remove()
  })

  it("in a client that reads, decrypts, unwraps and leaves usages to the token", () => {
    execFileSync(process.execPath, [CARELESS_CLIENT], {
      env: {
        ...process.env,
        ...token.env,
        CLIENT_MODULE: token.module,
        CLIENT_LABEL: token.label,
        CLIENT_PIN: token.pin,
      },
    })
    const rules: readonly Rule[] = [
      "call that yields plaintext",
      "encryption by a key that is no throw-away",
      "secret attribute read",
      "key brought in from outside",
      "not CKA_SENSITIVE",
      "not CKA_PRIVATE",
      "usage not stated",
      "attributes changed",
      "wrapped under a key of unknown origin",
      "unwrapped under a key of unknown origin",
      "logins",
    ]
    expect(rulesBroken(token.recording())).to.have.members(rules)
    const calls = readRecording(token.recording()).flatMap((process) => examineCalls(process).violations)
    const plaintext = calls.filter(({ rule }) => rule === "call that yields plaintext").map(({ call }) => call)
    expect(plaintext.map((call) => call.split(" ")[1])).to.deep.equal(["C_DecryptInit", "C_Decrypt"])
  })

  it("in keyferry's own calls with one thing changed", async () => {
    const spec = ["--name", "k", "--key-spec", "ECC_NIST_P384", "--custody", "token", "--wrapping-key-spec", "RSA_2048"]
    const env = { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(folder(), "state") }
    const { status, stderr } = await keyferry(["key", "generate", ...spec], { env })
    expect(status, stderr).to.equal(0)
    const recording = token.recording()
    expect(rulesBroken(recording)).to.deep.equal([])

    const ephemeral = /C_GenerateKey$[^]*6B657966 65727279 2D657068/m
    const source = /C_GenerateKeyPair$[^]*6B657966 65727279 2F/m
    const throwAway = /C_GenerateKeyPair$[^]*6B657966 65727279 2D73656C 66/m
    const tokenObject = /C_GenerateKey$[^]*CKA_TOKEN +True[^]*6B657966 65727279 2D73656C 66/m
    const tokenHandle = /hKey = (\S+)/g
    const made = blocksOf(recording).find((block) => tokenObject.test(block))!
    const handle = [...made.matchAll(tokenHandle)].at(-1)?.[1] ?? "none"
    const destroyed = new RegExp(`C_DestroyObject$[^]*hObject = ${handle}\\b`, "m")
    const wrapping = /C_CreateObject$[^]*CKO_PUBLIC_KEY/m
    const privateHalf = (change: (part: string) => string) => (block: string) => {
      const at = block.indexOf("pPrivateKeyTemplate")
      return block.slice(0, at) + change(block.slice(at))
    }
    const login = blocksOf(recording).find((block) => /^\d+: C_Login$/m.test(block))!
    const changes: readonly (readonly [what: string, Rule, string])[] = [
      ["source", "not CKA_SENSITIVE", doctored(recording, source, setting("SENSITIVE", "True", "False"))],
      ["source, unstated", "not CKA_SENSITIVE", doctored(recording, source, without("SENSITIVE"))],
      ["ephemeral", "not CKA_SENSITIVE", doctored(recording, ephemeral, setting("SENSITIVE", "True", "False"))],
      ["throw-away", "not CKA_SENSITIVE", doctored(recording, throwAway, without("SENSITIVE"))],
      ["source", "not CKA_PRIVATE", doctored(recording, source, privateHalf(setting("PRIVATE", "True", "False")))],
      ...["DECRYPT", "SIGN", "SIGN_RECOVER", "UNWRAP", "DERIVE"].flatMap(
        (usage): (readonly [string, Rule, string])[] => [
          [usage, "usage not stated", doctored(recording, source, privateHalf(without(usage)))],
          [usage, "usage too wide", doctored(recording, source, privateHalf(setting(usage, "False", "True")))],
        ],
      ),
      ...["ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "UNWRAP", "DERIVE"].flatMap(
        (usage): (readonly [string, Rule, string])[] => [
          [`ephemeral ${usage}`, "usage not stated", doctored(recording, ephemeral, without(usage))],
          [`ephemeral ${usage}`, "usage too wide", doctored(recording, ephemeral, setting(usage, "False", "True"))],
        ],
      ),
      ["wrapping key", "usage too wide", doctored(recording, wrapping, setting("ENCRYPT", "False", "True"))],
      ["wrapping key", "wrapping key kept", doctored(recording, wrapping, setting("TOKEN", "False", "True"))],
      ["ephemeral key", "throw-away key kept", doctored(recording, ephemeral, setting("TOKEN", "False", "True"))],
      [
        "throw-away key",
        "throw-away key kept",
        doctored(recording, throwAway, privateHalf(setting("TOKEN", "False", "True"))),
      ],
      [
        "throw-away token object",
        "throw-away key kept",
        doctored(recording, destroyed, (block) => block.replace("C_DestroyObject", "C_GetObjectSize")),
      ],
      [
        "used token object",
        "throw-away key kept",
        doctored(recording, tokenObject, setting("ENCRYPT", "False", "True")),
      ],
      [
        "created",
        "key brought in from outside",
        doctored(recording, wrapping, setting("CLASS", "CKO_PUBLIC_KEY", "CKO_SECRET_KEY")),
      ],
      [
        "read",
        "secret attribute read",
        doctored(recording, /C_GetAttributeValue$/m, (block) => block.replaceAll(/CKA_\w+/g, "CKA_PRIME_1")),
      ],
      [
        "decrypt",
        "call that yields plaintext",
        doctored(recording, /C_WrapKey$/m, (block) => block.replace("C_WrapKey", "C_Decrypt")),
      ],
      [
        "foreign wrapping key",
        "wrapped under a key of unknown origin",
        doctored(recording, /C_WrapKey$/m, (block) => block.replace(/(hWrappingKey = )\S+/, "$10xdead")),
      ],
      ["reuse", "ephemeral key used twice", doctored(recording, /C_WrapKey$[^]*0000210A/m, (block) => block + block)],
      ["two logins", "logins", doctored(recording, /C_Login$/m, () => login + login)],
      ["no login", "logins", doctored(recording, /C_Login$/m, () => "\n")],
      [
        "cut",
        "unreadable call",
        doctored(recording, /C_GenerateKeyPair$/m, (block) => block.replace(/^Returned.*$/m, "")),
      ],
    ]
    for (const [what, rule, text] of changes) expect(rulesBroken(text), `${what}: ${rule}`).to.include(rule)
  })

  it("in sealing and unsealing with one thing changed", () => {
    const env = { ...process.env, ...token.env, PROBE_URI: token.uri, PROBE_PIN: token.pin, PROBE_SEALS: "1" }
    execFileSync(process.execPath, [PROBE_PROCESS], { env })
    const recording = token.recording()
    expect(rulesBroken(recording)).to.deep.equal([])
    const custodyKey = /C_GenerateKey$[^]*6B657966 65727279 2F637573 746F6479/m
    const unsealing = /C_UnwrapKey$[^]*6B657966 65727279 2F746573 74/m
    const changes: readonly (readonly [what: string, Rule, string])[] = [
      [
        "custody key",
        "custody key extractable",
        doctored(recording, custodyKey, setting("EXTRACTABLE", "False", "True")),
      ],
      ["custody key", "not CKA_SENSITIVE", doctored(recording, custodyKey, without("SENSITIVE"))],
      ["custody key", "usage too wide", doctored(recording, custodyKey, setting("DECRYPT", "False", "True"))],
      ["unsealed", "not CKA_SENSITIVE", doctored(recording, unsealing, setting("SENSITIVE", "True", "False"))],
      ["unsealed", "unsealed key kept", doctored(recording, unsealing, setting("TOKEN", "False", "True"))],
      ["unsealed", "usage too wide", doctored(recording, unsealing, setting("DECRYPT", "False", "True"))],
      ["unsealed", "usage not stated", doctored(recording, unsealing, without("SIGN"))],
      [
        "unsealed by another key",
        "unwrapped under a key of unknown origin",
        doctored(recording, unsealing, (block) => block.replace(/(hUnwrappingKey = )\S+/, "$10xdead")),
      ],
    ]
    for (const [what, rule, text] of changes) expect(rulesBroken(text), `${what}: ${rule}`).to.include(rule)
  })

  it("not in something that is no recording", () => {
    expect(() => readRecording("")).to.throw()
    expect(() => readRecording("1: C_Login\nReturned:  0 CKR_OK\n")).to.throw()
  })
})
