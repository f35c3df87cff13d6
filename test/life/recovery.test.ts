import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import type { DecisionRow } from "#src/core/plan/decision-row.js"
import type { RecoveryTime } from "#src/core/plan/recovery.js"
import type { RowSummary } from "#src/core/plan/row.js"
import { type CliResult, keyferry } from "../support/cli.js"
import { type KmsProxy, startKmsProxy } from "../support/kms-proxy.js"
import { type LocalKmsProcess, startLocalKms } from "../support/local-kms.js"
import { softhsmToken, type TestToken } from "../support/tokens.js"
import { keysOfRegions, manifestOf, mostImportantFirst, REGIONS } from "./recovery/fleet.js"
import { type ImportsSeen, seeImports, shareOfQuota } from "./recovery/imports.js"
import { type KmsKey, type OtherClient, otherClient } from "./recovery/kms-keys.js"

/** Fewer show the same as 1,000, which takes four minutes. */
const KEYS = Number(process.env["KEYFERRY_TEST_RECOVERY_KEYS"] ?? 300)
const KILLS = 10
const QUOTA = 15
/** Keys of one Region that keyferry works on side by side, and requests that it sends at once at its beginning. */
const [LANES, AT_ONCE] = [16, 7]
const BY_AWS_CLI = 6

const keys = keysOfRegions(KEYS)
const inOrder = mostImportantFirst(keys)

interface Recovered {
  readonly keys: readonly DecisionRow[]
  readonly summary: RowSummary & RecoveryTime
}

interface Checked {
  readonly status: string
  readonly checks: readonly { readonly id: string; readonly status: string; readonly message: string }[]
}

