import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { MAIN } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"
import { block, expectPromised, ROOT } from "../support/docs-blocks.js"
import { freePort } from "../support/free-port.js"
import { PAGED, strangerShell } from "../support/stranger-shell.js"

/** Columns of a terminal that shows every row of a table whole. */
const WIDE = 400
const OPERATOR = {
  AWS_ACCESS_KEY_ID: "AKIALOCALKMSTEST0000",
  AWS_SECRET_ACCESS_KEY: "not-a-secret",
  AWS_REGION: "us-east-1",
}
const ALIAS = `alias keyferry="${process.execPath} ${MAIN}"\n`

interface Situation {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What the reader has done before; its output is looked at by nobody. */
  readonly before?: string
  /** What ends with the block, such as a server that it started. */
  readonly after?: string
  /** Port in the place of the one that the page names; a free one unless it is given. */
  readonly port?: string
}

/** Each page's blocks in their order: a page is one life of its keys. */
describe("the pages of docs/, as they are typed", () => {
  let home: string
  before(() => {
    home = mkdtempSync(join(tmpdir(), "keyferry-pages-"))
  })
  after(() => rmSync(home, { recursive: true, force: true }))

  /** Runs the block of that name; everything in it has to succeed, and say what it promises. */
  const follow = async (name: string, situation: Situation = {}): Promise<string> => {
    const { env = {}, cwd = home, before = "", after = "" } = situation
    const text = block(name)
    const port = situation.port ?? String(await freePort())
    const script = `${before}\n${text}\n${after}`.replaceAll("4599", port)
    const { output } = await strangerShell(script, { home, cwd, env: { TMPDIR: home, ...env }, columns: WIDE })
    expectPromised(text.replaceAll("4599", port), output)
    expect(output).to.not.include(PAGED)
    return output
  }

  describe("with a token and KMS at hand", () => {
    let kms: LocalKmsProcess
    let token: TestToken
    before(async () => {
      kms = await startLocalKms()
      token = softhsmToken()
    })
    after(async () => {
      token.remove()
      await kms.stop()
    })
    /** One host: its state directory, and what of token and KMS it reaches. */
    const host = (state: string, reaches: { readonly token?: boolean; readonly kms?: boolean }): Situation => {
      const cwd = join(home, state)
      mkdirSync(cwd, { recursive: true })
      return {
        cwd,
        before: ALIAS,
        env: {
          KEYFERRY_STATE_DIR: join(cwd, "state"),
          ...(reaches.token === true ? { ...token.env, KEYFERRY_TOKEN: token.uri } : {}),
          ...(reaches.kms === true ? { ...OPERATOR, AWS_ENDPOINT_URL: kms.endpoint } : {}),
        },
      }
    }

    it("json.md", async () => {
      await kms.reset()
      const here = host("json", { token: true, kms: true })
      await follow("json: one key", here)
      await follow("json: many keys", here)
      expect(await follow("json: doctor", here)).to.match(/^\s*$/)
      await follow("json: error", here)
    })

    it("offline.md, on two hosts", async () => {
      await kms.reset()
      const [inside, online] = [host("offline", { token: true }), host("offline", { kms: true })]
      const state = { KEYFERRY_STATE_DIR: join(home, "offline", "state-online") }
      const outside = { ...online, env: { ...online.env, ...state } }
      await follow("offline: at the token", inside)
      const [fingerprint = ""] = /sha256:[0-9a-f]{64}/.exec(await follow("offline: online", outside)) ?? []
      await follow("offline: wrap", { ...inside, env: { ...inside.env, FINGERPRINT: fingerprint } })
      await follow("offline: import", outside)
    })
  })

  it("ci.md, in the checkout", async () => {
    await follow("ci: without a container", { cwd: ROOT })
    const shell = block("ci: without a container")
      .split("\n")
      .filter((line) => line.startsWith("export"))
    await follow("ci: a life", { cwd: ROOT, before: shell.join("\n") })
  })

  it("local-kms.md, against one that it started", async () => {
    const kms = await startLocalKms()
    const port = new URL(kms.endpoint).port
    await follow("local-kms: start", { before: ALIAS, after: "kill %1" })
    for (const name of [
      "local-kms: clock",
      "local-kms: quotas",
      "local-kms: faults",
      "local-kms: lagging lists",
      "local-kms: times, requests, reset",
      "local-kms: policies",
    ]) {
      expect(await follow(name, { port })).to.not.match(/"error":|^curl: /m)
    }
    await kms.stop()
  })

  it("CONTRIBUTING.md, in the checkout", async () => {
    await follow("contributing: one suite", { cwd: ROOT })
  })
})
