import { expect } from "chai"
import { generateKeyPairSync } from "node:crypto"
import type { Token } from "#src/core/ports/token.js"
import type { WrapCapability } from "#src/core/key/wrapping.js"
import { KeyferryError } from "#src/core/base/error.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import { openSession } from "#src/pkcs11/session/anchor.js"
import { chooseToken } from "#src/pkcs11/session/choose-token.js"
import { loadModule } from "#src/pkcs11/session/module.js"
import { GENERIC } from "#src/pkcs11/profiles.js"
import { SessionPool } from "#src/pkcs11/session/pool.js"
import type { TestToken } from "#test/support/tokens.js"
import { expectCode } from "#test/support/expect-code.js"
import { newKey, nss, open, softhsm, uriOf } from "../../support/token-fixture.js"

const wrappingKey = parseWrappingKey(
  generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
  "RSA_2048",
)

async function oaep(token: Token): Promise<WrapCapability> {
  const request = {
    keySpec: "SYMMETRIC_DEFAULT",
    wrappingAlgorithm: "RSAES_OAEP_SHA_1",
    wrappingKeySpec: "RSA_2048",
  } as const
  const [capability] = await token.selfTest([request])
  return capability!
}

for (const [name, make] of [
  ["SoftHSM", softhsm],
  ["NSS", nss],
] as const) {
  describe(`many at one time on ${name}`, () => {
    // a token object costs a software token an fsync or two
    for (const [custody, rounds] of [
      ["session", 20],
      ["token", 5],
    ] as const) {
      it(`generates and wraps 8 x ${rounds} ${custody} keys over 8 sessions`, async () => {
        await using token = await open(make(), { sessions: 8 })
        const capability = await oaep(token)
        const results = await Promise.all(
          Array.from({ length: 8 }, async () => {
            const wrapped: string[] = []
            for (let round = 0; round < rounds; round++) {
              const key = await token.generateSourceKey(newKey({ custody }))
              wrapped.push(Buffer.from((await token.wrap(key, wrappingKey, capability)).bytes).toString("base64"))
              await token.destroySourceKey(key)
            }
            return wrapped
          }),
        )
        expect(new Set(results.flat()).size).to.equal(8 * rounds)
        expect(await token.findSourceKeys()).to.deep.equal([])
      })
    }

    it("serves many callers by one session", async () => {
      await using token = await open(make(), { sessions: 1 })
      const keys = await Promise.all(Array.from({ length: 20 }, () => token.generateSourceKey(newKey())))
      expect(new Set(keys.map(({ id }) => id)).size).to.equal(20)
      expect(await token.findSourceKeys()).to.have.lengthOf(20)
    })

    it("closes every session, and session keys go with them", async () => {
      const fixture = make()
      const before = sessionCount(fixture)
      const token = await open(fixture, { sessions: 4 })
      await Promise.all(Array.from({ length: 8 }, () => token.generateSourceKey(newKey())))
      await token[Symbol.asyncDispose]()
      expect(sessionCount(fixture)).to.equal(before)
      await using again = await open(fixture)
      expect(await again.findSourceKeys()).to.deep.equal([])
    })
  })
}

