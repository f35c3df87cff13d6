import { expect } from "chai"
import { examineToken, type Inspection, type TokenDoor } from "#src/app/doctor/token-checks.js"
import { KeyferryError } from "#src/core/base/error.js"
import { openWorld, overriding, type Run, type World, worldEnvironment } from "../../support/world.js"

const refusal = new KeyferryError("ERR_TOKEN_PIN_REFUSED_BEFORE", "the PIN was refused before")
const unwell = (): Promise<never> => Promise.reject(new KeyferryError("ERR_TOKEN_UNAVAILABLE", "gone"))

describe("doctor's look at a token", () => {
  worldEnvironment()
  let world: World
  let run: Run
  let inspection: Inspection
  before(async () => {
    world = await openWorld()
    run = await world.run()
    inspection = {
      info: run.inToken.info,
      flags: ["initialised"],
      pin: { refusal: null, warning: null, loginRequired: true },
      mechanisms: [{ name: "CKM_RSA_PKCS_OAEP", uses: ["wrap"] }],
    }
  })
  after(() => world[Symbol.asyncDispose]())

  let logins = 0
  const door = (more: Partial<TokenDoor> = {}): TokenDoor => ({
    modulePath: "/usr/lib/token.so",
    load: () => Promise.resolve("a library"),
    inspect: () => Promise.resolve(inspection),
    logIn: () => {
      logins += 1
      return Promise.resolve(run.deps.token)
    },
    ...more,
  })
  const examine = async (more?: Partial<TokenDoor>) => {
    logins = 0
    const { token, lines } = await examineToken(door(more))
    return {
      token,
      lines: lines.map(({ id, status }) => `${id} ${status}`),
      messages: lines.map(({ message }) => message),
    }
  }

  it("goes from the library to what the token can do, and gives it logged in", async () => {
    const { token, lines, messages } = await examine()
    expect(token).to.equal(run.deps.token)
    expect(lines.slice(0, 5)).to.deep.equal(["library ok", "token ok", "claims ok", "pin ok", "login ok"])
    expect(lines).to.include.members(["mechanisms ok", "custody ok", "enforcement ok"])
    expect(messages[0]).to.equal("/usr/lib/token.so loads: a library")
    expect(messages[2]).to.equal("claims to wrap with CKM_RSA_PKCS_OAEP")
  })

  it("goes no further than it comes, and never to a login that must not be tried", async () => {
    expect(await examine({ load: unwell })).to.deep.include({ token: null, lines: ["library fail"] })
    expect(await examine({ inspect: unwell })).to.deep.include({ token: null, lines: ["library ok", "token fail"] })
    expect(logins).to.equal(0)
    const inspect = () => Promise.resolve({ ...inspection, pin: { ...inspection.pin, refusal } })
    const { token, lines, messages } = await examine({ inspect })
    expect(token).to.equal(null)
    expect(lines).to.deep.equal(["library ok", "token ok", "claims ok", "pin fail"])
    expect(messages.at(-1)).to.equal("the PIN was refused before")
    expect(logins, "no try is spent").to.equal(0)
    const failed = await examine({ logIn: unwell })
    expect([failed.token, failed.lines.at(-1)]).to.deep.equal([null, "login fail"])
    expect((await examineToken(null)).lines.map(({ id, status }) => `${id} ${status}`)).to.deep.equal(["library warn"])
  })

  it("warns of a PIN that has few tries left, and of a token that claims to wrap with nothing known", async () => {
    const pin = { refusal: null, warning: "one try is left", loginRequired: true }
    const mechanisms = [
      { name: "CKM_AES_CBC", uses: ["encrypt"] },
      { name: "CKM_0x80000001", uses: ["wrap"] },
    ]
    const { lines, messages } = await examine({ inspect: () => Promise.resolve({ ...inspection, pin, mechanisms }) })
    expect(lines.slice(2, 5)).to.deep.equal(["claims ok", "pin warn", "login ok"])
    expect(messages[2]).to.match(/and 1 others$/)
    const none = await examine({
      inspect: () =>
        Promise.resolve({ ...inspection, mechanisms: [], pin: { ...pin, warning: null, loginRequired: false } }),
    })
    expect(none.lines.slice(2, 4)).to.deep.equal(["claims warn", "pin ok"])
    expect(none.messages[3]).to.equal("the token wants no login")
  })

  it("fails where the token carries nothing, and says which key specs it carries where it carries some", async () => {
    const { token } = run.deps
    const able = (usable: (keySpec: string) => boolean) =>
      overriding(token, {
        selfTest: async (requests) =>
          (await token.selfTest(requests)).map((verdict) => ({
            ...verdict,
            usable: usable(verdict.keySpec),
            reason: "not here",
          })),
      })
    const nothing = await examine({ logIn: () => Promise.resolve(able(() => false)) })
    expect(nothing.lines).to.include("mechanisms fail").and.to.include("mechanisms-refused warn")
    expect(nothing.messages.filter((message) => message.endsWith(": not here"))).to.have.length(1)
    const some = await examine({ logIn: () => Promise.resolve(able((keySpec) => keySpec === "HMAC_256")) })
    expect(some.messages).to.include("proven by self-test: RSAES_OAEP_SHA_256 for HMAC_256")
    const failing = overriding(token, { selfTest: unwell, probeCustody: unwell })
    const failed = await examine({ logIn: () => Promise.resolve(failing) })
    expect(failed.lines.slice(5)).to.deep.equal(["mechanisms fail", "custody fail"])
  })

  it("names each custody that can be used, and each promise that the token does not keep", async () => {
    const { token } = run.deps
    const probed = await token.probeCustody()
    const lax = overriding(token, {
      probeCustody: () =>
        Promise.resolve({
          ...probed,
          facts: { ...probed.facts, extractableOneWay: false },
          verdicts: probed.verdicts.map((verdict) =>
            verdict.custody === "locked" ? { ...verdict, enforced: false, reason: "it can be unlocked" } : verdict,
          ),
        }),
    })
    const { lines, messages } = await examine({ logIn: () => Promise.resolve(lax) })
    expect(lines.slice(-3)).to.deep.equal(["custody ok", "custody-refused warn", "enforcement warn"])
    expect(messages.at(-3)).to.not.include("locked")
    expect(messages.at(-2)).to.equal("locked custody: it can be unlocked")
  })
})
