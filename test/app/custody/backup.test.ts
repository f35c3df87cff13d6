import { expect } from "chai"
import { confirmBackup, type ConfirmRequest } from "#src/app/custody/backup.js"
import { provision } from "#src/app/provision/provision.js"
import type { CustodyKeyRecord } from "#src/core/records/sealed-material.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { HMAC, openWorld, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

const OWNER = "keyferry"

describe("confirmBackup", () => {
  worldEnvironment()
  let world: World
  /** The record of a custody key, as the first sealed key makes it. */
  let first: CustodyKeyRecord
  before(async () => {
    world = await openWorld()
    const { deps } = await world.run()
    await provision(deps, requestFor("backed-up", { ...HMAC, custody: "sealed" }))
    const records = await deps.custodyKeys.list()
    first = records[0]!
  })
  after(() => world[Symbol.asyncDispose]())

  let run: Run
  beforeEach(async () => {
    await world.reset()
    run = await world.run()
  })
  const known = async (...records: readonly CustodyKeyRecord[]): Promise<void> => {
    for (const keyRecord of records) await run.deps.custodyKeys.put(keyRecord)
  }
  const confirm = (request: Partial<ConfirmRequest> = {}) =>
    confirmBackup(run.deps, { owner: OWNER, custodyKey: null, note: null, ...request })
  /** Custody keys whose backup is confirmed, by their IDs. */
  const confirmed = async (): Promise<readonly string[]> =>
    (await run.deps.custodyKeys.list()).filter((one) => one.backupConfirmedAt !== null).map(({ id }) => id)
  const noted = (): readonly unknown[] =>
    custodyEvents(run.stateDir).map(({ event, facts }) => [event, (facts as { id: string }).id])

  const another = (more: Partial<CustodyKeyRecord>): CustodyKeyRecord => ({ ...first, id: "ab".repeat(16), ...more })
  const elsewhere = (): CustodyKeyRecord => another({ token: { ...first.token, serial: "another" } })

  it("is of the newest custody key where none is named", async () => {
    for (const [order, newest] of [
      [[first, another({ createdAt: "2099-01-01T00:00:00Z" })], "ab".repeat(16)],
      [[another({ createdAt: "2000-01-01T00:00:00Z" }), first], first.id],
    ] as const) {
      await known(...order)
      expect(await confirm()).to.include({ outcome: "done", id: newest, note: null })
      expect(await confirmed()).to.deep.equal([newest])
      await world.reset()
      run = await world.run()
    }
  })

  it("is of the one that is named, and of no other owner's", async () => {
    await known(first, another({ createdAt: "2099-01-01T00:00:00Z" }))
    expect(await confirm({ custodyKey: first.id })).to.include({ outcome: "done", id: first.id })
    expect(await confirmed()).to.deep.equal([first.id])
    expect(noted()).to.deep.equal([["custody-key.backup-confirmed", first.id]])
    const error = await expectCode("ERR_KEY_NOT_FOUND", () => confirm({ custodyKey: first.id, owner: "others" }))
    expect(error.hint).to.include("a custody key is made with the first sealed key")
    const unknown = await expectCode("ERR_KEY_NOT_FOUND", () => confirm({ custodyKey: "0000" }))
    expect(unknown.hint).to.include(first.id)
  })

  it("is refused where none is named and several tokens have one", async () => {
    await known(first, elsewhere())
    const error = await expectCode("ERR_KEY_AMBIGUOUS", () => confirm())
    expect(error.hint).to.include(first.id).and.to.include("serial another")
    expect([await confirmed(), noted()]).to.deep.equal([[], []])
    expect(await confirm({ custodyKey: elsewhere().id })).to.deep.include({ outcome: "done", token: elsewhere().token })
  })

  it("said again keeps its first date; a note is written down", async () => {
    await known(first)
    const { backupConfirmedAt } = await confirm()
    await run.deps.sleep(86_400_000)
    expect(await confirm()).to.include({ outcome: "nothing", backupConfirmedAt })
    expect(noted()).to.have.length(1)
    expect(await confirm({ note: "safe 2" })).to.include({ outcome: "done", backupConfirmedAt, note: "safe 2" })
    expect(custodyEvents(run.stateDir).at(-1)?.facts).to.include({ note: "safe 2" })
  })
})
