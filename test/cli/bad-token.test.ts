import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { addSofthsmToken } from "#test/support/tokens.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { provisionArgs, refused, type Refusal } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"

const SYSTEM_LIBRARY = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"]

describe("bad input: module, token and PIN", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  const inFolder = (name: string): string => join(stage.folder, name)
  const withModule = (path: string): string => stage.token.uri.replace(/module-path=[^&]*/, `module-path=${path}`)
  const softhsm = (selectors: string, query = ""): string =>
    `pkcs11:${selectors}?module-path=${stage.token.module}&pin-source=file:${stage.token.pinFile}${query}`

  describe("the module and the URI", () => {
    const rows: readonly (readonly [what: string, uri: () => string, refusal: Refusal])[] = [
      ["a module that is not there", () => withModule("/nonexistent/libhsm.so"), unusable(/libhsm/)],
      ["a text file for a module", () => withModule(inFolder("text.so")), unusable(/text\.so/)],
      ["a folder for a module", () => withModule(stage.folder), unusable(/not a file/)],
      [
        "a shared object that is no PKCS #11 module",
        () => withModule(SYSTEM_LIBRARY.find((path) => existsSync(path)) ?? ""),
        unusable(/libc/),
      ],
      ["a URI without module-path", () => "pkcs11:token=keyferry", { code: "ERR_TOKEN_URI_INVALID", exit: 64 }],
      ["a URI that is none", () => "token=keyferry", { code: "ERR_TOKEN_URI_INVALID", exit: 64 }],
      ["an unknown attribute", () => softhsm("tocken=keyferry"), { code: "ERR_TOKEN_URI_INVALID", exit: 64 }],
      [
        "a PIN in the URI",
        () => softhsm("token=keyferry", `&pin-value=${stage.token.pin}`),
        { code: "ERR_TOKEN_URI_INVALID", exit: 64, tells: /pin-value/ },
      ],
      [
        "a token that is not there",
        () => softhsm("token=elsewhere"),
        { code: "ERR_TOKEN_NOT_FOUND", exit: 69, tells: /keyferry.*serial/ },
      ],
      [
        "a serial number of another token",
        () => softhsm("token=keyferry;serial=0000"),
        { code: "ERR_TOKEN_NOT_FOUND", exit: 69 },
      ],
    ]
    before(() => writeFileSync(inFolder("text.so"), "this is no library\n"))
    inParallel(rows, {
      width: 1,
      name: ([what]) => what,
      lane: sharedLane,
      run: async ([, uri, refusal]) => {
        await refused(stage, provisionArgs({ token: uri() }), refusal)
      },
    })

    it("no token at all", async () => {
      await refused(
        stage,
        provisionArgs(),
        { code: "ERR_USAGE", exit: 64, tells: /--token/ },
        { env: { KEYFERRY_TOKEN: "" } },
      )
    })

    it("a URI that fits two tokens: both are listed", async () => {
      addSofthsmToken(stage.token, "second")
      await refused(stage, provisionArgs({ token: softhsm("manufacturer=SoftHSM%20project") }), {
        code: "ERR_TOKEN_AMBIGUOUS",
        exit: 78,
        tells: /keyferry.*second|second.*keyferry/,
      })
    })
  })

  describe("the PIN source", () => {
    const file = (name: string, content: string): string => {
      writeFileSync(inFolder(name), content, { mode: 0o600 })
      return `file:${inFolder(name)}`
    }
    const source: Refusal = { code: "ERR_PIN_SOURCE", exit: 77 }
    const rows: readonly (readonly [what: string, pinSource: () => string, refusal: Refusal])[] = [
      ["a PIN file that is not there", () => `file:${inFolder("no-pin")}`, { ...source, tells: /ENOENT/ }],
      ["a folder for a PIN file", () => `file:${stage.folder}`, { ...source, tells: /EISDIR/ }],
      ["an empty PIN file", () => file("empty", ""), { ...source, tells: /empty/ }],
      ["a PIN file with a line end only", () => file("line", "\n"), { ...source, tells: /empty/ }],
      ["an environment variable that is not set", () => "env:NO_SUCH_PIN", { ...source, tells: /NO_SUCH_PIN/ }],
      ["a command that fails", () => "exec:exit 3", { ...source, tells: /exit status 3/ }],
      ["a prompt without a terminal", () => "prompt", { ...source, tells: /terminal/ }],
      ["a source of no kind", () => "vault:secret", source],
    ]
    inParallel(rows, {
      width: 1,
      name: ([what]) => what,
      lane: sharedLane,
      run: async ([, pinSource, refusal]) => {
        const state = stage.state()
        await refused(stage, provisionArgs({ "pin-source": pinSource() }), refusal, { state })
        expect(existsSync(join(state, "pin-refused"))).to.equal(false)
      },
    })

    it("a PIN given as the source is not repeated", async () => {
      await refused(stage, provisionArgs({ "pin-source": stage.token.pin }), source)
    })

    it("a PIN file that others can read is warned of, and used", async () => {
      const pinSource = file("readable", stage.token.pin)
      chmodSync(inFolder("readable"), 0o644)
      const result = await stage.run(["key", "list", "--pin-source", pinSource], { state: stage.state() })
      expect(result.status).to.equal(0)
      expect(result.stderr).to.match(/warning: .*readable.*mode 0644/)
    })
  })

  describe("a wrong PIN", () => {
    let state: string
    let pinSource: string
    before(() => {
      state = stage.state()
      writeFileSync(inFolder("wrong-pin"), "not-the-pin-01\n", { mode: 0o600 })
      pinSource = `file:${inFolder("wrong-pin")}`
    })
    const wrong = (...more: string[]): readonly string[] => [...provisionArgs({ "pin-source": pinSource }), ...more]

    it("is presented once, and noted without the PIN", async () => {
      const result = await refused(
        stage,
        wrong(),
        { code: "ERR_TOKEN_PIN_INCORRECT", exit: 77, tells: /C_Login/ },
        { state },
      )
      expect(result.stderr).to.not.include("not-the-pin-01")
      expect(filesUnder(join(state, "pin-refused"))).to.have.length(1)
    })

    it("is not presented again by later runs of any command", async () => {
      const again: Refusal = { code: "ERR_TOKEN_PIN_REFUSED_BEFORE", exit: 77, tells: /--retry-pin/ }
      await refused(stage, wrong(), again, { state })
      await refused(stage, ["key", "list", "--pin-source", pinSource], again, { state })
    })

    it("is presented once more with --retry-pin", async () => {
      await refused(stage, wrong("--retry-pin"), { code: "ERR_TOKEN_PIN_INCORRECT", exit: 77 }, { state })
    })

    it("does not stand in the way of another PIN, whose success does not make it any better", async () => {
      expect((await stage.run(["key", "list"], { state })).status).to.equal(0)
      const again: Refusal = { code: "ERR_TOKEN_PIN_REFUSED_BEFORE", exit: 77 }
      await refused(stage, ["key", "list", "--pin-source", pinSource], again, { state })
    })
  })

  describe("the state directory", () => {
    it("a file in its place", async () => {
      const state = inFolder("occupied")
      writeFileSync(state, "")
      const result = await stage.run([...provisionArgs(), "--json"], { state })
      expect(result.error().code).to.equal("ERR_STATE_WRITE")
      expect(result.status).to.equal(74)
      expect(result.error().hint).to.include("KEYFERRY_STATE_DIR")
      expect((await stage.kms.counts()).requests["CreateKey"]).to.equal(undefined)
    })

    it("damaged inventory is told by `key list`, which may be wrong of that key", async () => {
      const state = stage.state()
      const target = join(state, "inventory", "us-east-1")
      mkdirSync(target, { recursive: true, mode: 0o700 })
      writeFileSync(join(target, "payments.json"), '{"version":1', { mode: 0o600 })
      const list = await stage.run(["key", "list", "--json"], { state })
      expect(list.status, list.stderr).to.equal(65)
      const { unreadable } = list.json() as { unreadable: { name: string; target: string; reason: string }[] }
      expect(unreadable.map(({ name, target: of }) => `${name} ${of}`)).to.deep.equal(["payments us-east-1"])
      expect(unreadable[0]?.reason).to.include("payments.json")
    })

    it("damaged inventory", async () => {
      const state = stage.state()
      const target = join(state, "inventory", "us-east-1")
      mkdirSync(target, { recursive: true })
      writeFileSync(join(target, "payments.json"), '{"version":1')
      await refused(stage, provisionArgs(), { code: "ERR_STATE_INVALID", exit: 65, tells: /payments\.json/ }, { state })
    })
  })
})

function unusable(tells: RegExp): Refusal {
  return { code: "ERR_MODULE_UNUSABLE", exit: 69, tells }
}
