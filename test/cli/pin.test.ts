import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { lyingToken } from "#test/support/liar.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"

/** A real token whose C_Login is counted, and answers as it is told. */
describe("a PIN that a token does not take", () => {
  const folder = temporaryFolder()
  let token: TestToken
  let states = 0
  let calls: string

  before(() => {
    token = lyingToken(softhsmToken())
  })
  after(() => token.remove())
  beforeEach(() => {
    states += 1
    calls = join(folder(), `calls-${states}`)
  })

  /** `key list` by a PIN source; with what the token is told to do. */
  const list = (
    pinSource: string,
    { env = {}, args = [] }: { env?: Readonly<Record<string, string>>; args?: readonly string[] } = {},
  ): Promise<CliResult> =>
    keyferry(["key", "list", "--json", "--pin-source", pinSource, ...args], {
      env: {
        ...token.env,
        KEYFERRY_TOKEN: token.uri,
        KEYFERRY_STATE_DIR: join(folder(), `state-${states}`),
        LIAR_CALLS: calls,
        ...env,
      },
    })
  const presented = (): readonly string[] =>
    existsSync(calls) ? readFileSync(calls, "utf8").trimEnd().split("\n") : []
  const pinFile = (content: string | Uint8Array): string => {
    const path = join(folder(), "pin")
    writeFileSync(path, content, { mode: 0o600 })
    return `file:${path}`
  }
  const refused = (result: CliResult, code: string): ReturnType<CliResult["error"]> => {
    expect(result.status, result.stderr).to.equal(77)
    expect(result.stderr).to.not.include(token.pin)
    expect(result.error().code).to.equal(code)
    return result.error()
  }

  const answers: readonly (readonly [name: string, answer: string, code: string])[] = [
    ["CKR_GENERAL_ERROR", "0x5", "ERR_TOKEN_LOGIN_FAILED"],
    ["CKR_FUNCTION_FAILED", "0x6", "ERR_TOKEN_LOGIN_FAILED"],
    ["CKR_ARGUMENTS_BAD", "0x7", "ERR_TOKEN_LOGIN_FAILED"],
    ["CKR_DEVICE_ERROR", "0x30", "ERR_TOKEN_LOGIN_FAILED"],
    ["CKR_PIN_EXPIRED", "0xa3", "ERR_TOKEN_PIN_UNUSABLE"],
    ["CKR_0x80000300", "0x80000300", "ERR_TOKEN_LOGIN_FAILED"],
  ]
  for (const [name, answer, code] of answers) {
    it(`is presented once where the token answers ${name}, and taken again by --retry-pin`, async () => {
      const source = pinFile(`${token.pin}\n`)
      const first = refused(await list(source, { env: { LIAR_LOGIN: answer } }), code)
      expect(first.causes).to.deep.include({ code: name, message: "C_Login" })
      expect(first.hint).to.match(/--retry-pin|vendor/)
      // the token would take it now, and is not asked
      refused(await list(source), "ERR_TOKEN_PIN_REFUSED_BEFORE")
      expect(presented()).to.deep.equal([token.pin])
      expect((await list(source, { args: ["--retry-pin"] })).status).to.equal(0)
    })
  }

  it("is known wherever it comes from, and another is presented", async () => {
    refused(await list(pinFile("wrong-01\n")), "ERR_TOKEN_PIN_INCORRECT")
    for (const source of [pinFile("wrong-01\n"), pinFile("wrong-01"), "exec:echo wrong-01", "env:WRONG"]) {
      refused(await list(source, { env: { WRONG: "wrong-01" } }), "ERR_TOKEN_PIN_REFUSED_BEFORE")
    }
    refused(await list("exec:echo wrong-02"), "ERR_TOKEN_PIN_INCORRECT")
    expect((await list(pinFile(token.pin))).status).to.equal(0)
    refused(await list("exec:echo wrong-01"), "ERR_TOKEN_PIN_REFUSED_BEFORE")
    expect(presented()).to.deep.equal(["wrong-01", "wrong-02", token.pin])
  })

  it("is not presented again after a kill between the refusal and its note", async () => {
    const killed = await list("exec:echo wrong-01", { env: { LIAR_LOGIN: "killed" } })
    expect(killed.signal).to.equal("SIGKILL")
    expect(refused(await list("exec:echo wrong-01"), "ERR_TOKEN_PIN_REFUSED_BEFORE").message).to.include("not known")
    expect((await list(pinFile(token.pin), { args: ["--retry-pin"] })).status).to.equal(0)
    expect(presented()).to.deep.equal(["wrong-01", token.pin])
  })

  it("is not taken for refused after a kill while it was right", async () => {
    const source = pinFile(token.pin)
    expect((await list(source, { env: { LIAR_LOGIN: "killed" } })).signal).to.equal("SIGKILL")
    expect((await list(source)).status).to.equal(0)
  })

  const odd: readonly (readonly [name: string, content: string | Uint8Array, tells: RegExp])[] = [
    ["a byte order mark", "\ufeff12345678\n", /byte order mark/],
    ["a NUL", "12345678\0\n", /NUL/],
    ["Latin-1", Buffer.from("ge\u00e4ndert\n", "latin1"), /UTF-8/],
    ["a second line", "12345678\nsecond\n", /line end/],
    ["fewer bytes than the token takes", "123\n", /too short .* at least 4/],
    ["more bytes than the token takes", `${"1".repeat(256)}\n`, /too long .* at most 255/],
  ]
  for (const [name, content, tells] of odd) {
    it(`is refused before the token is asked: ${name}`, async () => {
      const error = refused(await list(pinFile(content)), "ERR_PIN_SOURCE")
      expect(error.message).to.match(tells)
      expect(presented()).to.deep.equal([])
    })
  }

  it("stays refused from the times of keyferry 0.1.0, whichever it was", async () => {
    const seen = await keyferry(["token", "list", "--module", token.module, "--json"], { env: token.env })
    const { slots } = seen.json() as { slots: { token: { label: string; serial: string; manufacturer: string } }[] }
    const { serial, label, manufacturer } = slots.find((slot) => slot.token.label === token.label)!.token
    const name = createHash("sha256")
      .update(JSON.stringify([serial, label, manufacturer, null]))
      .digest("hex")
    const marked = join(folder(), `state-${states}`, "pin-refused")
    mkdirSync(marked, { recursive: true })
    writeFileSync(
      join(marked, `${name.slice(0, 32)}.json`),
      JSON.stringify({
        token: { serial, label, manufacturer, libraryParameters: null },
        sourceDigest: `sha256:${"0".repeat(64)}`,
        modifiedNs: "1",
        refusedAt: "2026-01-01T00:00:00.000Z",
      }),
    )
    const source = pinFile(token.pin)
    refused(await list(source), "ERR_TOKEN_PIN_REFUSED_BEFORE")
    expect(presented()).to.deep.equal([])
    expect((await list(source, { args: ["--retry-pin"] })).status).to.equal(0)
    expect((await list(source)).status).to.equal(0)
  })

  describe("at a token with a keypad of its own", () => {
    it("logs in with what is typed there, and reads no PIN source", async () => {
      const result = await list("file:/nonexistent", { env: { LIAR_PIN: token.pin } })
      expect(result.status, result.stderr).to.equal(0)
      expect(presented()).to.deep.equal(["no PIN"])
    })

    it("says that what was typed is wrong, and may be asked again", async () => {
      const error = refused(await list("prompt", { env: { LIAR_PIN: "wrong-01" } }), "ERR_TOKEN_PIN_INCORRECT")
      expect(error.message).to.include("keypad")
      expect((await list("prompt", { env: { LIAR_PIN: token.pin } })).status).to.equal(0)
      expect(presented()).to.deep.equal(["no PIN", "no PIN"])
    })
  })
})
