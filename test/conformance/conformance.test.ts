import { randomBytes } from "node:crypto"
import { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { importMaterial, refusalOf } from "../support/local-kms-fixture.js"
import { makeChineseKeys, makeRecordedKeys, type RecordedKey } from "./recorded-keys.js"
import { CONFORMANCE, type ConformanceRow } from "./rows.js"

/**
 * Asks an endpoint for what AWS KMS was recorded to answer: the local KMS, or the one of KEYFERRY_CONFORMANCE_ENDPOINT with
 * the credentials of the environment, where keys are made that stay.
 */
const ENDPOINT = process.env["KEYFERRY_CONFORMANCE_ENDPOINT"]
const [REGION, REPLICA_REGION, CHINA_REGION] = ["us-east-1", "eu-west-3", "cn-north-1"]
const HEX = "0123456789abcdef".repeat(4)

describe(`conformance: recorded answers of AWS KMS, asked of ${ENDPOINT ?? "the local KMS"}`, () => {
  let local: LocalKmsProcess | undefined
  let client: KMS
  /** Null at another endpoint, which is of one Region: what is asked in China is left out there. */
  let chineseClient: KMS | null
  let keys: Readonly<Record<string, RecordedKey>>
  before(async () => {
    local = ENDPOINT === undefined ? await startLocalKms() : undefined
    client = local === undefined ? new KMS({ region: REGION, endpoint: ENDPOINT ?? "" }) : kmsClient(local, REGION)
    chineseClient = local === undefined ? null : kmsClient(local, CHINA_REGION)
    keys = {
      ...(await makeRecordedKeys(client)),
      ...(chineseClient === null ? {} : await makeChineseKeys(chineseClient)),
    }
  })
  after(async () => {
    client.destroy()
    chineseClient?.destroy()
    await local?.stop()
  })

  const constants = (): Readonly<Record<string, string>> => ({
    hex: HEX,
    region: REGION,
    "replica region": REPLICA_REGION,
    ...Object.fromEntries(
      Object.entries(keys).flatMap(([name, { arn, id }]) => [
        [name, arn],
        [`${name}.id`, id],
      ]),
    ),
  })

  const filledText = (text: string): string =>
    text.replaceAll(/<([a-z0-9. ]+)>/g, (whole, name: string) => constants()[name] ?? whole)

  function filled(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(filled)
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filled(member)]))
    }
    if (typeof value !== "string") return value
    const [, kind, count] = /^<(bytes|hours) (-?\d+)>$/.exec(value) ?? []
    if (kind === "bytes") return randomBytes(Number(count))
    if (kind === "hours") return new Date(Date.now() + Number(count) * 3_600_000)
    return filledText(value)
  }

  async function ask({ operation, request, china }: ConformanceRow): Promise<object> {
    const asked = china === true && chineseClient !== null ? chineseClient : client
    const { material, ...input } = filled(request) as Readonly<Record<string, unknown>> & { readonly material?: Buffer }
    if (operation !== "import") {
      return await (asked as unknown as Record<string, (input: object) => Promise<object>>)[operation]!(input)
    }
    const { KeyId, ...options } = input as { readonly KeyId: string }
    const key = Object.values(keys).find(({ arn }) => arn === KeyId)!
    const terms = { keySpec: key.keySpec, ...options }
    return { KeyId, KeyMaterialId: await importMaterial(asked, KeyId, material ?? key.material, terms) }
  }

  for (const [part, rows] of Object.entries(CONFORMANCE)) {
    describe(part, () => {
      for (const row of rows) {
        const { answer } = row
        if (row.china === true && ENDPOINT !== undefined) continue
        it(row.title, async () => {
          if ("error" in answer) {
            const { name, message } = await refusalOf(ask(row))
            const expected = answer.message ?? message
            const shown = expected.includes("<material>") ? message.replace(/[0-9a-f]{64}/, "<material>") : message
            expect({ name, message: shown }).to.deep.equal({ name: answer.error, message: filledText(expected) })
            return
          }
          const answered = await ask(row)
          for (const [path, expected] of Object.entries(answer.members)) {
            const member = path
              .split(".")
              .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], answered)
            expect(member, path).to.deep.equal(filled(expected))
          }
        })
      }
    })
  }
})