// on NSS, which counts its sessions; SoftHSM 2.6.1 does not
describe("SessionPool", () => {
  const pool = (limit: number) => {
    const module = loadModule(nss().module, { libraryParameters: nss().libraryParameters })
    const { slot } = chooseToken(module, uriOf(nss()))
    const count = (): number => slot.lib.C_GetTokenInfo(slot.handle).sessionCount
    return { module, count, pool: new SessionPool(slot, openSession(slot), { profile: GENERIC, limit }) }
  }
  const failing = (code: string) => () =>
    Promise.reject(new KeyferryError("ERR_TOKEN_UNAVAILABLE", "", { causes: [{ code, message: "C_Test" }] }))

  it("closes a session that may hold an unfinished operation, and keeps one that only failed", async () => {
    const { module, pool: sessions, count } = pool(2)
    try {
      await sessions.withSession(() => undefined)
      expect(count()).to.equal(2)
      await expectCode("ERR_TOKEN_UNAVAILABLE", () => sessions.withSession(failing("CKR_KEY_UNEXTRACTABLE")))
      expect(count()).to.equal(2)
      await expectCode("ERR_TOKEN_UNAVAILABLE", () => sessions.withSession(failing("CKR_OPERATION_ACTIVE")))
      expect(count()).to.equal(1)
      await sessions.withSession((_, loan) => loan.spoil())
      expect(count()).to.equal(1)
      await sessions.drain()
      expect(count()).to.equal(0)
    } finally {
      module[Symbol.dispose]()
    }
  })

  it("keeps a session that holds objects", async () => {
    const { module, pool: sessions, count } = pool(1)
    try {
      await sessions.withSession((_, loan) => loan.pin())
      await expectCode("ERR_TOKEN_UNAVAILABLE", () => sessions.withSession(failing("CKR_OPERATION_ACTIVE")))
      expect(count()).to.equal(2)
    } finally {
      await sessions.drain()
      module[Symbol.dispose]()
    }
  })

  it("lends in order, never one session to two, and goes on after failures", async () => {
    const { module, pool: sessions } = pool(3)
    const lent = new Set<string>()
    const order: number[] = []
    try {
      const work = Array.from({ length: 30 }, (_, index) =>
        sessions
          .withSession(async ({ handle }) => {
            const name = handle.toString("hex")
            expect(lent.has(name)).to.equal(false)
            lent.add(name)
            order.push(index)
            await new Promise((resolve) => setImmediate(resolve))
            lent.delete(name)
            if (index % 3 === 0) await failing("CKR_GENERAL_ERROR")()
          })
          .catch((error: unknown) => {
            if (!(error instanceof KeyferryError)) throw error
          }),
      )
      await Promise.all(work)
      expect(order).to.deep.equal([...order].sort((left, right) => left - right))
    } finally {
      await sessions.drain()
      module[Symbol.dispose]()
    }
  })

  it("settles every waiter once no session opens any more", async () => {
    const { module, pool: sessions } = pool(2)
    const { lib } = module.module
    try {
      const jobs = Array.from({ length: 8 }, (_, index) =>
        sessions.withSession(async () => {
          await new Promise((resolve) => setImmediate(resolve))
          if (index === 1) lib.C_Finalize()
          if (index > 0) await failing("CKR_CRYPTOKI_NOT_INITIALIZED")()
        }),
      )
      const codes = jobs.map((job) =>
        job.then(
          () => "ok",
          (error: unknown) => (error instanceof KeyferryError ? error.code : String(error)),
        ),
      )
      expect(await Promise.all(codes)).to.deep.equal(["ok", ...Array<string>(7).fill("ERR_TOKEN_UNAVAILABLE")])
    } finally {
      await sessions.drain()
      module[Symbol.dispose]()
    }
  })

  it("keeps the anchor, whose end would be the login's, whatever was done in it", async () => {
    const { module, pool: sessions, count } = pool(0)
    try {
      await sessions.withSession((_, loan) => loan.spoil())
      await expectCode("ERR_TOKEN_UNAVAILABLE", () => sessions.withSession(failing("CKR_OPERATION_ACTIVE")))
      expect(count()).to.equal(1)
      await sessions.withSession(({ lib, handle }) => lib.C_GetSessionInfo(handle))
      await sessions.drain()
      expect(count()).to.equal(0)
    } finally {
      module[Symbol.dispose]()
    }
  })

  it("lends the anchor where the token allows a single session", async () => {
    const { module, pool: sessions, count } = pool(0)
    try {
      await Promise.all(Array.from({ length: 5 }, () => sessions.withSession(() => expect(count()).to.equal(1))))
    } finally {
      await sessions.drain()
      module[Symbol.dispose]()
    }
  })
})

/** Sessions of this process on the token, seen by a client beside keyferry. */
function sessionCount(token: TestToken): number {
  using holder = loadModule(token.module, { libraryParameters: token.libraryParameters })
  const { slot } = chooseToken(holder, uriOf(token))
  return slot.lib.C_GetTokenInfo(slot.handle).sessionCount
}
