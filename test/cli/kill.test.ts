import { readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import type { InventoryEntry } from "#src/core/inventory.js"
import type { KeyResult } from "#src/core/key-result.js"
import type { KeyList } from "#src/app/key-list.js"
import type { CliOptions } from "#test/support/cli.js"
import { createKey } from "../local-kms/fixture.js"
import { inParallel } from "./in-parallel.js"
import { provisionArgs } from "./refusal.js"
import { filesUnder, keysNamed, setStage, type Stage, tokenObjects } from "./stage.js"

type Options = Readonly<Record<string, string>>

interface Kind {
  readonly options: Options
  readonly objects: number
  readonly proof: KeyResult["proof"]
  /** For --key-id: a KMS key that the operator made. */
  readonly existing?: true
}

const KINDS = {
  symmetric: {
    options: { "key-spec": "SYMMETRIC_DEFAULT", prove: "full" },
    objects: 1,
    proof: { kind: "key-material-id", result: "proven" },
  },
  HMAC: { options: { "key-spec": "HMAC_256" }, objects: 1, proof: { kind: "mac", result: "proven" } },
  EC: {
    options: { "key-spec": "ECC_NIST_P384", "key-usage": "SIGN_VERIFY" },
    objects: 2,
    proof: { kind: "public-key", result: "proven" },
  },
  "existing KMS key": {
    options: { "key-spec": "SYMMETRIC_DEFAULT" },
    objects: 1,
    proof: { kind: "none", result: "accepted" },
    existing: true,
  },
} as const satisfies Record<string, Kind>

type KindName = keyof typeof KINDS

/** Where a run is killed: after a line on stderr, or with a KMS call on its way, before or after it takes effect. */
type Point =
  { readonly after: RegExp } | { readonly operation: string; readonly nth?: number; readonly effect: boolean }

interface Case {
  readonly kind: KindName
  readonly point: Point
}

const both = (operation: string, nth = 0): readonly Point[] => [
  { operation, nth, effect: false },
  { operation, nth, effect: true },
]
const lines = (...texts: readonly RegExp[]): readonly Point[] => texts.map((after) => ({ after }))

const POINTS: Readonly<Record<KindName, readonly Point[]>> = {
  symmetric: [
    ...lines(/KMS endpoint/, /algorithm/, /KMS key arn/, /source key/, /wrapping key/, /wrapped/, /imported as/),
    ...lines(/importing once more/, /proof:/, /: alias alias/),
    ...[...both("DescribeKey"), ...both("CreateKey"), ...both("GetParametersForImport"), ...both("ImportKeyMaterial")],
    ...[...both("GetParametersForImport", 1), ...both("ImportKeyMaterial", 1), ...both("CreateAlias")],
  ],
  HMAC: [
    ...lines(/KMS key arn/, /source key/, /wrapped/, /imported, /, /proof:/),
    ...[...both("ImportKeyMaterial"), ...both("VerifyMac")],
  ],
  EC: [
    ...lines(/KMS key arn/, /source key/, /wrapped/, /imported, /, /proof:/),
    ...[...both("ImportKeyMaterial"), ...both("GetPublicKey")],
  ],
  "existing KMS key": [...lines(/KMS key arn.* taken/), ...both("TagResource")],
}

const nameOf = (point: Point): string =>
  "after" in point
    ? `after the line ${String(point.after)}`
    : `in ${point.operation}${point.nth ? " again" : ""}, ${point.effect ? "which took effect" : "which took no effect"}`

describe("killed at any moment and run again, provision converges", () => {
  const cases = (Object.keys(POINTS) as KindName[]).flatMap((kind) => POINTS[kind].map((point) => ({ kind, point })))
  inParallel(cases, {
    width: 3,
    name: ({ kind, point }) => `${kind}: ${nameOf(point)}`,
    lane: setStage,
    run: (one, stage) => killAndResume(stage, one),
    // a CreateKey that took no effect is looked for until a lagging listing would show it
    first: ({ point }) => "operation" in point && point.operation === "CreateKey" && !point.effect,
  })
})

let killed = 0

/** One run that is killed, a look at what it left, and the same command again. */
async function killAndResume(stage: Stage, { kind, point }: Case): Promise<void> {
  const { options, objects, proof, ...more }: Kind = KINDS[kind]
  killed += 1
  const name = `killed-${killed}`
  const alias = `alias/${name}`
  const state = stage.state()
  const before = tokenObjects(stage.token)
  await stage.kms.clearFaults()
  await stage.kms.clearCounts()
  const given = more.existing === true ? { "key-id": await createKey(stage.sdk) } : {}
  const args = provisionArgs({ name, alias, ...options, ...given })

  const aliases = async (): Promise<readonly (string | undefined)[]> =>
    ((await stage.sdk.listAliases({ Limit: 100 })).Aliases ?? []).flatMap(({ AliasName }) =>
      AliasName === alias ? [alias] : [],
    )

  const first = await stage.run(args, { state, ...(await killing(stage, point)) })
  if ("operation" in point) await settled(stage, point)
  await stage.kms.clearFaults()
  // the alias is given last: once it is there nothing is left to do, and the run may have ended before it was killed
  const finished = (await aliases()).length > 0
  if (!finished) expect(first.signal, first.stderr).to.equal("SIGKILL")

  // nothing is half-written, and whatever exists is named
  for (const file of filesUnder(state).filter((path) => path.endsWith(".json"))) {
    expect(() => JSON.parse(readFileSync(join(state, file), "utf8")) as unknown, file).to.not.throw()
  }
  const listed = await stage.run(["key", "list", "--json"], { state })
  const { keys, leftovers, strays } = listed.json() as KeyList
  const left = await keysNamed(stage.sdk, name)
  expect(left.length).to.be.at.most(1)
  const named = [...keys, ...leftovers].some((key) => key.name === name)
  const inToken = tokenObjects(stage.token) - before
  if (left.length > 0) expect(named, listed.stdout).to.equal(true)
  if (inToken > 0) {
    const label = `keyferry/keyferry/${name}/0`
    expect(keys.some((key) => key.name === name) || strays.some((stray) => stray.label === label)).to.equal(true)
  }

  const second = await stage.run([...args, "--json"], { state })
  expect(second.status, second.stderr).to.equal(0)
  const result = second.json() as KeyResult
  expect(result.outcome).to.equal(finished ? "nothing" : "done")
  expect(result.proof).to.deep.equal(proof)
  const now = await keysNamed(stage.sdk, name)
  expect(now.map((key) => [key.arn, key.state])).to.deep.equal([[result.keyArn, "Enabled"]])
  if (left[0] !== undefined) expect(result.keyArn).to.equal(left[0].arn)
  expect(now[0]?.tags).to.include({ "keyferry:owner": "keyferry", "keyferry:source": result.sourceKey.id })
  expect(tokenObjects(stage.token) - before).to.equal(objects)
  expect((await stage.sdk.describeKey({ KeyId: alias })).KeyMetadata?.Arn).to.equal(result.keyArn)
  const entry = JSON.parse(
    readFileSync(join(state, "inventory", "us-east-1", `${name}.json`), "utf8"),
  ) as InventoryEntry
  expect(entry).to.include({ creating: false, importing: null, keyArn: result.keyArn })
}

async function killing(stage: Stage, point: Point): Promise<CliOptions> {
  if ("after" in point) {
    // the kill may come late: this keeps the run from going far meanwhile
    await stage.kms.fault({ kind: "delay", operation: "*", count: 100, milliseconds: 200 })
    return { killAt: point.after }
  }
  const { operation, nth = 0, effect } = point
  // long enough for the process to be dead when the answer would come
  await stage.kms.fault({ kind: "delay", operation, skip: nth, milliseconds: 800 })
  await stage.kms.fault({ kind: effect ? "drop-after" : "drop-before", operation, skip: nth })
  const arrived = async (): Promise<void> => {
    while (((await stage.kms.counts()).requests[operation] ?? 0) <= nth) await sleep(20)
  }
  return { killWhen: arrived() }
}

/** Waits until KMS is through with the call whose caller was killed. */
async function settled(stage: Stage, { operation, nth = 0 }: { readonly operation: string; readonly nth?: number }) {
  for (;;) {
    const { succeeded, errors } = await stage.kms.counts()
    const failed = Object.values(errors[operation] ?? {}).reduce((sum, count) => sum + count, 0)
    if ((succeeded[operation] ?? 0) + failed > nth) return
    await sleep(20)
  }
}
