import { constants, publicEncrypt, createPublicKey, randomBytes, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { labelOf, newSourceKeyId } from "#src/core/key/source-key.js"
import { openKms } from "#src/kms/kms.js"
import { inventoryFiles } from "#src/store/files/inventory-files.js"
import { vaultFiles } from "#src/store/files/vault-files.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"
import { inChild, type Job } from "./child.js"
import { measured } from "./command.js"
import type { Measure } from "./measure.js"
import type { Usage } from "./usage.js"

const MANY = 10_000
const FEW = 1000
const AT_ONCE = 8
const OWNER = "bench"
const nameOf = (index: number): string => `planned-${index}`

interface Calls {
  readonly keyArns: readonly string[]
  readonly endpoint: string
  readonly describe: number
  readonly tags: number
  readonly rotations: number
}

/** The KMS calls of a plan and nothing else: what it costs beyond them is the plan's own. */
export const planCalls: Job<Calls, Usage> = async ({ keyArns, endpoint, describe, tags, rotations }) => {
  {
    using kms = await openKms({ region: "us-east-1", endpointUrl: endpoint, env: process.env })
    const calls = [
      ...keyArns.slice(0, describe).map((arn) => () => kms.describeKey(arn)),
      ...keyArns.slice(0, tags).map((arn) => () => kms.listResourceTags(arn)),
      ...keyArns.slice(0, rotations).map((arn) => () => kms.listKeyRotations(arn)),
    ]
    await atOnce(calls)
  }
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return { cpuMs: (userCPUTime + systemCPUTime) / 1000, peakMb: maxRSS / 1024 }
}

/**
 * (e) `plan` over the bindings of a manifest whose keys are all there and none is due: CPU time of the command less that
 * of a process that makes the same calls of KMS.
 */
export async function planning(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  await using kms = await startLocalKms()
  try {
    // a plan lists every key that the state knows, so that the few are planned before there are more
    const fleet = await fleetOf(kms, token, folder)
    await fleet.growTo(FEW)
    say(`${FEW} keys are there`)
    const few = await outsideKms(kms, token, folder, fleet.keyArns)
    await fleet.growTo(MANY)
    say(`${MANY} keys are there`)
    const many = await outsideKms(kms, token, folder, fleet.keyArns)
    return [
      { part: "e", what: `plan of ${MANY} bindings, all of it`, value: many.totalMs, unit: "ms" },
      {
        part: "e",
        what: `plan of ${MANY} bindings, outside KMS calls`,
        value: many.ownMs,
        unit: "ms",
        target: { bound: "at most", value: 2000 },
      },
      { part: "e", what: `plan of ${FEW} bindings, outside KMS calls`, value: few.ownMs, unit: "ms" },
      {
        part: "e",
        what: `${MANY} bindings against ${FEW}, a binding`,
        value: many.ownMs / MANY / (few.ownMs / FEW),
        unit: "times",
        target: { bound: "at most", value: 1.2 },
      },
      { part: "e", what: "peak memory", value: many.peakMb, unit: "MB" },
    ]
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Fleet {
  readonly keyArns: readonly string[]
  /** Adds keys until there are so many. */
  growTo(count: number): Promise<void>
}

/** One key is provisioned for real; its records are repeated for keys that KMS holds as well. */
async function fleetOf(kms: LocalKmsProcess, token: TestToken, folder: string): Promise<Fleet> {
  const env = { ...kms.env, ...token.env, AWS_ENDPOINT_URL: undefined, KEYFERRY_STATE_DIR: join(folder, "state") }
  await measured(["apply", "--config", config(kms, token, folder, 1)], env)
  const inventory = inventoryFiles(join(folder, "state"))
  const vault = vaultFiles(join(folder, "state"))
  const entry = await inventory.get(nameOf(0), "here")
  const sealed = entry && (await vault.get(entry.source.id))
  const [record] = entry?.imports ?? []
  if (entry?.keyArn == null || sealed === undefined || record === undefined)
    throw new Error("the first key is not there")
  const keyArns = [entry.keyArn]
  const sdk = kmsClient(kms)
  const addKey = async (index: number): Promise<void> => {
    const name = nameOf(index)
    const id = newSourceKeyId()
    const label = labelOf({ owner: OWNER, name, generation: 0 })
    const requestId = randomUUID()
    const tags = {
      "keyferry:owner": OWNER,
      "keyferry:name": name,
      "keyferry:source": id,
      "keyferry:request": requestId,
    }
    const Tags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
    const { KeyMetadata } = await sdk.createKey({ Origin: "EXTERNAL", Tags })
    const KeyId = KeyMetadata?.Arn ?? ""
    const spec = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const
    const { PublicKey, ImportToken } = await sdk.getParametersForImport({ KeyId, ...spec })
    const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: "der", type: "spki" })
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }
    const EncryptedKeyMaterial = publicEncrypt({ key, ...padding }, randomBytes(32))
    const ValidTo = new Date(record.validTo ?? "")
    const { KeyMaterialId = "" } = await sdk.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ValidTo })
    const source = { ...entry.source, id, label }
    const imports = [{ ...record, keyMaterialId: KeyMaterialId }]
    await inventory.put({ ...entry, name, requestId, keyArn: KeyId, source, imports })
    await vault.put({ ...sealed, name, id, label })
    keyArns[index] = KeyId
  }
  return {
    keyArns,
    growTo: (count) => {
      const missing = Array.from({ length: count - keyArns.length }, (_, offset) => keyArns.length + offset)
      return atOnce(missing.map((index) => () => addKey(index)))
    },
  }
}

