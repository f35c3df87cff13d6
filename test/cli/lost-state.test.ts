import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import { type CliResult, outcomesByName } from "#test/support/cli.js"
import { provisionArgs, refused } from "../support/refusal.js"
import { keysNamed, setStage, type Stage } from "../support/stage.js"

describe("what the state directory does not know is not taken for absent", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
  })
  afterEach(() => stage.kms.clearFaults())
  after(() => stage[Symbol.asyncDispose]())

  const runIn =
    (state: string) =>
    (...args: readonly string[]): Promise<CliResult> =>
      stage.run(args, { state })
  const wellIn =
    (state: string) =>
    async (...args: readonly string[]): Promise<CliResult> => {
      const result = await stage.run(args, { state })
      expect(result.status, result.stderr + result.stdout).to.equal(0)
      return result
    }
  const requests = async (): Promise<Readonly<Record<string, number>>> => (await stage.kms.counts()).requests
  const inventoryFile = (state: string, name: string): string => join(state, "inventory", "us-east-1", `${name}.json`)
  /** A configuration file of these keys, for the one token and the one KMS. */
  const config = (names: readonly string[]): string => {
    const path = join(stage.folder, `keyferry-${names.join("-")}.yaml`)
    const keys = names.map((name) => `  ${name}: { keySpec: SYMMETRIC_DEFAULT, alias: alias/${name} }`)
    writeFileSync(
      path,
      [
        "version: 1",
        `tokens: { main: { uri: ${JSON.stringify(stage.token.uri)} } }`,
        `targets: { us-east-1: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }`,
        "defaults: { token: main, custody: token, expiresIn: 45d }",
        "keys:",
        ...keys,
        "",
      ].join("\n"),
    )
    return path
  }

  describe("lost", () => {
    const names = ["paid", "owed"]
    let state: string
    let path: string
    before(async () => {
      state = stage.state()
      path = config(names)
      const made = await stage.run(["apply", "--config", path], { state })
      expect(made.status, made.stderr + made.stdout).to.equal(0)
      rmSync(join(state, "inventory"), { recursive: true })
    })
    const run = (...args: readonly string[]): Promise<CliResult> => stage.run([...args, "--json"], { state })

    for (const command of ["apply", "plan", "status", "rewrap", "verify"]) {
      it(`${command} with its configuration names the keys that KMS has, makes nothing, and ends with 65`, async () => {
        await stage.kms.clearCounts()
        const result = await run(command, "--config", path)
        expect(result.status, result.stderr).to.equal(65)
        expect(outcomesByName(result)).to.deep.equal({ paid: "blocked UNKNOWN_HERE", owed: "blocked UNKNOWN_HERE" })
        expect(result.stdout).to.include("status --rebuild")
        const { CreateKey = 0, ListKeys = 0 } = await requests()
        expect([CreateKey, ListKeys], "one search for both").to.deep.equal([0, 1])
      })
    }

    for (const command of ["status", "rewrap", "verify", "plan"]) {
      it(`${command} without a configuration does so too`, async () => {
        const result = await run(command)
        expect(result.status, result.stderr).to.equal(65)
        expect(outcomesByName(result)).to.include({ paid: "blocked UNKNOWN_HERE", owed: "blocked UNKNOWN_HERE" })
      })
    }

    for (const command of [
      ["rotate", "paid"],
      ["rotate", "--abandon", "paid"],
      ["replace", "paid"],
      ["retire", "paid", "--yes"],
      ["disable", "paid", "--yes"],
      ["schedule-deletion", "paid", "--yes"],
    ]) {
      it(`${command.join(" ")} asks KMS for it before it says that there is none, and makes nothing`, async () => {
        await stage.kms.clearCounts()
        const result = await run(...command, "--config", path)
        expect([result.status, result.error().code], result.stderr).to.deep.equal([65, "ERR_STATE_INCOMPLETE"])
        expect(result.error().hint).to.include("status --rebuild")
        const { CreateKey = 0, ListKeys = 0 } = await requests()
        expect([CreateKey, ListKeys]).to.deep.equal([0, 1])
      })
    }

    for (const command of ["rewrap", "verify", "recover"]) {
      it(`${command} of its name does so where the state knows others, and no configuration names it`, async () => {
        const partial = stage.state()
        await wellIn(partial)(...provisionArgs({ name: `beside-${command}` }))
        const result = await stage.run([command, "paid", "--json"], { state: partial })
        expect([result.status, result.error().code], result.stderr).to.deep.equal([65, "ERR_STATE_INCOMPLETE"])
        const nobody = await stage.run([command, "nobody", "--json"], { state: partial })
        expect([nobody.status, nobody.error().code]).to.deep.equal([65, "ERR_KEY_NOT_FOUND"])
      })
    }

    it("is taken in by status --rebuild, as the hint says, and then there is nothing to do", async () => {
      const rebuilt = await run("status", "--rebuild", "--config", path)
      expect(rebuilt.status, rebuilt.stderr).to.equal(0)
      const planned = await run("plan", "--config", path, "--detailed-exitcode")
      expect([planned.status, outcomesByName(planned)["paid"]]).to.deep.equal([0, "nothing NOT_DUE"])
      expect(
        [await keysNamed(stage.sdk, "paid"), await keysNamed(stage.sdk, "owed")].map((keys) => keys.length),
      ).to.deep.equal([1, 1])
    })

    it("is rotated then for as long as the configuration says", async () => {
      const { validTo } = (await run("rotate", "paid")).json() as KeyResult
      const days = (Date.parse(validTo ?? "") - (await stage.kms.clock.now()).getTime()) / 86_400_000
      expect(Math.round(days)).to.equal(45)
    })
  })

  describe("where no Region is given, so that KMS cannot be asked", () => {
    const commands = [
      ["plan"],
      ["status"],
      ["rewrap"],
      ["rewrap", "--all"],
      ["verify"],
      ["recover"],
      ["recover", "--plan"],
    ]
    const withoutRegion = { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined }
    const run = (args: readonly string[], configFile: string): Promise<CliResult> =>
      stage.run([...args, "--json"], {
        state: stage.state(),
        env: { ...withoutRegion, AWS_CONFIG_FILE: configFile },
      })

    for (const args of commands) {
      it(`${args.join(" ")} of a state without keys ends with 78, not with 'no keys'`, async () => {
        const result = await run(args, "/nonexistent")
        expect([result.status, result.error().code], result.stdout).to.deep.equal([78, "ERR_KMS_REGION_MISSING"])
      })
    }

    it("check cannot tell, and a configuration without targets changes nothing of that", async () => {
      const path = join(stage.folder, "no-targets.yaml")
      writeFileSync(path, `version: 1\ntokens: { main: { uri: ${JSON.stringify(stage.token.uri)} } }\n`)
      for (const args of [["check"], ["check", "--config", path]]) {
        const result = await run(args, stage.folder)
        expect(result.status, result.stdout).to.equal(3)
        expect(result.stdout).to.include("ERR_KMS_REGION_MISSING")
      }
    })

    it("status of a state whose keys are known goes on without one", async () => {
      const state = stage.state()
      await wellIn(state)(...provisionArgs({ name: "settled" }))
      const result = await stage.run(["status", "--json"], { state, env: withoutRegion })
      expect([result.status, outcomesByName(result)], result.stderr).to.deep.equal([0, { settled: "nothing NOT_DUE" }])
    })
  })

  it("refuses provision, params and adopt of a name that KMS has already, with its alias too", async () => {
    const well = wellIn(stage.state())
    await well(...provisionArgs({ name: "held", alias: "alias/held" }))
    const tells = /status --rebuild/
    const refusal = { code: "ERR_STATE_INCOMPLETE", exit: 65, tells } as const
    await refused(stage, provisionArgs({ name: "held" }), refusal)
    await refused(stage, provisionArgs({ name: "held", alias: "alias/held" }), refusal)
    const out = join(stage.folder, "held.params.json")
    await refused(stage, ["params", "--name", "held", "--key-spec", "SYMMETRIC_DEFAULT", "--out", out], refusal)
  })

  it("counts the keys that may not be looked at, tells so, and goes on", async () => {
    await wellIn(stage.state())(...provisionArgs({ name: "theirs" }))
    await stage.kms.fault({ kind: "access-denied", operation: "ListResourceTags", count: 1 })
    const made = await runIn(stage.state())(...provisionArgs({ name: "ours" }))
    expect(made.status, made.stderr).to.equal(0)
    expect(made.stderr).to.match(/1 KMS key in us-east-1 may not be looked at/)
  })

  it("refuses where the keys of the account may not be listed", async () => {
    await stage.kms.fault({ kind: "access-denied", operation: "ListKeys", count: 9 })
    await stage.kms.clearCounts()
    const blind = await runIn(stage.state())(...provisionArgs({ name: "unlisted" }), "--json")
    expect([blind.status, blind.error().code]).to.deep.equal([77, "ERR_KMS_ACCESS_DENIED"])
    expect((await requests())["CreateKey"] ?? 0).to.equal(0)
  })

  it("asks nothing more of KMS where the inventory is whole", async () => {
    const state = stage.state()
    const well = wellIn(state)
    await well(...provisionArgs({ name: "whole" }))
    await stage.kms.clearCounts()
    await well("plan")
    await well("rewrap")
    await well("status")
    expect((await requests())["ListKeys"] ?? 0).to.equal(0)
  })

  it("asks KMS for a finished key before it says that nothing is to be done", async () => {
    const state = stage.state()
    const provision = provisionArgs({ name: "finished" })
    const { keyArn } = (await wellIn(state)(...provision, "--json")).json() as KeyResult
    await stage.sdk.deleteImportedKeyMaterial({ KeyId: keyArn })
    const deleted = await runIn(state)(...provision, "--json")
    expect([deleted.status, deleted.error().code]).to.deep.equal([65, "ERR_KMS_KEY_STATE"])
    expect(deleted.error().hint).to.include("keyferry recover finished --yes")
    await wellIn(state)("recover", "finished", "--yes")
    await stage.sdk.scheduleKeyDeletion({ KeyId: keyArn, PendingWindowInDays: 7 })
    const dying = await runIn(state)(...provision, "--json")
    expect([dying.status, dying.error().code]).to.deep.equal([65, "ERR_KMS_KEY_STATE"])
    await stage.kms.clock.advance(8 * 86_400)
    const gone = await runIn(state)(...provision, "--json")
    expect([gone.status, gone.error().code]).to.deep.equal([65, "ERR_KMS_KEY_NOT_FOUND"])
    await stage.kms.clock.set(new Date())
  })

  describe("one file that cannot be read", () => {
    const names = ["k1", "k2", "k3"]
    let state: string
    let run: (...args: readonly string[]) => Promise<CliResult>
    const faults: Readonly<Record<string, () => void>> = {
      "a folder": () => {
        rmSync(inventoryFile(state, "k2"))
        mkdirSync(inventoryFile(state, "k2"))
      },
      "another key's file": () => cpSync(inventoryFile(state, "k1"), inventoryFile(state, "k2")),
      "a later version": () => writeFileSync(inventoryFile(state, "k2"), JSON.stringify({ version: 99 })),
      garbage: () => writeFileSync(inventoryFile(state, "k2"), "garbage"),
    }
    let whole: string
    before(async () => {
      state = stage.state()
      run = runIn(state)
      for (const name of names) await wellIn(state)(...provisionArgs({ name }))
      whole = join(stage.folder, "whole")
      cpSync(join(state, "inventory"), whole, { recursive: true })
    })

    for (const [fault, spoil] of Object.entries(faults)) {
      it(`blocks its own row alone: ${fault}`, async () => {
        rmSync(join(state, "inventory"), { recursive: true })
        cpSync(whole, join(state, "inventory"), { recursive: true })
        spoil()
        const all = await run("rewrap", "--all", "--json")
        expect([all.status, outcomesByName(all)]).to.deep.equal([
          65,
          { k1: "done ASKED", k2: "blocked ENTRY_UNREADABLE", k3: "done ASKED" },
        ])
        expect(all.stdout).to.include(inventoryFile(state, "k2"))
        const other = await run("rewrap", "k3", "--json")
        expect([other.status, outcomesByName(other)]).to.deep.equal([0, { k3: "done ASKED" }])
      })
    }

    for (const [command, left] of [
      [["status"], "nothing NOT_DUE"],
      [["plan"], "nothing NOT_DUE"],
      [["apply"], "nothing NOT_DUE"],
      [["verify"], "done VERIFIED"],
    ] as const) {
      it(`lets ${command.join(" ")} go on`, async () => {
        const result = await run(...command, "--json")
        expect(result.status, result.stderr).to.equal(65)
        const { k1, k2, k3 } = outcomesByName(result)
        expect([k1, k3]).to.deep.equal([left, left])
        expect(k2).to.equal("blocked ENTRY_UNREADABLE")
      })
    }

    it("lets rotate and provision of another go on, and refuses its own", async () => {
      await wellIn(state)("rotate", "k1")
      await wellIn(state)(...provisionArgs({ name: "k4" }))
      const own = await run(...provisionArgs({ name: "k2" }), "--json")
      expect([own.status, own.error().code]).to.deep.equal([65, "ERR_STATE_INVALID"])
      expect(await keysNamed(stage.sdk, "k2")).to.have.length(1)
    })

    it("is written anew by status --rebuild --overwrite, as the hint says", async () => {
      const kept = await run("status", "--rebuild", "--json")
      expect([kept.status, outcomesByName(kept)["k2"]]).to.deep.equal([65, "blocked ERR_STATE_INVALID"])
      const rebuilt = await run("status", "--rebuild", "--overwrite", "--json")
      expect(outcomesByName(rebuilt)["k2"]).to.equal("done REBUILT")
      const rewrapped = await run("rewrap", "k2", "--json")
      expect([rewrapped.status, outcomesByName(rewrapped)]).to.deep.equal([0, { k2: "done ASKED" }])
    })
  })

  it("does not say that there is nothing where a Region or a target leaves out every key", async () => {
    const state = stage.state()
    await wellIn(state)(...provisionArgs({ name: "here" }))
    const path = config(["here"])
    for (const words of [["status"], ["plan"], ["rewrap", "--due"], ["verify"], ["status", "--config", path]]) {
      const elsewhere = await runIn(state)(...words, "--region", "eu-west-3", "--json")
      expect([elsewhere.status, elsewhere.error().code], words.join(" ")).to.deep.equal([65, "ERR_KEY_NOT_FOUND"])
      expect(elsewhere.error().message).to.include("eu-west-3")
      expect(elsewhere.error().hint).to.include("us-east-1")
    }
    const target = await runIn(state)("rewrap", "--target", "no-such", "--config", path, "--json")
    expect(target.status, target.stdout + target.stderr).to.not.equal(0)
    const check = await runIn(state)("check", "--region", "eu-west-3")
    expect(check.status).to.equal(3)
    expect(check.stdout).to.match(/UNKNOWN - .*eu-west-3.*us-east-1/)
    await wellIn(state)("status", "--region", "us-east-1")
  })

  it("lets everything but what it is about go on where a custody key's record cannot be read", async () => {
    const state = stage.state()
    await wellIn(state)(...provisionArgs({ name: "plain" }))
    mkdirSync(join(state, "custody-keys"), { recursive: true })
    writeFileSync(join(state, "custody-keys", "00ff.json"), "garbage")
    await wellIn(state)("rewrap", "plain")
    const status = await wellIn(state)("status")
    expect(status.stdout).to.include(join(state, "custody-keys", "00ff.json"))
  })

  it("names a key that another copy put in place, alias and all, and what takes it in", async () => {
    const path = config(["moved"])
    const state = stage.state()
    await wellIn(state)("apply", "--config", path)
    const [merged, rebuilt] = [stage.state(), stage.state()]
    for (const copy of [merged, rebuilt]) cpSync(state, copy, { recursive: true })
    await wellIn(state)("replace", "moved", "--config", path)
    const stale = await runIn(merged)("replace", "moved", "--config", path, "--json")
    expect([stale.status, stale.error().code]).to.deep.equal([65, "ERR_STATE_INCOMPLETE"])
    for (const command of ["plan", "status", "apply"]) {
      const looked = await runIn(merged)(command, "--config", path, "--json")
      expect([looked.status, outcomesByName(looked)], command).to.deep.equal([65, { moved: "blocked UNKNOWN_HERE" }])
      expect(looked.stdout).to.include("keyferry state merge DIR").and.to.include("--overwrite")
    }
    await wellIn(merged)("rewrap", "moved", "--config", path) // it is kept alive all the same
    await wellIn(merged)("state", "merge", state)
    await runIn(rebuilt)("status", "--rebuild", "--overwrite", "--config", path)
    for (const copy of [merged, rebuilt]) {
      const after = await runIn(copy)("plan", "--config", path, "--json")
      expect(after.stdout).to.not.include("ALIAS_TAKEN")
    }
  })

  it("names a key that another copy put in the place of one without an alias, by the tags of both", async () => {
    const [state, copy] = [stage.state(), stage.state()]
    await wellIn(state)(...provisionArgs({ name: "nameless" }))
    cpSync(state, copy, { recursive: true })
    await wellIn(state)("replace", "nameless")
    const status = await runIn(copy)("status", "--json")
    expect([status.status, outcomesByName(status)["nameless"]]).to.deep.equal([65, "blocked UNKNOWN_HERE"])
    expect((await wellIn(state)("status", "--json")).stdout).to.not.include("UNKNOWN_HERE")
  })

  it("refuses rotate and replace where an older copy of the state does not know KMS' material", async () => {
    const state = stage.state()
    await wellIn(state)(...provisionArgs({ name: "older" }))
    const copy = stage.state()
    cpSync(state, copy, { recursive: true })
    const { keyMaterialId } = (await wellIn(state)("rotate", "older", "--json")).json() as KeyResult
    const before = await stage.footprint(copy)
    for (const command of ["rotate", "replace"]) {
      const stale = await runIn(copy)(command, "older", "--json")
      expect([stale.status, stale.error().code], command).to.deep.equal([65, "ERR_STATE_INCOMPLETE"])
      expect(stale.error().message).to.include(keyMaterialId)
      expect(stale.error().hint).to.include("state merge").and.to.include("status --rebuild")
      expect(await stage.footprint(copy), "nothing made").to.deep.equal(before)
    }
    const planned = await runIn(copy)("rewrap", "--json")
    expect([planned.status, outcomesByName(planned)]).to.deep.equal([65, { older: "blocked FOREIGN_MATERIAL" }])
    await wellIn(copy)("status", "--rebuild", "--overwrite")
    await wellIn(copy)("rotate", "older")
  })
})
