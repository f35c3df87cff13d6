import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import type { CliResult } from "#test/support/cli.js"
import { setStage, type Stage } from "../support/stage.js"

const DAY_S = 86_400
/** Twenty-five times 73 days are five years; material lives for 90 days, and is due when a third of that is left. */
const STEP_DAYS = 73
const STEPS = 25
const ROTATE_AT = [5, 10, 15, 20]
const REPLACE_AT = 12
/** The agent is down: nothing is done, and the material expires before the next step. */
const DOWN_AT = 17

interface Row {
  readonly name: string
  readonly keyArn: string
  readonly outcome: string
  readonly reason: string
}

/** A key's life under the clock of the local KMS, by which the built keyferry reckons; the machine's stays as it is. */
describe("a key's five years", () => {
  let stage: Stage
  let state: string
  let passedDays = 0
  const secrets = new Map<string, Uint8Array>()

  before(async () => {
    stage = await setStage()
    state = stage.state()
    // the real service takes minutes
    await stage.kms.rotationSeconds(1)
  })
  after(() => stage[Symbol.asyncDispose]())

  const keyferry = async (args: readonly string[]): Promise<CliResult> => {
    const result = await stage.run([...args, "--json"], { state })
    expect(result.status, `day ${passedDays}, ${args.join(" ")}: ${result.stderr}`).to.equal(0)
    return result
  }
  const rows = (result: CliResult): readonly Row[] => (result.json() as { keys: readonly Row[] }).keys
  const passDays = async (days: number): Promise<void> => {
    passedDays += days
    await stage.kms.clock.advance(days * DAY_S)
  }
  const encrypt = async (sdk: KMS, secret: string): Promise<void> => {
    const { CiphertextBlob } = await sdk.encrypt({ KeyId: "alias/payments", Plaintext: Buffer.from(secret) })
    secrets.set(secret, CiphertextBlob ?? new Uint8Array())
  }

  it("has 20 rewraps, 4 rotations, a replace and an expiry that was missed, and decrypts what was encrypted in any of them", async function () {
    this.timeout(900_000)
    const { sdk } = stage
    const key = [
      "--name",
      "payments",
      "--key-spec",
      "SYMMETRIC_DEFAULT",
      "--alias",
      "alias/payments",
      "--expires-in",
      "90d",
    ]
    await keyferry(["provision", ...key])
    await encrypt(sdk, "day 0")

    let [rewraps, recovered] = [0, 0]
    for (let step = 1; step <= STEPS; step += 1) {
      await passDays(STEP_DAYS)
      if (step === DOWN_AT) continue
      if (step === DOWN_AT + 1) {
        const [row] = rows(await keyferry(["status"]))
        expect(row).to.include({ name: "payments" })
        const { KeyMetadata } = await sdk.describeKey({ KeyId: "alias/payments" })
        expect(KeyMetadata?.KeyState).to.equal("PendingImport")
      }
      const done = rows(await keyferry(["rewrap", "--due"]))
      expect(done.map(({ outcome }) => outcome)).to.deep.equal(done.map(() => "done"))
      rewraps += 1
      if (step === DOWN_AT + 1) recovered += 1
      expect(rows(await keyferry(["rewrap", "--due"])).map(({ outcome }) => outcome)).to.not.include("done")
      if (ROTATE_AT.includes(step)) await keyferry(["rotate", "payments"])
      if (step === REPLACE_AT) await keyferry(["replace", "payments"])
      await encrypt(sdk, `day ${passedDays}`)
    }
    expect(passedDays).to.equal(5 * 365)
    expect(rewraps).to.be.at.least(20)
    expect(recovered).to.equal(1)

    for (const [secret, CiphertextBlob] of secrets) {
      const { Plaintext } = await sdk.decrypt({ CiphertextBlob })
      expect(Buffer.from(Plaintext ?? []).toString()).to.equal(secret)
    }
    const log = readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n")
    expect(verifyChain(log)).to.have.property("end")
    const events = log.map((line) => (JSON.parse(line) as { event: string }).event)
    expect(events.filter((event) => event === "rotation.done").length).to.equal(4)
    expect(events.filter((event) => event === "key.replaced").length).to.equal(1)
  })
})