async function outsideKms(
  kms: LocalKmsProcess,
  token: TestToken,
  folder: string,
  keyArns: readonly string[],
): Promise<{ readonly totalMs: number; readonly ownMs: number; readonly peakMb: number }> {
  const env = { ...kms.env, ...token.env, AWS_ENDPOINT_URL: undefined, KEYFERRY_STATE_DIR: join(folder, "state") }
  await kms.clearCounts()
  const planned = await measured(["plan", "--config", config(kms, token, folder, keyArns.length)], env)
  const { summary } = planned.result as { summary: { nothing?: number } }
  if (summary.nothing !== keyArns.length) throw new Error(`not all is well: ${JSON.stringify(summary)}`)
  const { requests } = await kms.counts()
  const calls: Calls = {
    keyArns,
    endpoint: kms.endpoint,
    describe: requests["DescribeKey"] ?? 0,
    tags: requests["ListResourceTags"] ?? 0,
    rotations: requests["ListKeyRotations"] ?? 0,
  }
  const inKms = await inChild<Usage>("plan-calls", calls, kms.env)
  return { totalMs: planned.cpuMs, ownMs: planned.cpuMs - inKms.cpuMs, peakMb: planned.peakMb }
}

function config(kms: LocalKmsProcess, token: TestToken, folder: string, keys: number): string {
  const path = join(folder, `keyferry-${keys}.yaml`)
  const names = Array.from({ length: keys }, (_, index) => nameOf(index))
  const lines = [
    "version: 1",
    `id: ${OWNER}`,
    "tokens:",
    `  primary: { uri: ${JSON.stringify(token.uri.replace(/&pin-source=[^&]*/, ""))}, pin: { file: ${token.pinFile} } }`,
    `targets:\n  here: { region: us-east-1, endpoint: ${JSON.stringify(kms.endpoint)} }`,
    "keys:",
    ...names.map((name) => `  ${name}:\n    keySpec: SYMMETRIC_DEFAULT\n    expiresIn: 90d`),
  ]
  writeFileSync(path, `${lines.join("\n")}\n`)
  return path
}

async function atOnce(work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const queue = [...work]
  const worker = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) await next()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
