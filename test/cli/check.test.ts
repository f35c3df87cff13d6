import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { AcceptedFinding } from "#src/core/plan/acceptance.js"
import type { CliResult } from "../support/cli.js"
import { hostClock } from "../support/host-clock.js"
import { filesUnder, keysNamed, setStage, type Stage } from "../support/stage.js"

const DAY_S = 86_400

interface Checked {
  readonly status: string
  readonly checks: readonly AcceptedFinding[]
  readonly perfdata: string
}

describe("check", () => {
  let stage: Stage
  let state: string
  let config: string
  let seconds = 0

  const manifest = (more = "", endpoint = stage.kms.endpoint): string => `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys:
  dies: { keySpec: HMAC_256 }
  last: { keySpec: HMAC_256, custody: sealed }
  short: { keySpec: HMAC_256, expiresIn: 20d }
${more}`
  const run = (...args: readonly string[]): Promise<CliResult> =>
    stage.run([...args, "--config", config], { state, env: hostClock(seconds) })
  const checked = async (...args: readonly string[]) => {
    const ended = await run("check", "--json", ...args)
    const { status, checks, perfdata } = ended.json() as Checked
    const ids = checks.map(({ id, status: is, name, target }) => `${is} ${id}:${name ?? target ?? ""}`)
    return { exit: ended.status, status, ids: ids.sort(), checks, perfdata }
  }
  const passDays = async (days: number): Promise<void> => {
    seconds += days * DAY_S
    await stage.kms.clock.advance(days * DAY_S)
  }
  const deleteMaterial = async (name: string): Promise<void> => {
    for (const { arn } of await keysNamed(stage.sdk, name)) await stage.sdk.deleteImportedKeyMaterial({ KeyId: arn })
  }

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "check.yaml")
    writeFileSync(config, manifest())
    const made = await run("apply")
    expect(made.status, made.stdout + made.stderr).to.equal(0)
  })
  after(() => stage[Symbol.asyncDispose]())

  it("warns of a custody key without a backup", async () => {
    const { exit, status, ids, checks } = await checked()
    expect([exit, status]).to.deep.equal([1, "warning"])
    expect(ids).to.deep.equal(["warning BACKUP_UNCONFIRMED:keyferry/custody/keyferry/1"])
    expect(checks[0]?.hint).to.include("keyferry key backup-confirmed")
    const accepted = await checked("--accept", "BACKUP_UNCONFIRMED:keyferry/custody/keyferry/1")
    expect([accepted.exit, accepted.ids]).to.deep.equal([0, ["ok BACKUP_UNCONFIRMED:keyferry/custody/keyferry/1"]])
  })

  it("is one line with performance data, and 0, where all is well; it spends nothing", async () => {
    expect((await run("key", "backup-confirmed")).status).to.equal(0)
    const before = await stage.footprint(state)
    const well = await run("check")
    expect([well.status, well.stderr.includes("warning")]).to.deep.equal([0, false])
    expect(well.stdout).to.match(
      /^KEYFERRY OK - 3 keys well \| keys=3;;;0 dead=0;;0;0 expiring=0;;;0 lost_sources=0;;;0 unseen=0;;;0 first_expiry=17\d{5}s;1209600:;259200: clock_offset=-?\d+s;-60:60;-300:300\n$/,
    )
    expect(await checked()).to.deep.include({ exit: 0, status: "ok", ids: [] })
    expect(await stage.footprint(state)).to.deep.equal(before)
  })

  it("does not call a key well that the configuration names and that is not provisioned yet", async () => {
    writeFileSync(config, `${manifest()}  later: { keySpec: HMAC_256 }\n`)
    const line = await run("check")
    expect(line.status, line.stdout).to.equal(0)
    expect(line.stdout).to.match(/^KEYFERRY OK - 3 keys well; 1 not provisioned yet \| keys=4;/)
    expect(await checked()).to.deep.include({ exit: 0, status: "ok", ids: [] })
    writeFileSync(config, manifest())
  })

  it("says that no key is known where nobody names one", async () => {
    const { status, stdout } = await stage.run(
      ["check", "--region", "eu-west-1", "--endpoint-url", stage.kms.endpoint],
      { state: stage.state() },
    )
    expect([status, stdout.startsWith("KEYFERRY OK - no key is known: neither a configuration file")]).to.deep.equal([
      0,
      true,
    ])
  })

  it("warns of what dies before it was helped, then is critical, by --warn and --crit", async () => {
    expect((await checked("--warn", "19d")).exit).to.equal(0)
    expect((await checked("--warn", "20d")).ids).to.deep.equal(["warning EXPIRES_SOON:short"])
    await passDays(7)
    expect(await checked()).to.deep.include({ exit: 1, ids: ["warning EXPIRES_SOON:short"] })
    await passDays(10.5)
    expect(await checked()).to.deep.include({ exit: 2, status: "critical", ids: ["critical EXPIRES_SOON:short"] })
    expect(await checked("--crit", "1d")).to.deep.include({ exit: 1 })
    expect(await checked("--warn", "1d", "--crit", "12h")).to.deep.include({ exit: 0 })
    const line = await run("check")
    expect(line.status).to.equal(2)
    expect(line.stdout).to.match(
      /^KEYFERRY CRITICAL - short \(here\): KMS loses its key material on \S+ \[EXPIRES_SOON\] \| /,
    )
  })

  it("is critical of an expired key and of one whose material was deleted, with the command for it", async () => {
    await passDays(3)
    await deleteMaterial("dies")
    const { exit, ids, checks, perfdata } = await checked()
    expect([exit, ids]).to.deep.equal([2, ["critical EXPIRED:short", "critical MATERIAL_DELETED:dies"]])
    expect(checks.map(({ hint }) => hint)).to.deep.equal([
      "keyferry recover dies --yes, if it is to come back",
      "keyferry recover short",
    ])
    expect(perfdata).to.include(" dead=2;;0;0 ")
  })

  it("is silent about what is accepted, by flag and by configuration, and no longer than that", async () => {
    const now = await stage.kms.clock.now()
    const today = now.toISOString().slice(0, 10)
    const before = new Date(now.getTime() - DAY_S * 1000).toISOString().slice(0, 10)
    const flags = ["--accept", `EXPIRED:short=${today}`, "--accept", "MATERIAL_DELETED:dies"]
    const silent = await checked(...flags)
    expect([silent.exit, silent.ids]).to.deep.equal([0, ["ok EXPIRED:short", "ok MATERIAL_DELETED:dies"]])
    expect((await run("check", ...flags)).stdout).to.match(/^KEYFERRY OK - 1 key well; 2 accepted \| /)
    // another reason, another name
    expect((await checked("--accept", "EXPIRED:dies", "--accept", "MATERIAL_DELETED:short")).exit).to.equal(2)

    writeFileSync(config, manifest(`accept: { "EXPIRED:short": ${today}, "MATERIAL_DELETED:dies": ${before} }\n`))
    const half = await checked()
    expect([half.exit, half.ids]).to.deep.equal([2, ["critical MATERIAL_DELETED:dies", "ok EXPIRED:short"]])
    expect(half.checks.find(({ name }) => name === "dies")?.message).to.match(/; it was accepted until \S+$/)
    await passDays(1)
    expect((await checked()).ids).to.deep.equal(["critical EXPIRED:short", "critical MATERIAL_DELETED:dies"])
    writeFileSync(config, manifest())
    expect((await run("recover", "--yes")).status).to.equal(0)
    expect((await checked()).exit).to.equal(0)
  })

  it("is critical of a lost source", async () => {
    const [file = ""] = filesUnder(join(state, "vault"))
    const path = join(state, "vault", file)
    const whole = readFileSync(path)
    rmSync(path)
    expect(await checked()).to.deep.include({ exit: 2, ids: ["critical SOURCE_MISSING:last"] })
    writeFileSync(path, whole, { mode: 0o600 })
    expect((await checked()).exit).to.equal(0)
  })

  it("names a host's clock that is off: a warning from one minute on, critical from five", async () => {
    seconds += 120
    expect(await checked()).to.deep.include({ exit: 1, ids: ["warning CLOCK_SKEW:here"] })
    seconds += 480
    const skewed = await checked()
    expect(skewed).to.deep.include({ exit: 2, ids: ["critical CLOCK_SKEW:here"] })
    expect(skewed.perfdata).to.match(/clock_offset=(598|599|600|601|602)s;/)
    expect((await checked("--accept", "CLOCK_SKEW:here")).exit).to.equal(0)
    seconds -= 600
  })

  it("finds a custody log of which a line was changed, as doctor does", async () => {
    const log = join(state, "custody.log.jsonl")
    const whole = readFileSync(log, "utf8")
    const examined = async () => {
      const { stdout } = await run("doctor", "--json")
      const { checks } = JSON.parse(stdout) as { checks: readonly { id: string; status: string; message: string }[] }
      return checks.find(({ id }) => id === "custody-log")
    }
    expect(await examined()).to.deep.include({ status: "ok" })
    writeFileSync(log, whole.replace(/"time":"20(\d\d)/, '"time":"19$1'))
    expect(await checked()).to.deep.include({ exit: 2, ids: ["critical CUSTODY_LOG_BROKEN:custody-log"] })
    const line = await examined()
    expect(line).to.deep.include({ status: "fail" })
    expect(line?.message).to.include("line 1 was changed")
    writeFileSync(log, whole)
    expect((await checked()).exit).to.equal(0)
  })

  it("refuses an acceptance of what it could never find", async () => {
    const misspelt = await run("check", "--accept", "CLOCK_SKEWED:here=2099-12-31", "--json")
    expect([misspelt.status, misspelt.error().code]).to.deep.equal([3, "ERR_USAGE"])
    writeFileSync(config, manifest('accept: { "EXPIRE_SOON:dies": 2099-12-31 }\n'))
    expect(await checked()).to.deep.include({ exit: 3, ids: [`unknown ERR_CONFIG_INVALID:${config}`] })
    writeFileSync(config, manifest())
  })

  it("cannot tell of an entry that cannot be read, of a KMS that does not answer, of a token that is not there", async () => {
    const entry = filesUnder(join(state, "inventory")).find((file) => file.includes("dies")) ?? ""
    const path = join(state, "inventory", entry)
    const whole = readFileSync(path)
    writeFileSync(path, "garbage")
    expect(await checked()).to.deep.include({ exit: 3, status: "unknown", ids: ["unknown ENTRY_UNREADABLE:dies"] })
    // of several the worst counts
    await deleteMaterial("short")
    const mixed = await checked()
    expect([mixed.exit, mixed.ids]).to.deep.equal([
      2,
      ["critical MATERIAL_DELETED:short", "unknown ENTRY_UNREADABLE:dies"],
    ])
    expect((await checked("--accept", "MATERIAL_DELETED:short")).exit).to.equal(3)
    writeFileSync(path, whole)
    expect((await run("recover", "short", "--yes")).status).to.equal(0)

    writeFileSync(config, manifest("", "http://127.0.0.1:9"))
    const unreached = await checked()
    expect([unreached.exit, unreached.ids]).to.deep.equal([
      3,
      ["unknown KMS_UNREACHABLE:dies", "unknown KMS_UNREACHABLE:last", "unknown KMS_UNREACHABLE:short"],
    ])
    writeFileSync(config, manifest().replace(/pin-source=[^&"]*/, "pin-source=file:/nonexistent"))
    expect(await checked()).to.deep.include({ exit: 3, ids: ["unknown TOKEN_UNSEEN:only"] })
    writeFileSync(config, manifest())
  })

  it("exits with 3 and says why, where it cannot even begin", async () => {
    const wrong: readonly (readonly [args: readonly string[], words: RegExp])[] = [
      [["--warn", "soon"], /--warn 'soon' is no duration/],
      [["--warn", "3d", "--crit", "14d"], /--crit 14d is longer before an expiry than --warn 3d/],
      [["--accept", "short"], /--accept 'short' is not REASON:NAME/],
      [["--accept", "EXPIRED:short=2027-02-30"], /is not REASON:NAME/],
      [["--nonsense"], /--nonsense/],
    ]
    for (const [args, words] of wrong) {
      const ended = await run("check", ...args)
      expect([ended.status, ended.stdout]).to.deep.equal([3, ""])
      expect(ended.stderr).to.match(words)
    }
    for (const accept of ["{ short: 2027-01-31 }", '{ "EXPIRED:short": soon }', '{ "EXPIRED:short": 2027-02-30 }']) {
      writeFileSync(config, manifest(`accept: ${accept}\n`))
      expect((await run("config", "check")).status).to.equal(78)
      const ended = await run("check")
      expect(ended.status).to.equal(3)
      expect(ended.stdout).to.match(/^KEYFERRY UNKNOWN - .* accept.* \[ERR_CONFIG_INVALID\]\n$/)
    }
  })
})
