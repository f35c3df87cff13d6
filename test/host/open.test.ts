import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { openWorld, type World } from "#src/host/open.js"
import type { Flags } from "#src/host/settings.js"
import { expectCode } from "#test/support/expect-code.js"
import { sharedSofthsmToken } from "#test/support/tokens.js"

/** Refused before anything is sent: plain http goes to loopback only. */
const REFUSED_ENDPOINT = "http://192.0.2.1:80"

describe("the world of a run", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-world-"))
  const testToken = sharedSofthsmToken()
  const steps: string[] = []
  let states = 0
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const newState = (): string => join(folder, String((states += 1)))
  const open = (flags: Flags): World => {
    const progress = { step: (text: string) => void steps.push(text), warn: () => undefined }
    const env = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test", PIN: testToken.pin }
    return openWorld(
      { token: testToken.uri, region: "eu-west-3", pinSource: "env:PIN", ...flags },
      { env, progress, log: { event: () => undefined }, command: "test" },
    )
  }

  it("reads and opens nothing before it is asked for", async () => {
    const stateDir = newState()
    {
      await using world = open({ stateDir, config: join(folder, "missing.yaml"), pinSource: "file:/missing" })
      await expectCode("ERR_CONFIG_INVALID", () => world.settings())
    }
    expect(existsSync(stateDir)).to.equal(false)
  })

  it("opens each part once", async () => {
    await using world = open({ stateDir: newState() })
    expect(await world.settings()).to.equal(await world.settings())
    const [token, again] = await Promise.all([world.token(), world.token()])
    expect(token.info.label).to.equal(testToken.label)
    expect(again).to.equal(token)
    const kms = await world.kms()
    const deps = await world.deps()
    expect(deps.kms).to.equal(kms)
    expect(deps.token).to.equal(token)
    expect(await deps.kmsIn("eu-west-3")).to.equal(kms)
    expect(await deps.kmsIn("eu-west-1")).to.equal(await world.kms(null, "eu-west-1"))
    expect(await world.target()).to.equal("eu-west-3")
  })

  it("does not ask again for a PIN that it did not get", async () => {
    await using world = open({ stateDir: newState(), pinSource: "file:/missing" })
    const failures = await Promise.all([1, 2].map(() => world.token().catch((error: unknown) => error)))
    expect(failures[0]).to.be.an("error")
    expect(failures[1]).to.equal(failures[0])
  })

  it("takes the lock of the state first, then KMS, and reads the PIN last", async () => {
    const stateDir = newState()
    const flags = { stateDir, endpointUrl: REFUSED_ENDPOINT, pinSource: "file:/missing" }
    await using world = open(flags)
    await expectCode("ERR_KMS_ENDPOINT_REFUSED", () => world.deps())
    await using other = open(flags)
    await expectCode("ERR_STATE_LOCKED", () => other.deps())
  })

  it("makes no state directory where no token is given", async () => {
    const stateDir = newState()
    await using world = openWorld(
      { stateDir, region: "eu-west-3" },
      {
        env: {},
        progress: { step: () => undefined, warn: () => undefined },
        log: { event: () => undefined },
        command: "test",
      },
    )
    await expectCode("ERR_USAGE", () => world.deps())
    await expectCode("ERR_USAGE", () => world.withoutKms())
    expect(existsSync(stateDir)).to.equal(false)
  })

  it("says aloud which endpoint was named", async () => {
    await using world = open({ stateDir: newState(), endpointUrl: "http://127.0.0.1:9" })
    steps.length = 0
    await world.kms()
    await world.kms()
    expect(steps).to.deep.equal(["KMS endpoint http://127.0.0.1:9, named by --endpoint-url"])
  })

  it("closes what it opened in the reverse order, and gives the lock back", async () => {
    const stateDir = newState()
    const closed: string[] = []
    {
      await using world = open({ stateDir })
      await world.state({ lock: true })
      world.own({ [Symbol.dispose]: () => void closed.push("first") })
      world.own({ [Symbol.asyncDispose]: () => Promise.resolve(void closed.push("second")) })
    }
    expect(closed).to.deep.equal(["second", "first"])
    await using next = open({ stateDir })
    await next.state({ lock: true })
  })
})
