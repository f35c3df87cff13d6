import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { lyingToken } from "../support/liar.js"
import { RunningAgent } from "../support/running-agent.js"
import { setStage, type Stage } from "../support/stage.js"

/** What a shell expects of a process that SIGTERM ended. */
const STOPPED = 143

describe("an agent that is stopped while a call hangs", () => {
  let stage: Stage
  let config: string
  let odd: Readonly<Record<string, string>>

  before(async () => {
    stage = await setStage()
    const { env, uri } = lyingToken(stage.token)
    odd = env
    config = join(stage.folder, "stopped.yaml")
    writeFileSync(
      config,
      `version: 1
id: stopped
tokens: { only: { uri: ${JSON.stringify(uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys: { a: { keySpec: HMAC_256 }, b: { keySpec: HMAC_256 } }
agent: { jitter: 0s, allow: [rewrap, provision] }
`,
    )
  })
  afterEach(() => stage.kms.clearFaults())
  after(() => stage[Symbol.asyncDispose]())

  const start = (state: string, more: Readonly<Record<string, string>> = {}): RunningAgent =>
    new RunningAgent(["--config", config], {
      ...stage.env,
      ...odd,
      KEYFERRY_TOKEN: undefined,
      KEYFERRY_STATE_DIR: state,
      ...more,
    })
  const isTakenUp = async (state: string): Promise<void> => {
    await stage.kms.clearFaults()
    const env = { ...odd, KEYFERRY_TOKEN: undefined }
    const { status, stderr } = await stage.run(["agent", "--once", "--config", config], { state, env })
    expect(status, stderr).to.equal(0)
    expect((await stage.footprint(state)).kmsKeys).to.have.lengthOf(2)
  }

  for (const signals of [1, 2]) {
    it(`ends with ${signals} signal(s) where KMS does not answer, and the next takes up what was begun`, async () => {
      const state = stage.state()
      await stage.kms.reset()
      await stage.kms.fault({ operation: "ImportKeyMaterial", kind: "delay", milliseconds: 100_000, count: 1_000 })
      const agent = start(state)
      await agent.line("key.created", 2)
      agent.signal("SIGTERM")
      await agent.line("agent.stopping")
      if (signals === 2) agent.signal("SIGTERM")
      expect(await agent.ended).to.equal(STOPPED)
      await isTakenUp(state)
    })
  }

  it("ends by itself where the token hangs longer than callTimeout, which no signal can end", async () => {
    const state = stage.state()
    await stage.kms.reset()
    writeFileSync(config, readFileSync(config, "utf8").replace(" } }\ntargets", ", callTimeout: 2s } }\ntargets"))
    const agent = start(state, { LIAR_HANGS: "C_Login" })
    expect(await agent.ended).to.equal(69)
    await isTakenUp(state)
  })
})
