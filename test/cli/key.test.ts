import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { Check } from "#src/app/doctor/check.js"
import type { KeyList } from "#src/app/source-key/list.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { provisionArgs } from "../support/refusal.js"
import { setStage, type Stage, tokenObjects } from "../support/stage.js"
import { freshPath, generate, readJson } from "../support/three-steps-stage.js"

const OFFLINE = { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined }
const UNREACHABLE = { AWS_ENDPOINT_URL: "http://127.0.0.1:9" }

describe("source keys over their lives", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  type Env = Readonly<Record<string, string | undefined>>
  const destroy = (name: string, state: string, more: readonly string[] = [], env: Env = {}) =>
    stage.run(["key", "destroy", "--name", name, "--yes", ...more, "--json"], { state, env })
  const provision = async (name: string, state: string, more: Readonly<Record<string, string | true>> = {}) => {
    const args = provisionArgs({ name, "key-spec": "SYMMETRIC_DEFAULT", "wrapping-key-spec": "RSA_2048", ...more })
    const result = await stage.run([...args, "--json"], { state })
    expect(result.status, result.stderr).to.equal(0)
    return result.json() as KeyResult
  }
  const entryOf = (state: string, name: string): InventoryEntry =>
    readJson(join(state, "inventory", "us-east-1", `${name}.json`)) as unknown as InventoryEntry
  /** Runs and expects the refusal, with nothing gone from the token. */
  const refused = async (...args: Parameters<typeof destroy>) => {
    const before = tokenObjects(stage.token)
    const result = await destroy(...args)
    expect(result.status, result.stdout).to.equal(65)
    expect(result.error().code).to.equal("ERR_KEY_IN_USE")
    expect(tokenObjects(stage.token)).to.equal(before)
    return result.error()
  }

  describe("key destroy", () => {
    it("asks KMS where another state directory has the record, and names the KMS key and its end", async () => {
      const { keyArn } = await provision("elsewhere", stage.state())
      const { KeyMetadata } = await stage.sdk.describeKey({ KeyId: keyArn })
      for (const more of [[], ["--unrecorded"]]) {
        const { message } = await refused("elsewhere", stage.state(), more)
        expect(message).to.include(keyArn).and.include(KeyMetadata?.ValidTo?.toISOString())
      }
    })

    it("finds the KMS key of the three steps, also where its material expired or its deletion is scheduled", async () => {
      const [host, online] = [stage.state(), stage.state()]
      await generate(stage, host, "steps")
      const [params, wrapped] = [freshPath(stage, "params.json"), freshPath(stage, "wrapped.bin")]
      const spec = ["--key-spec", "SYMMETRIC_DEFAULT", "--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
      const files = ["--name", "steps", "--parameters", params]
      for (const [args, state, env] of [
        [["params", "--name", "steps", ...spec, "--out", params], online, { KEYFERRY_TOKEN: undefined }],
        [["wrap", ...files, "--out", wrapped], host, OFFLINE],
        [["import", ...files, "--wrapped", wrapped], online, { KEYFERRY_TOKEN: undefined }],
      ] as const) {
        const result = await stage.run(args, { state, env })
        expect(result.status, result.stderr).to.equal(0)
      }
      const { keyArn } = entryOf(online, "steps")
      expect((await refused("steps", host)).message).to.include(keyArn)
      await stage.sdk.deleteImportedKeyMaterial({ KeyId: keyArn! })
      expect((await refused("steps", host)).message).to.include("PendingImport")
      await stage.sdk.scheduleKeyDeletion({ KeyId: keyArn!, PendingWindowInDays: 7 })
      expect((await refused("steps", host)).message).to.include("PendingDeletion")
    })

    it("refuses where nothing is recorded and KMS cannot be asked, unless told that nothing depends on it", async () => {
      const state = stage.state()
      await generate(stage, state, "spare")
      for (const env of [OFFLINE, UNREACHABLE]) {
        expect((await refused("spare", state, [], env)).hint).to.include("--unrecorded")
      }
      // another key of the account, so that there is one to describe
      await stage.sdk.createKey({ Origin: "EXTERNAL" })
      for (const operation of ["ListKeys", "DescribeKey", "ListResourceTags"]) {
        await stage.kms.fault({ kind: "access-denied", operation, count: 50 })
        try {
          expect((await refused("spare", state)).hint, operation).to.include("--unrecorded")
        } finally {
          await stage.kms.clearFaults()
        }
      }
      const result = await destroy("spare", state, ["--unrecorded"], OFFLINE)
      expect(result.status, result.stderr).to.equal(0)
    })

    it("destroys a key that was imported nowhere with --yes alone, where KMS answers", async () => {
      const state = stage.state()
      await generate(stage, state, "unused")
      const before = tokenObjects(stage.token)
      const result = await destroy("unused", state)
      expect(result.status, result.stderr).to.equal(0)
      expect(tokenObjects(stage.token)).to.equal(before - 1)
    })
  })

  describe("key list and doctor", () => {
    const list = async (state: string, env: Env = {}) => {
      const result = await stage.run(["key", "list", "--json"], { state, env })
      expect(result.status, result.stderr).to.equal(0)
      return result.json() as KeyList
    }
    const doctor = async (state: string) => {
      const result = await stage.run(["doctor", "--json"], { state })
      const { checks } = result.json() as { checks: Check[] }
      return { status: result.status, of: (id: string) => checks.filter((check) => check.id === id) }
    }

    it("tell a missing source key, an expired one, a missing alias and a key of another token apart", async () => {
      const state = stage.state()
      for (const name of ["z-missing", "y-expired", "x-alias", "w-other", "v-fine"]) await provision(name, state)
      await provision("u-session", state, { custody: "session", "expires-in": "never", "accept-no-reimport": true })
      const change = (name: string, make: (entry: InventoryEntry) => object): void => {
        const path = join(state, "inventory", "us-east-1", `${name}.json`)
        writeFileSync(path, JSON.stringify({ ...entryOf(state, name), ...make(entryOf(state, name)) }), { mode: 0o600 })
      }
      const otherId = (entry: InventoryEntry) => ({ ...entry.source, id: "00".repeat(16) })
      change("z-missing", (entry) => ({ source: otherId(entry) }))
      change("w-other", (entry) => ({ source: otherId(entry), token: { ...entry.token, label: "b", serial: "2" } }))
      change("x-alias", () => ({ alias: "alias/x", aliasGiven: false }))
      change("y-expired", (entry) => ({
        imports: entry.imports.map((record) => ({ ...record, validTo: "2020-01-01T00:00:00Z" })),
      }))

      const found = await list(state)
      const sides = Object.fromEntries(found.keys.map(({ name, kms }) => [name, kms.map(({ status }) => status)]))
      expect(sides).to.deep.include({ "v-fine": ["imported"], "w-other": [], "x-alias": ["imported"] })
      expect(sides).to.deep.include({ "y-expired": ["expired"], "z-missing": [] })
      const names = found.keys.map(({ name }) => name)
      expect(names).to.deep.equal([...names].sort())
      expect(found.leftovers.map(({ name }) => name)).to.deep.equal(["z-missing"])
      expect(found.elsewhere.map(({ name, token }) => [name, token])).to.deep.equal([
        ["w-other", { label: "b", serial: "2" }],
      ])

      const { status, of } = await doctor(state)
      expect(status).to.equal(65)
      const [missing, ...more] = of("source-key-missing")
      expect(more).to.deep.equal([])
      const { keyArn, imports } = entryOf(state, "z-missing")
      expect(missing?.message).to.include("z-missing").and.include(keyArn).and.include(imports[0]?.validTo)
      const [left] = of("leftovers")
      expect(left?.status).to.equal("warn")
      expect(left?.message).to.include("y-expired").and.include("alias/x").and.not.include("v-fine")
      expect(left?.message).to.not.include("w-other").and.not.include("u-session")
    })
  })
})
