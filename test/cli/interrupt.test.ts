import { rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { provisionArgs } from "../support/refusal.js"
import { CAN_MOUNT } from "../support/state-disk.js"
import { keysNamed, setStage, type Stage, tokenObjects } from "../support/stage.js"

describe("provision that is not alone, not welcome, or out of space", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  beforeEach(() => stage.kms.reset())
  after(() => stage[Symbol.asyncDispose]())

  /** The command once more, and exactly one of everything. */
  async function converges(args: readonly string[], state: string, name: string, objects: number): Promise<void> {
    const again = await stage.run([...args, "--json"], { state })
    expect(again.json()).to.include({ outcome: "done" })
    expect((await keysNamed(stage.sdk, name)).map((key) => key.state)).to.deep.equal(["Enabled"])
    expect(tokenObjects(stage.token) - objects).to.equal(1)
  }

  it("keeps a second one out of its state directory, which is told who holds it", async () => {
    const state = stage.state()
    await stage.kms.fault({ kind: "delay", operation: "CreateKey", milliseconds: 25_000 })
    const first = stage.run(provisionArgs({ name: "first" }), { state })
    while ((await stage.kms.counts()).requests["CreateKey"] === undefined) await sleep(20)
    const second = await stage.run([...provisionArgs({ name: "second" }), "--json"], { state })
    const reading = await stage.run(["key", "list", "--json"], { state })
    expect(second.status).to.equal(75)
    expect(second.error().code).to.equal("ERR_STATE_LOCKED")
    expect(second.error().message).to.match(/keyferry provision`, process \d+ on \S+, since \d{4}-/)
    expect(second.stdout).to.equal("")
    expect(await keysNamed(stage.sdk, "second")).to.deep.equal([])
    expect(reading.status, "reading needs no lock").to.equal(0)
    await stage.kms.clearFaults()
    expect((await first).status).to.equal(0)
    expect((await stage.run(provisionArgs({ name: "second" }), { state })).status).to.equal(0)
  })

  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`ends with ${status} on ${signal}, and is taken up`, async () => {
      const state = stage.state()
      const name = signal.toLowerCase()
      const objects = tokenObjects(stage.token)
      await stage.kms.fault({ kind: "delay", operation: "GetParametersForImport", milliseconds: 25_000 })
      const args = provisionArgs({ name })
      const result = await stage.run(args, { state, killAt: /source key/, signal })
      await stage.kms.clearFaults()
      expect(result.status).to.equal(status)
      expect(result.signal).to.equal(null)
      expect(result.stdout).to.equal("")
      expect(result.stderr).to.match(/keyferry: stopped.*again\n$/)
      await converges(args, state, name, objects)
    })
  }

  describe("where files cannot grow", () => {
    /** RLIMIT_FSIZE stands in for a full disk: writes beyond it fail. */
    // a coverage report is a file too: it would not fit, and its complaint would be the last line of stderr
    const limited = (bytes: number): readonly string[] => [
      ...["env", "-u", "NODE_V8_COVERAGE"],
      ...["prlimit", `--fsize=${bytes}`],
    ]

    it("refuses before anything is made", async () => {
      const state = stage.state()
      const objects = tokenObjects(stage.token)
      const result = await stage.run([...provisionArgs({ name: "full" }), "--json"], { state, prefix: limited(0) })
      expect(result.status, result.stderr).to.equal(74)
      expect(result.error().code).to.equal("ERR_STATE_WRITE")
      expect((await stage.kms.counts()).requests["CreateKey"]).to.equal(undefined)
      expect(tokenObjects(stage.token)).to.equal(objects)
      await converges(provisionArgs({ name: "full" }), state, "full", objects)
    })

    it("says what was made when the space ends half-way, and is taken up", async () => {
      const state = stage.state()
      const objects = tokenObjects(stage.token)
      const args = provisionArgs({ name: "filling" })
      const result = await stage.run([...args, "--json"], { state, prefix: limited(1024) })
      const [made] = await keysNamed(stage.sdk, "filling")
      expect(result.status, result.stderr).to.be.oneOf([69, 74])
      expect(result.error().key).to.include(made?.arn)
      await converges(args, state, "filling", objects)
    })
  })

  it("believes no lock file, and follows none", async () => {
    const state = stage.state()
    expect((await stage.run(provisionArgs({ name: "locked" }), { state })).status).to.equal(0)
    writeFileSync(join(state, "lock", "99999999999999999999.json"), "{}")
    writeFileSync(join(state, "lock", "holder.json"), '{"pid":1,"released":false}')
    expect((await stage.run(provisionArgs({ name: "locked" }), { state })).status).to.equal(0)
    rmSync(join(state, "lock", "holder.json"))
    symlinkSync("/etc/hostname", join(state, "lock", "holder.json"))
    const result = await stage.run([...provisionArgs({ name: "locked" }), "--json"], { state })
    expect(result.error()).to.include({ code: "ERR_STATE_UNSAFE" })
    expect(result.error().message).to.match(/holder.json is a symbolic link, not a file/)
    expect(result.status).to.equal(77)
  })

  it("refuses to wait for what is no duration, with nothing made", async () => {
    const state = stage.state()
    const args = [...provisionArgs({ name: "waiting" }), "--lock-timeout", "soon", "--json"]
    const result = await stage.run(args, { state })
    expect(result.status).to.equal(64)
    expect(result.error().message).to.equal("--lock-timeout 'soon' is no duration")
    expect(await keysNamed(stage.sdk, "waiting")).to.deep.equal([])
  })

  describe("in two containers on one volume", () => {
    before(function () {
      if (!CAN_MOUNT) this.skip()
    })
    const prefix = ["unshare", "--pid", "--uts", "--fork", "--mount-proc"]

    it("makes one KMS key: the second is refused, or waits as long as it is told and finds the key made", async () => {
      const state = stage.state()
      const args = provisionArgs({ name: "race" })
      await stage.kms.fault({ kind: "delay", operation: "CreateKey", milliseconds: 60_000 })
      const first = stage.run(args, { state, prefix })
      while ((await stage.kms.counts()).requests["CreateKey"] === undefined) await sleep(20)
      const refused = await stage.run([...args, "--json"], { state, prefix })
      expect(refused.status).to.equal(75)
      expect(refused.error().code).to.equal("ERR_STATE_LOCKED")
      expect(refused.error().message).to.match(/in use by `keyferry provision`, process \d+ on \S+, since /)
      const waiting = stage.run([...args, "--lock-timeout", "5m"], { state, prefix })
      await stage.kms.clearFaults()
      expect((await first).status).to.equal(0)
      expect((await waiting).status).to.equal(0)
      expect(await keysNamed(stage.sdk, "race")).to.have.lengthOf(1)
    })

    it("goes on in another container, with another host name, once the first was killed", async () => {
      const state = stage.state()
      const inContainer = (name: string): readonly string[] => [
        ...prefix,
        "sh",
        "-c",
        `hostname ${name} && exec "$@"`,
        "sh",
      ]
      await stage.kms.fault({ kind: "delay", operation: "CreateKey", milliseconds: 60_000 })
      const seen = (async () => {
        while ((await stage.kms.counts()).requests["CreateKey"] === undefined) await sleep(20)
      })()
      // PID 1 of the namespace goes with unshare, and with it all in there
      const killed = await stage.run(provisionArgs({ name: "moved" }), {
        state,
        prefix: ["unshare", "--kill-child", ...inContainer("first").slice(1)],
        killWhen: seen,
      })
      expect(killed.signal).to.equal("SIGKILL")
      await stage.kms.clearFaults()
      const args = [...provisionArgs({ name: "moved" }), "--lock-timeout", "1m"]
      const next = await stage.run(args, { state, prefix: inContainer("second") })
      expect(next.status, next.stderr).to.equal(0)
      expect(await keysNamed(stage.sdk, "moved")).to.have.lengthOf(1)
    })
  })
})
