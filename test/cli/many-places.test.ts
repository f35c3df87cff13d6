import { expect } from "chai"
import { type Crowd, openCrowd } from "../support/crowd.js"

const NARROW = [
  "300 keys, 309 bindings: 5 dead, 7 due, 98 not reached, 199 well",
  "dead: `keyferry recover --plan`, then `keyferry recover --yes`: dead-reports-010",
  "  (prod-us-west-2), dead-payments-066 (prod-us-east-1), dead-ledger-121",
  "  (test-ap-south-1) and 2 more",
  "due: `keyferry apply`: reports-016 (prod-eu-west-3), customers-051",
  "  (test-eu-west-3), ledger-085 (test-ap-south-1) and 4 more",
  "not reached: `keyferry doctor`: old-ap-south-1 (25), old-eu-west-3 (25),",
  "  old-us-east-1 (24), old-us-west-2 (24): KMS could not be asked:",
  "  sts:GetCallerIdentity: nothing listens at the endpoint or proxy (ECONNREFUSED)",
  "  [KMS_UNREACHABLE]",
]
const WIDE = [
  "300 keys, 309 bindings: 5 dead, 7 due, 98 not reached, 199 well",
  "dead: `keyferry recover --plan`, then `keyferry recover --yes`: dead-reports-010 (prod-us-west-2), dead-payments-066",
  "  (prod-us-east-1), dead-ledger-121 (test-ap-south-1) and 2 more",
  "due: `keyferry apply`: reports-016 (prod-eu-west-3), customers-051 (test-eu-west-3), ledger-085 (test-ap-south-1) and 4",
  "  more",
  "not reached: `keyferry doctor`: old-ap-south-1 (25), old-eu-west-3 (25), old-us-east-1 (24), old-us-west-2 (24): KMS",
  "  could not be asked: sts:GetCallerIdentity: nothing listens at the endpoint or proxy (ECONNREFUSED) [KMS_UNREACHABLE]",
  "",
]
const LAST = "300 keys, 309 bindings: 199 nothing, 7 planned, 103 blocked"

/** What a person sees first of 300 keys over 3 accounts and 4 Regions, with 5 dead, 7 due, and 98 that are not reached. */
describe("300 keys on a screen", () => {
  let crowd: Crowd
  before(async () => {
    crowd = await openCrowd()
  })
  after(() => crowd[Symbol.asyncDispose]())

  for (const command of ["status", "plan"]) {
    for (const [columns, first] of [
      [80, NARROW],
      [120, WIDE],
    ] as const) {
      it(`says in the first ten of ${columns} columns of ${command} what to do first`, async () => {
        const { stdout } = await crowd.run([command], { COLUMNS: String(columns) })
        const lines = stdout.trimEnd().split("\n")
        expect(lines.slice(0, first.length)).to.deep.equal(first)
        expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(columns)
        expect(lines).to.include(LAST)
        // a row each, and no more said of them below than of a few
        expect(lines.length).to.be.below(309 + 30)
        expect(lines.filter((line) => line.includes("hint:"))).to.have.length(command === "plan" ? 2 : 1)
      })
    }
  }

  it("tells where KMS was asked by account and not by target, after the result", async () => {
    const { stderr } = await crowd.run(["plan"], { COLUMNS: "80" })
    const lines = stderr.trimEnd().split("\n")
    expect(lines.map((line) => line.replace(/ at \S+/, ""))).to.deep.equal([
      "keyferry: KMS of old-ap-south-1, old-eu-west-3, old-us-east-1, old-us-west-2: account not known in aws, (named by 4 targets)",
      "keyferry: KMS of prod-ap-south-1, prod-eu-west-3, prod-us-east-1, prod-us-west-2: account 111122223333 in aws, (named by 4 targets)",
      "keyferry: KMS of test-ap-south-1, test-eu-west-3, test-us-east-1, test-us-west-2: account 444455556666 in aws, (named by 4 targets)",
    ])
  })

  it("has each kind of trouble once in the line for monitoring", async () => {
    const { stdout, status } = await crowd.run(["check"])
    expect(status).to.equal(2)
    expect(stdout.split(" | ")[0]).to.equal(
      "KEYFERRY CRITICAL - dead-reports-010 (prod-us-west-2) and 4 more: its KMS key is dead in us-west-2: its key material was deleted [MATERIAL_DELETED]; archive-002 (old-ap-south-1) and 97 more: KMS could not be asked: sts:GetCallerIdentity: nothing listens at the endpoint or proxy (ECONNREFUSED) [KMS_UNREACHABLE]",
    )
    expect(stdout).to.include(" dead=5;").and.to.include(" unseen=98;")
  })
})
