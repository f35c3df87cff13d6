import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { RunningAgent } from "../support/running-agent.js"
import { setStage, type Stage } from "../support/stage.js"

/** More than are worked on at one time. */
const KEYS = 20

describe("a person's command while the agent works on many keys", () => {
  let stage: Stage

  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  it("is let in between two keys, and both say so", async () => {
    const state = stage.state()
    const config = join(stage.folder, "many.yaml")
    const keys = Array.from({ length: KEYS }, (_, index) => `  k${index}: { keySpec: HMAC_256 }\n`).join("")
    writeFileSync(
      config,
      `version: 1
id: let-in
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
agent: { jitter: 0s, allow: [provision] }
keys:
${keys}`,
    )
    // every import hangs until the faults are cleared
    await stage.kms.fault({ operation: "ImportKeyMaterial", kind: "delay", milliseconds: 100_000, count: 1_000 })
    const env = { ...stage.env, KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: state }
    const agent = new RunningAgent(["--config", config], env)
    await agent.line("source.generated")
    const person = stage.run(
      ["key", "generate", "--name", "mine", "--key-spec", "HMAC_256", "--custody", "token", "--config", config],
      { state, env: { KEYFERRY_TOKEN: undefined } },
    )
    const isOver = person.then(() => true)
    while (!isAwaited(join(state, "lock", "waiting"))) if (await Promise.race([isOver, sleep(50, false)])) break
    await stage.kms.clearFaults()
    const { status, stderr } = await person
    expect(status, stderr).to.equal(0)
    expect(stderr).to.match(/waiting for the state, which is in use by `keyferry agent`, process \d+/)
    const { run } = await agent.line("lock.taken-again")
    const holder = await agent.line("lock.awaited")
    expect(holder["holder"]).to.match(/^`keyferry key generate`, process \d+/)
    expect([(await agent.line("lock.passed-on"))["run"], holder["run"]]).to.deep.equal([run, run])
    expect(await agent.line("round.ended")).to.include({ outcome: "done", done: KEYS })
    const before = agent.lines.slice(
      0,
      agent.lines.findIndex(({ event }) => event === "lock.passed-on"),
    )
    expect(before.filter(({ event }) => event === "key.imported").length, "it did not wait for all").to.be.lessThan(
      KEYS,
    )
    agent.signal("SIGTERM")
    expect(await agent.ended).to.equal(0)
  })
})

/** Whether another process holds the lock by which those that wait are known. */
function isAwaited(path: string): boolean {
  return spawnSync("flock", ["--nonblock", "--exclusive", path, "true"]).status === 1
}
