import { join } from "node:path"
import { expect } from "chai"
import { CAN_RECORD, type DiskCall, lostByPowerCut, readCalls, recorder } from "../support/disk-calls.js"
import { setStage, type Stage } from "../support/stage.js"

/** What must stand in the custody log before KMS is asked to do it. */
const SAID_BEFORE: Readonly<Record<string, string>> = {
  CreateKey: "kms-key.intended",
  ImportKeyMaterial: "import.intended",
  ReplicateKey: "kms-key.replicating",
  DisableKey: "kms-key.ending",
  EnableKey: "kms-key.ending",
  DeleteImportedKeyMaterial: "kms-key.ending",
  ScheduleKeyDeletion: "kms-key.ending",
}

/** The system calls of the built command, recorded by strace(1). */
describe("what a command has written survives a power cut before each call to KMS, and at its end:", () => {
  let stage: Stage
  let state: string
  before(async function () {
    if (!CAN_RECORD) this.skip()
    stage = await setStage()
    state = stage.state()
    await stage.kms.rotationSeconds(0)
  })
  after(async () => {
    if (CAN_RECORD) await stage[Symbol.asyncDispose]()
  })

  const recorded = async (args: readonly string[]): Promise<readonly DiskCall[]> => {
    const file = join(stage.folder, "calls")
    const result = await stage.run(args, { state, prefix: recorder(file) })
    expect(result.status, result.stderr).to.equal(0)
    return readCalls(file)
  }
  /** Who has the lock is told to people alone. */
  const lost = (calls: readonly DiskCall[]): readonly string[] =>
    lostByPowerCut(calls, { root: stage.folder, exempt: (path) => path.includes("/lock/") })

  const parameters = (): string => join(stage.folder, "parameters.json")
  const archive = (): string => join(stage.folder, "archive.jsonl")
  const wrapped = (): string => join(stage.folder, "wrapped.bin")
  const offline = (): readonly string[] => ["--name", "steps", "--parameters", parameters()]
  const SPEC = ["--key-spec", "SYMMETRIC_DEFAULT"]
  const TOKEN = ["--key-spec", "HMAC_256", "--custody", "token"]
  /** In this order: each goes on from what those before it have left. */
  const commands: readonly [title: string, args: () => readonly string[], calls: readonly string[]][] = [
    [
      "provision",
      () => ["provision", "--name", "k", ...SPEC, "--alias", "alias/k"],
      ["CreateKey", "ImportKeyMaterial"],
    ],
    ["rewrap", () => ["rewrap", "k"], ["ImportKeyMaterial"]],
    ["rotate", () => ["rotate", "k"], ["ImportKeyMaterial", "RotateKeyOnDemand"]],
    ["provision with token custody", () => ["provision", "--name", "t", ...TOKEN], ["CreateKey", "ImportKeyMaterial"]],
    ["key reseal of a token object", () => ["key", "reseal", "t", "--to", "sealed"], []],
    ["key reseal under a new custody key", () => ["key", "reseal", "k", "--new-custody-key"], []],
    ["replace", () => ["replace", "t"], ["CreateKey", "ImportKeyMaterial"]],
    ["disable", () => ["disable", "t", "--yes"], ["DisableKey"]],
    ["enable", () => ["enable", "t"], ["EnableKey"]],
    ["delete-material", () => ["delete-material", "t", "--yes"], ["DeleteImportedKeyMaterial"]],
    ["key generate", () => ["key", "generate", "--name", "steps", ...SPEC], []],
    ["params", () => ["params", "--name", "steps", ...SPEC, "--out", parameters()], ["CreateKey"]],
    ["wrap", () => ["wrap", ...offline(), "--out", wrapped()], []],
    ["import", () => ["import", ...offline(), "--wrapped", wrapped()], ["ImportKeyMaterial"]],
    ["key generate of another", () => ["key", "generate", "--name", "unused", ...SPEC], []],
    ["key destroy", () => ["key", "destroy", "--name", "unused", "--yes"], []],
    ["state export", () => ["state", "export", archive()], []],
    ["state import", () => ["state", "import", archive(), "--state-dir", join(stage.folder, "restored")], []],
  ]

  for (const [title, args, expected] of commands) {
    it(title, async () => {
      const calls = await recorded(args())
      const asked = calls.filter(({ call }) => call === "kms").map(({ path }) => path)
      expect(asked).to.include.members([...expected])
      expect(lost(calls)).to.deep.equal([])
      expect(unsaid(calls)).to.deep.equal([])
    })
  }

  // what the recording of a careless run would look like
  const careless: readonly (readonly [title: string, isLeftOut: (call: DiskCall) => boolean])[] = [
    ["the fsync of files", ({ call, path }) => call === "fsync" && path.endsWith(".tmp")],
    ["the fsync of folders", ({ call, path }) => call === "fsync" && !/\.(tmp|json|jsonl)$/.test(path)],
    ["the fsync of the custody log", ({ call, path }) => call === "fsync" && path.endsWith("custody.log.jsonl")],
    ["the custody log", ({ path }) => path.endsWith("custody.log.jsonl")],
  ]
  it("and is seen to be lost where any of it is left out", async () => {
    const calls = await recorded(["rewrap", "k"])
    for (const [title, isLeftOut] of careless) {
      const kept = calls.filter((call) => !isLeftOut(call))
      expect([...lost(kept), ...unsaid(kept)], title).to.not.deep.equal([])
    }
  })
})

/** Calls to KMS, each with what ought to stand in the custody log since the one before, and does not. */
function unsaid(calls: readonly DiskCall[]): readonly string[] {
  let text = ""
  return calls.flatMap((call) => {
    if (call.call === "write" && call.path.endsWith("/custody.log.jsonl")) text += call.text ?? ""
    const event = call.call === "kms" ? SAID_BEFORE[call.path] : undefined
    if (event === undefined) return []
    const isSaid = text.includes(`\\"event\\":\\"${event}\\"`)
    text = ""
    return isSaid ? [] : [`${call.path} without ${event}`]
  })
}