describe(`${KEYS} keys in ${REGIONS.length} Regions lose their material at once`, function () {
  this.timeout(1_200_000)
  const folder = mkdtempSync(join(tmpdir(), "keyferry-recovery-"))
  const [fast, slow] = [join(folder, "fast.json"), join(folder, "slow.json")]
  let token: TestToken
  let kms: LocalKmsProcess
  let proxy: KmsProxy
  let imports: ImportsSeen
  let client: OtherClient
  let kmsKeys: readonly KmsKey[]
  /** Of the first generation of each KMS key, and of the one that is current. */
  const ciphertexts: (readonly Uint8Array[])[] = []
  const names = new Map<string, string>()
  let planned: RecoveryTime

  const run = (config: string, args: readonly string[], killWhen?: Promise<unknown>): Promise<CliResult> =>
    keyferry([...args, "--config", config], {
      env: { ...kms.env, ...token.env, AWS_ENDPOINT_URL: undefined, KEYFERRY_STATE_DIR: join(folder, "state") },
      ...(killWhen === undefined ? {} : { killWhen }),
    })
  const well = async (args: readonly string[]): Promise<CliResult> => {
    const ended = await run(fast, args)
    expect(ended.status, ended.stdout.slice(-2000) + ended.stderr).to.equal(0)
    return ended
  }
  const check = async () => {
    const ended = await run(slow, ["check", "--json"])
    return { exit: ended.status, ...(ended.json() as Checked) }
  }
  /** One KMS key and its replica share an ID. */
  const nameOf = (arn: string): string => names.get(arn.split("/")[1] ?? "") ?? arn
  const generations = (): number => kmsKeys.reduce((sum, { materials }) => sum + materials.length, 0)

  before(async () => {
    token = softhsmToken()
    kms = await startLocalKms()
    await kms.rotationSeconds(0)
    await kms.replicationSeconds(0)
    proxy = await startKmsProxy(kms.endpoint)
    client = otherClient(kms)
    imports = seeImports(proxy)
    const quotas = { GetParametersForImport: QUOTA, ImportKeyMaterial: QUOTA }
    writeFileSync(fast, JSON.stringify(manifestOf(keys, { token, endpoint: kms.endpoint })))
    writeFileSync(slow, JSON.stringify(manifestOf(keys, { token, endpoint: proxy.endpoint, quotas })))

    const { keys: rows } = (await well(["apply", "--json"])).json() as Recovered
    for (const { name, keyArn } of rows) names.set(keyArn?.split("/")[1] ?? "", name)
    ciphertexts.push(await client.encryptAll(await client.keys()))
    for (const region of REGIONS) {
      const rotated = keys.filter((key) => key.rotated && key.region === region).map(({ name }) => name)
      if (rotated.length > 0) await well(["rotate", ...rotated, "--target", region])
    }
    kmsKeys = await client.keys()
    ciphertexts.push(await client.encryptAll(kmsKeys))
    await well(["key", "backup-confirmed"])
    await kms.quotas({ rates: quotas })
  })
  after(async () => {
    client[Symbol.dispose]()
    await proxy[Symbol.asyncDispose]()
    await kms.stop()
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  it("is well before", async () => {
    expect(kmsKeys).to.have.length(KEYS + keys.filter(({ replica }) => replica !== null).length)
    const { exit, status, checks } = await check()
    expect([exit, status, checks]).to.deep.equal([0, "ok", []])
  })

  it("is critical for monitoring once another client has deleted all of it", async () => {
    await client.deleteAll(kmsKeys, BY_AWS_CLI)
    expect(new Set((await client.keys()).map(({ state }) => state))).to.deep.equal(new Set(["PendingImport"]))
    const { exit, status, checks } = await check()
    expect([exit, status]).to.deep.equal([2, "critical"])
    expect(checks.map(({ id, status: is }) => `${is} ${id}`)).to.deep.equal(keys.map(() => "critical MATERIAL_DELETED"))
  })

  it("plans order and time, and spends nothing", async () => {
    const ended = await run(slow, ["recover", "--plan", "--json"])
    expect(ended.status, ended.stderr).to.equal(0)
    const { keys: rows, summary } = ended.json() as Recovered
    expect(rows.map(({ name }) => name)).to.deep.equal(inOrder.map(({ name }) => name))
    expect(summary).to.include({ keys: KEYS, planned: KEYS, imports: generations() })
    expect(imports.all).to.deep.equal([])
    planned = summary
  })

  it(`brings all of it back in order, killed ${KILLS} times on the way`, async () => {
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const killWhen = imports.reached(Math.round((generations() * kill) / (KILLS + 1)))
      const killed = await run(slow, ["recover", "--yes"], killWhen)
      expect(killed.signal, killed.stdout + killed.stderr).to.equal("SIGKILL")
      imports.nextRun()
    }
    const last = await run(slow, ["recover", "--yes", "--json"])
    expect(last.status, last.stdout.slice(-2000) + last.stderr).to.equal(0)
    const share = shareOfQuota(imports.all, { quota: QUOTA, atOnce: AT_ONCE })
    process.stdout.write(`      between the kills ${share}\n`)

    // nothing that was back is imported again
    expect(imports.all.length).to.equal(generations())
    const { errors } = await kms.counts()
    expect(Object.values(errors).flatMap((names) => Object.keys(names))).to.not.include("ThrottlingException")
  })

  it("leaves no more important key of a Region waiting for a less important one", () => {
    for (const region of REGIONS) {
      const ofRegion = inOrder.filter((key) => key.region === region).map(({ name }) => name)
      const seen = [...new Set(imports.all.filter((one) => one.region === region).map(({ arn }) => nameOf(arn)))]
      const waiting = new Set(ofRegion)
      for (const name of seen.filter((one) => waiting.has(one))) {
        expect([...waiting].indexOf(name), `${name} in ${region}`).to.be.below(LANES)
        waiting.delete(name)
      }
    }
  })

  it("brought back the materials that were there, with nothing wrong", async () => {
    expect(await client.keys()).to.deep.equal(kmsKeys)
    for (const made of ciphertexts) expect(await client.undecryptable(kmsKeys, made)).to.deep.equal([])
    expect((await run(slow, ["recover", "--json"])).json()).to.have.nested.property("summary.nothing", KEYS)
  })

  it("is well again", async () => {
    const { exit, status, checks } = await check()
    expect([exit, status, checks]).to.deep.equal([0, "ok", []])
  })

  it("comes back without a kill as well", async () => {
    await client.deleteAll(kmsKeys, 0)
    imports.nextRun()
    const before = imports.all.length
    const began = performance.now()
    const ended = await run(slow, ["recover", "--yes", "--json"])
    const seconds = (performance.now() - began) / 1000
    expect(ended.status, ended.stdout.slice(-2000) + ended.stderr).to.equal(0)
    const all = imports.all.slice(before)
    const between = ((all.at(-1)?.at ?? 0) - (all[0]?.at ?? 0)) / 1000
    const share = shareOfQuota(all, { quota: QUOTA, atOnce: AT_ONCE })
    process.stdout.write(
      `      ${share}; planned ${planned.seconds} s, took ${between.toFixed(1)} s, ${seconds.toFixed(1)} s with start and end\n`,
    )
    expect(await client.keys()).to.deep.equal(kmsKeys)
  })
})
