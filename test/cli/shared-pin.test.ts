import { expect } from "chai"
import { openWorld, type World } from "#src/host/open.js"
import { KeyferryError } from "#src/core/base/error.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { sharedSofthsmToken } from "#test/support/tokens.js"

describe("a PIN that a token does not take, where agents share a database", () => {
  let server: PostgresServer
  const testToken = sharedSofthsmToken()

  before(async () => {
    server = await startPostgres()
    await using database = await migratedDatabase(server, "pins")
    expect(database.transport).to.equal("socket")
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  const open = (): World =>
    openWorld(
      { token: testToken.uri, region: "eu-west-3", pinSource: "env:PIN" },
      {
        env: { PIN: "31415926", KEYFERRY_STATE_URL: server.urlOf("pins") },
        progress: { step: () => undefined, warn: () => undefined },
        log: { event: () => undefined },
        command: "agent",
      },
    )

  it("is presented once, whoever comes at the same time", async () => {
    const worlds = [open(), open(), open()]
    const codes = await Promise.all(
      worlds.map(async (world) => {
        try {
          await world.token()
          return "taken"
        } catch (error) {
          return error instanceof KeyferryError ? error.code : String(error)
        } finally {
          await world[Symbol.asyncDispose]()
          await world.stored[Symbol.asyncDispose]()
        }
      }),
    )
    expect(codes.sort()).to.deep.equal([
      "ERR_TOKEN_PIN_INCORRECT",
      "ERR_TOKEN_PIN_REFUSED_BEFORE",
      "ERR_TOKEN_PIN_REFUSED_BEFORE",
    ])
  })
})
