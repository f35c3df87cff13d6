import { readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { verifyChain } from "#src/core/custody-chain.js"
import type { CliResult } from "#test/support/cli.js"
import { provisionArgs } from "../cli/refusal.js"
import { setStage, type Stage } from "../cli/stage.js"
import { HOOK } from "./hook.js"

const DAY_S = 86_400
const WRONG = /this host's clock is (\d+ \w+ (?:ahead of|behind)) KMS': KMS' time counts/g

interface Row {
  readonly outcome: string
  readonly reason: string
  readonly keyArn: string
}

describe("on a host whose clock is wrong, or jumps", function () {
  this.timeout(60_000)
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
  })
  after(() => stage[Symbol.asyncDispose]())

  const runAt = (days: number, args: readonly string[]): Promise<CliResult> => {
    const env = { NODE_OPTIONS: `--import file://${HOOK}`, KEYFERRY_TEST_AHEAD: String(days * DAY_S) }
    return stage.run([...args, "--json"], { state, env })
  }
  const provision = (days: number, name: string): Promise<CliResult> => runAt(days, provisionArgs({ name }))
  const warnings = ({ stderr }: CliResult): readonly string[] =>
    [...stderr.matchAll(WRONG)].map(([, apart]) => apart ?? "")
  const rows = (result: CliResult): readonly Row[] => {
    expect(result.status, result.stderr).to.equal(0)
    return (result.json() as { keys: readonly Row[] }).keys
  }

  /** KMS keeps the material for 90 days by its own clock. */
  async function expectLife(KeyId: string): Promise<void> {
    const { KeyMetadata } = await stage.sdk.describeKey({ KeyId })
    const left = (KeyMetadata?.ValidTo?.getTime() ?? 0) - (await stage.kms.clock.now()).getTime()
    expect(KeyMetadata?.KeyState).to.equal("Enabled")
    expect(left / 1000).to.be.within(90 * DAY_S - 60, 90 * DAY_S + 60)
  }

  for (const [days, apart] of [
    [-100, "100 days behind"],
    [300, "300 days ahead of"],
  ] as const) {
    it(`${apart}: says so once, and reckons by KMS' clock`, async () => {
      const name = `clock-${apart.replaceAll(" ", "-")}`
      const made = await provision(days, name)
      expect(made.status, made.stderr).to.equal(0)
      expect(warnings(made)).to.deep.equal([apart])
      await expectLife((made.json() as { keyArn: string }).keyArn)

      const right = await runAt(0, ["rewrap"])
      expect(warnings(right)).to.deep.equal([])
      const wrong = await runAt(days, ["rewrap"])
      for (const result of [right, wrong]) for (const { reason } of rows(result)) expect(reason).to.equal("NOT_DUE")
    })
  }

  it("is not spoken of while it is minutes off: requests take longer", async () => {
    const made = await runAt(4 / (24 * 60), provisionArgs({ name: "minutes" }))
    expect(made.status, made.stderr).to.equal(0)
    expect(warnings(made)).to.deep.equal([])
  })

  it("set back past an expiry: what expired is imported again, and not taken for deleted on purpose", async () => {
    await stage.kms.clock.advance(100 * DAY_S)
    const result = await runAt(0, ["rewrap"])
    expect(warnings(result)).to.deep.equal(["100 days behind"])
    for (const { outcome, reason, keyArn } of rows(result)) {
      expect({ outcome, reason }).to.deep.equal({ outcome: "done", reason: "EXPIRED" })
      await expectLife(keyArn)
    }
  })

  it("jumps by days while keys are imported: each is kept for as long as was asked", async () => {
    await stage.kms.clearCounts()
    await stage.kms.fault({ kind: "delay", operation: "GetParametersForImport", milliseconds: 1000, count: 1 })
    const running = runAt(100, ["rewrap", "minutes"])
    while (((await stage.kms.counts()).requests["GetParametersForImport"] ?? 0) === 0) await sleep(20)
    await stage.kms.clock.advance(20 * DAY_S)
    for (const { keyArn } of rows(await running)) await expectLife(keyArn)
  })

  it("leaves a custody log that is whole", () => {
    const lines = readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n")
    expect(verifyChain(lines)).to.have.property("end")
  })
})
