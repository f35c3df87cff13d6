import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { hostClock } from "../support/host-clock.js"
import { keyferry } from "../support/cli.js"
import { custodyEvents } from "../support/custody-events.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, keysNamed, setStage, type Stage } from "../support/stage.js"

interface Archived {
  readonly digest: string
  readonly exportedAt: string
  readonly counts: Readonly<Record<string, number>>
  readonly damaged: readonly { readonly path: string }[]
  readonly left: readonly string[]
}

describe("a backup of the state directory", () => {
  let stage: Stage
  let state: string
  let archive: string
  let exported: Archived
  /** What an archive holds of a state directory, by path. */
  const kept = (folder: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      filesUnder(folder)
        .filter((path) => /^(inventory|vault|custody-keys|operations|pin-refused)\//.test(path))
        .map((path) => [path, readFileSync(join(folder, path), "utf8")]),
    )
  const json = (result: { readonly stdout: string }): Archived => JSON.parse(result.stdout) as Archived
  let number = 0
  const file = (): string => join(stage.folder, `archive-${(number += 1)}.jsonl`)

  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
    state = stage.state()
    for (const name of ["ba", "bb"]) {
      expect((await stage.run(provisionArgs({ name, custody: "sealed" }), { state })).status).to.equal(0)
    }
    const status = await stage.run(["status"], { state })
    expect(status.stdout).to.match(/backup: the state was never exported: `keyferry state export FILE`\n$/)
    archive = file()
    const result = await stage.run(["state", "export", archive, "--json"], { state })
    expect(result.status, result.stderr).to.equal(0)
    exported = json(result)
  })
  after(() => stage[Symbol.asyncDispose]())

  it("is one file, for its owner's eyes, that says what is inside and holds no plaintext", async () => {
    expect(statSync(archive).mode & 0o777).to.equal(0o600)
    const lines = custodyEvents(state).length
    expect(exported.counts).to.include({ inventory: 2, vault: 2, custodyKeys: 1, custodyLogLines: lines })
    expect([exported.damaged, exported.left]).to.deep.equal([[], []])
    const text = readFileSync(archive, "utf8")
    const before = text.slice(0, text.trimEnd().lastIndexOf("\n") + 1)
    expect(exported.digest).to.equal(`sha256:${createHash("sha256").update(before).digest("hex")}`)
    const again = await stage.run(["state", "export", archive, "--json"], { state })
    expect(again.status).to.equal(73)
    expect(readFileSync(archive, "utf8"), "never overwritten").to.equal(text)
    const inside = await stage.run(["state", "export", join(state, "backup.jsonl"), "--json"], { state })
    expect(inside.status).to.equal(64)
  })

  it("is restored to the end: the same keys, which are imported again, rotated and verified from it", async () => {
    const restored = join(stage.folder, "restored")
    const result = await stage.run(["state", "import", archive, "--json"], { state: restored })
    expect(result.status, result.stderr).to.equal(0)
    expect(json(result)).to.deep.include({ digest: exported.digest, counts: exported.counts })
    expect(kept(restored)).to.deep.equal(kept(state))
    expect(statSync(restored).mode & 0o777).to.equal(0o700)
    expect(custodyEvents(restored).at(-1)).to.deep.include({
      event: "state.imported",
      facts: { exportedAt: exported.exportedAt, digest: exported.digest },
    })
    const arns = async (): Promise<readonly string[]> => (await keysNamed(stage.sdk, "ba")).map(({ arn }) => arn)
    const keys = await arns()
    const rewrap = await stage.run(["rewrap", "--all", "--json"], { state: restored })
    expect(rewrap.status, rewrap.stderr).to.equal(0)
    const rotate = await stage.run(["rotate", "ba", "--json"], { state: restored })
    expect(rotate.status, rotate.stderr).to.equal(0)
    expect(await arns()).to.deep.equal(keys)
    const verified = await stage.run(["verify", "--json"], { state: restored })
    expect(verified.status, verified.stderr).to.equal(0)
    const second = await stage.run(["state", "import", archive, "--json"], { state: restored })
    expect(second.error().code).to.equal("ERR_STATE_NOT_EMPTY")
    expect(second.error().hint).to.include("keyferry state merge")
    expect(second.status).to.equal(78)
  })

  it("is told of by doctor and status, with what came after it", async () => {
    const own = join(stage.folder, "told")
    await stage.run(["state", "import", archive], { state: own })
    appendFileSync(join(own, "state.json"), "")
    const lines = async () => {
      const { checks } = (await stage.run(["doctor", "--json"], { state: own })).json() as {
        checks: { id: string; status: string; message: string; hint: string | null }[]
      }
      return checks.filter(({ id }) => id === "backup")
    }
    const [line] = await lines()
    expect(line).to.include({ status: "warn", hint: "keyferry state export FILE, and keep FILE on another machine" })
    expect(line?.message).to.equal(
      `the state was last exported on ${exported.exportedAt}, and lines of the custody log since then: 1`,
    )
    const status = await stage.run(["status", "--json"], { state: own })
    expect(status.json()).to.deep.include({ backup: { exportedAt: exported.exportedAt, linesSince: 1 } })
    await stage.run(["state", "export", file()], { state: own })
    expect((await lines())[0]).to.include({ status: "ok" })
  })

  it("waits for a run that has the state, and holds one moment of it", async () => {
    const own = join(stage.folder, "busy")
    await stage.run(["state", "import", archive], { state: own })
    await stage.kms.clearCounts()
    await stage.kms.fault({ kind: "delay", operation: "ImportKeyMaterial", milliseconds: 60_000 })
    const rewrap = stage.run(["rewrap", "bb"], { state: own })
    while ((await stage.kms.counts()).requests["ImportKeyMaterial"] === undefined) await sleep(20)
    const impatient = await stage.run(["state", "export", file(), "--lock-timeout", "0", "--json"], { state: own })
    expect(impatient.error().code).to.equal("ERR_STATE_LOCKED")
    const target = file()
    const waiting = stage.run(["state", "export", target, "--json"], { state: own })
    await stage.kms.clearFaults()
    expect((await rewrap).status).to.equal(0)
    expect((await waiting).status).to.equal(0)
    const restored = join(stage.folder, "busy-restored")
    expect((await stage.run(["state", "import", target], { state: restored })).status).to.equal(0)
    expect(kept(restored)).to.deep.equal(kept(own))
  })

  it("keeps a damaged file as it was, says so, and is restored with it", async () => {
    const own = join(stage.folder, "damaged")
    await stage.run(["state", "import", archive], { state: own })
    const path = filesUnder(own).find((name) => name.endsWith("/bb.json")) ?? ""
    writeFileSync(join(own, path), "garbage")
    writeFileSync(join(own, "notes.txt"), "of a person")
    const target = file()
    const result = await stage.run(["state", "export", target, "--json"], { state: own })
    expect(result.status).to.equal(65)
    expect(json(result)).to.deep.include({ damaged: [{ path, reason: "it is not JSON" }], left: ["notes.txt"] })
    const restored = join(stage.folder, "damaged-restored")
    expect((await stage.run(["state", "import", target], { state: restored })).status).to.equal(0)
    expect(readFileSync(join(restored, path), "utf8")).to.equal("garbage")
  })

  it("closes earlier years of the log, and is restored with them", async () => {
    const own = join(stage.folder, "rotated")
    await stage.run(["state", "import", archive], { state: own })
    const text = readFileSync(join(own, "custody.log.jsonl"), "utf8")
    const later = { env: hostClock(400 * 86_400) }
    const rotated = await stage.run(["log", "rotate", "--json"], { state: own, ...later })
    expect(rotated.status, rotated.stderr).to.equal(0)
    const [closed = ""] = readdirSync(own).filter((name) => /^custody\.log\.\d{4}\.jsonl$/.test(name))
    expect(readFileSync(join(own, closed), "utf8")).to.equal(text)
    const target = file()
    const again = await stage.run(["state", "export", target, "--json"], { state: own })
    expect(json(again).counts["custodyLogLines"]).to.equal(text.split("\n").length)
    const restored = join(stage.folder, "rotated-restored")
    expect((await stage.run(["state", "import", target], { state: restored })).status).to.equal(0)
    expect(statSync(join(restored, closed)).mode & 0o777).to.equal(0o400)
    expect(readFileSync(join(restored, closed), "utf8")).to.equal(text)
  })

  describe("that is not what was written", () => {
    const lines = (): string[] => readFileSync(archive, "utf8").split("\n").slice(0, -1)
    /** With a digest that fits again: what an intruder would do. */
    const signed = (changed: readonly string[]): string => {
      const body = changed.map((line) => `${line}\n`).join("")
      const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`
      return `${body}${JSON.stringify({ pieces: changed.length - 1, digest })}\n`
    }
    const withPiece = (piece: object): string => signed([...lines().slice(0, -1), JSON.stringify(piece)])
    const changedPiece = (path: RegExp, change: (content: string) => string): string =>
      signed(
        lines()
          .slice(0, -1)
          .map((line) => {
            const piece = JSON.parse(line) as { path?: string; content: string }
            return path.test(piece.path ?? "") ? JSON.stringify({ ...piece, content: change(piece.content) }) : line
          }),
      )
    const cases: [what: string, text: () => string, message: RegExp][] = [
      [
        "one byte another",
        () => readFileSync(archive, "utf8").replace("/ba.json", "/bx.json"),
        /bx.json: it is the file of/,
      ],
      ["its end cut off", () => readFileSync(archive, "utf8").slice(0, -200), /end is missing|not JSON/],
      ["its last line cut off", () => `${lines().slice(0, -1).join("\n")}\n`, /its end is missing/],
      [
        "something behind its end",
        () => `${readFileSync(archive, "utf8")}{}\n`,
        /follows the line that should be the last/,
      ],
      ["nothing", () => "", /its end is missing/],
      [
        "a path that leads out",
        () => withPiece({ path: "inventory/../../x.json", content: "{}", damage: null }),
        /is no file of a state directory/,
      ],
      [
        "an absolute path",
        () => withPiece({ path: "/etc/passwd", content: "x", damage: null }),
        /is no file of a state directory/,
      ],
      [
        "a path of the lock",
        () => withPiece({ path: "lock/holder.json", content: "x", damage: "x" }),
        /is no file of a state directory/,
      ],
      ["a file twice", () => signed([...lines().slice(0, -1), lines()[1] ?? ""]), /comes twice/],
      [
        "an inventory file that keyferry would not read",
        () => changedPiece(/^inventory/, () => "{}"),
        /inventory\/.*: /,
      ],
      [
        "a vault file that was changed",
        () => changedPiece(/^vault/, (text) => text.replace('"generation": 0', '"generation": 1')),
        /digest does not fit/,
      ],
      [
        "a line of the custody log left out",
        () => changedPiece(/^custody.log/, (text) => text.slice(text.indexOf("\n") + 1)),
        /does not continue|seq/,
      ],
      [
        "a custody log that ends earlier",
        () => changedPiece(/^custody.log/, (text) => text.slice(0, text.trimEnd().lastIndexOf("\n") + 1)),
        /does not end where it says/,
      ],
      ["another program's file", () => "PK\u0003\u0004\n", /not JSON/],
    ]
    it("is refused by name, with nothing written", async () => {
      const target = join(stage.folder, "refused")
      for (const [what, text, message] of cases) {
        const path = file()
        writeFileSync(path, text())
        const result = await keyferry(["state", "import", path, "--json"], { env: { KEYFERRY_STATE_DIR: target } })
        expect(result.status, what).to.equal(65)
        expect(result.error().code, what).to.equal("ERR_STATE_ARCHIVE_INVALID")
        expect(result.error().message, what).to.match(message)
        expect(existsSync(target), what).to.equal(false)
      }
    })
  })

  it("that was stopped while it was restored stops every other command, and is finished by the same one", async () => {
    const own = join(stage.folder, "stopped")
    mkdirSync(own, { mode: 0o700 })
    writeFileSync(join(own, "importing.json"), JSON.stringify({ digest: exported.digest }))
    mkdirSync(join(own, "inventory"), { mode: 0o700 })
    const status = await stage.run(["status", "--json"], { state: own })
    expect(status.error().message).to.match(/was stopped half-way/)
    const another = file()
    await stage.run(["state", "export", another], { state })
    const other = await stage.run(["state", "import", another, "--json"], { state: own })
    expect(other.error().code).to.equal("ERR_STATE_NOT_EMPTY")
    expect((await stage.run(["state", "import", archive], { state: own })).status).to.equal(0)
    expect(kept(own)).to.deep.equal(kept(state))
    expect(existsSync(join(own, "importing.json"))).to.equal(false)
  })

  describe("a state directory that others can write", () => {
    const places: [what: string, spoil: (state: string) => void, message: RegExp, hint: RegExp][] = [
      ["by its mode", (path) => chmodSync(path, 0o777), /can be written by everybody \(mode 0777\)/, /^chmod go-w /],
      ["by its group", (path) => chmodSync(path, 0o770), /can be written by its group/, /^chmod go-w /],
      ["by its owner", (path) => void execFileSync("chown", ["4711", path]), /by user 4711, whose it is/, /chown 0 /],
      [
        "by a parent's mode",
        (path) => chmodSync(join(path, ".."), 0o777),
        /put another state directory in the place/,
        /^chmod o-w /,
      ],
    ]
    for (const [what, spoil, message, hint] of places) {
      it(`is refused by every command, and by doctor with the fix: ${what}`, async () => {
        const parent = join(stage.folder, `open-${what.replaceAll(" ", "-")}`)
        const own = join(parent, "state")
        mkdirSync(own, { recursive: true, mode: 0o700 })
        spoil(own)
        for (const args of [["status"], ["provision", "--name", "x", "--key-spec", "SYMMETRIC_DEFAULT"]]) {
          const result = await stage.run([...args, "--json"], { state: own })
          expect(result.status, args[0]).to.equal(77)
          expect(result.error().code).to.equal("ERR_STATE_UNSAFE")
          expect(result.error().message).to.match(message)
        }
        const doctor = await stage.run(["doctor", "--json"], { state: own })
        const { checks } = doctor.json() as { checks: { id: string; status: string; message: string; hint: string }[] }
        const line = checks.find(({ id }) => id === "state")
        expect(line?.status).to.equal("fail")
        expect(line?.message).to.match(message)
        expect(line?.hint).to.match(hint)
        expect(doctor.status).to.equal(77)
      })
    }
  })

  it("names every link, pipe and writable file to doctor, each with its fix", async () => {
    const own = join(stage.folder, "spoiled")
    await stage.run(["state", "import", archive], { state: own })
    const [first = "", second = ""] = filesUnder(own).filter((path) => path.startsWith("inventory/"))
    chmodSync(join(own, first), 0o666)
    rmSync(join(own, second))
    symlinkSync("/etc/hostname", join(own, second))
    const status = await stage.run(["status"], { state: own })
    expect(status.status).not.to.equal(0)
    const { checks } = (await stage.run(["doctor", "--json"], { state: own })).json() as {
      checks: { id: string; status: string; message: string; hint: string }[]
    }
    const faults = checks.filter(({ id, status: verdict }) => id === "state" && verdict === "fail")
    expect(faults.map(({ message }) => message)).to.deep.equal([
      `${join(own, first)} can be written by everybody (mode 0666)`,
      `${join(own, second)} is a symbolic link, not a file`,
    ])
    expect(faults[0]?.hint).to.equal(`chmod go-w ${join(own, first)}`)
  })
})
