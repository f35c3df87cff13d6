import { readFileSync } from "node:fs"
import { expect } from "chai"
import { type ErrorCode, ERRORS } from "#src/core/base/error.js"
import { setStage, type Stage } from "../support/stage.js"
import { FILE_HINTS } from "./hints/files.js"
import { KMS_HINTS } from "./hints/kms.js"
import { failureOf, type Followed, situationOn } from "./hints/situation.js"
import { TOKEN_HINTS } from "./hints/tokens.js"

const FOLLOWED: Readonly<Partial<Record<ErrorCode, Followed>>> = { ...TOKEN_HINTS, ...FILE_HINTS, ...KMS_HINTS }

/** Hints that another test follows, in a world of its own: its file under test/, which has the code. */
const FOLLOWED_ELSEWHERE: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_USAGE: "cli/hints.test.ts",
  ERR_EXPIRY_INVALID: "cli/hints.test.ts",
  ERR_CUSTODY_REFUSED: "cli/hints.test.ts",
  ERR_NOT_ACKNOWLEDGED: "cli/hints.test.ts",
  ERR_CONFIRMATION_MISSING: "cli/hints.test.ts",
  ERR_ALGORITHM_NOT_ALLOWED: "cli/hints.test.ts",
  ERR_KEY_NOT_FOUND: "cli/hints.test.ts",
  ERR_KEY_ATTRIBUTES: "cli/hints.test.ts",
  ERR_TOKEN_NOT_FOUND: "cli/hints.test.ts",
  ERR_KMS_REGION_MISSING: "cli/hints.test.ts",
  ERR_KMS_KEY_NOT_FOUND: "cli/hints.test.ts",
  ERR_TOKEN_LOGIN_FAILED: "cli/pin.test.ts",
  ERR_TOKEN_WRITE_PROTECTED: "cli/write-protected.test.ts",
  ERR_STATE_LOCKED: "cli/interrupt.test.ts",
  ERR_ROTATION_PENDING: "app/rotate/rotate.test.ts",
  ERR_KMS_LIMIT: "app/rotate/rotate.test.ts",
  ERR_KMS_OUTCOME_UNKNOWN: "app/provision/provision.test.ts",
  ERR_TOKEN_HANGS: "cli/call-timeout.test.ts",
  ERR_KEY_SPEC_UNSUPPORTED: "cli/refusal-order.test.ts",
  ERR_KEY_HELD: "cli/held-keys.test.ts",
  ERR_BINDING_LOST: "cli/postgres.test.ts",
  ERR_DATABASE_SETTING: "cli/postgres.test.ts",
  ERR_DATABASE_UNREACHABLE: "cli/postgres.test.ts",
  ERR_DATABASE_REFUSED: "cli/postgres.test.ts",
}

/**
 * Hints that send the reader to a person, to the vendor's tool or to AWS, or that say to stop; and what KMS would answer to
 * what keyferry refuses before.
 */
const FOR_PEOPLE: readonly ErrorCode[] = [
  "ERR_POLICY_REFUSED",
  "ERR_TOKEN_UNINITIALIZED",
  "ERR_TOKEN_PIN_FINAL_TRY",
  "ERR_TOKEN_PIN_LOCKED",
  "ERR_TOKEN_PIN_UNUSABLE",
  "ERR_TOKEN_UNAVAILABLE",
  "ERR_TOKEN_FULL",
  "ERR_TOKEN_OTHER",
  "ERR_WRAP_RESULT",
  "ERR_ADDON_MISSING",
  "ERR_STATE_LOCK_UNUSABLE",
  "ERR_KMS_KEY_ORIGIN",
  "ERR_KMS_REPLICA_EXISTS",
  "ERR_KMS_REFUSED",
  "ERR_KMS_OTHER",
  "ERR_SEALED_UNREADABLE",
  "ERR_SHORT_SCALAR",
  "ERR_KMS_ALIAS",
  "ERR_KMS_IMPORT_TOKEN",
  "ERR_KMS_CIPHERTEXT",
  "ERR_KMS_KEY_MATERIAL",
  "ERR_PROOF_FAILED",
  "ERR_BUG",
]

describe("the hint of each error", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage({ regions: ["us-east-1", "eu-west-1"] })
    await stage.kms.rotationSeconds(0)
  })
  beforeEach(() => stage.kms.clearFaults())
  after(() => stage[Symbol.asyncDispose]())

  for (const [code, { fails, follow, further }] of Object.entries(FOLLOWED)) {
    it(`is followed, and gets further: ${code}`, async () => {
      const situation = situationOn(stage)
      const failing = {
        ...situation,
        run: (args: readonly string[], env = {}) => situation.run([...args, "--json"], env),
      }
      const refused = await fails(failing)
      const failure = failureOf(refused)
      expect(failure.code, refused.stderr).to.equal(code)
      const result = await follow(situation, failure.hint)
      if (further === undefined) expect(result.status, `${failure.hint}\n${result.stdout}${result.stderr}`).to.equal(0)
      else further(result)
    })
  }

  it("is followed here, by another test, or by people", () => {
    const all = [...Object.keys(FOLLOWED), ...Object.keys(FOLLOWED_ELSEWHERE), ...FOR_PEOPLE]
    expect(all.sort()).to.deep.equal(Object.keys(ERRORS).sort())
    for (const [code, file] of Object.entries(FOLLOWED_ELSEWHERE))
      expect(readFileSync(new URL(`../../../test/${file}`, import.meta.url), "utf8"), file).to.include(code)
  })
})
