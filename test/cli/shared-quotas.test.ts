import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry } from "../support/cli.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { setStage, type Stage } from "../support/stage.js"

const ACCOUNT = "111122223333"
const QUOTAS = { CreateKey: 5, GetParametersForImport: 1, ImportKeyMaterial: 15, DescribeKey: 100 }

describe("quotas of KMS where the state is in a database", () => {
  let postgres: PostgresServer
  let stage: Stage
  before(async () => {
    postgres = await startPostgres()
    stage = await setStage({ account: ACCOUNT })
  })
  after(async () => {
    await stage[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })

  it("are kept in it under the account's number", async () => {
    const env = { ...stage.env, KEYFERRY_STATE_URL: await postgres.createDatabase("state") }
    const config = join(stage.folder, "keyferry.yaml")
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { us-east-1: { region: us-east-1, account: "${ACCOUNT}", endpoint: ${JSON.stringify(stage.kms.endpoint)}, quotas: ${JSON.stringify(QUOTAS)} } }
defaults: { token: only, custody: token, wrappingKeySpec: RSA_2048 }
keys: { one: { keySpec: HMAC_256, targets: [us-east-1] }, two: { keySpec: HMAC_256, targets: [us-east-1] }, three: { keySpec: HMAC_256, targets: [us-east-1] } }
`,
    )
    const migrated = await keyferry(["state", "migrate"], { env })
    expect(migrated.status, migrated.stderr).to.equal(0)
    await stage.kms.clearCounts()
    await stage.kms.quotas({ rates: QUOTAS })
    const applied = await keyferry(["apply", "--config", config], { env })
    expect(applied.status, applied.stderr).to.equal(0)
    expect((await stage.kms.counts()).errors).to.deep.equal({})
    const rows = postgres.sql("state", "SELECT DISTINCT account, region FROM keyferry.quota")
    expect(rows.trim()).to.equal(`${ACCOUNT} ${stage.kms.endpoint}|us-east-1`)
    const operations = postgres.sql("state", "SELECT operation FROM keyferry.quota").trim().split("\n")
    expect(operations).to.include.members(Object.keys(QUOTAS))
  })
})
