import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"

interface Doctor {
  readonly checks: readonly {
    readonly id: string
    readonly status: string
    readonly message: string
    readonly hint: string | null
  }[]
}

describe("--role-arn", () => {
  const state = mkdtempSync(join(tmpdir(), "keyferry-role-"))
  let kms: LocalKmsProcess
  before(async () => {
    kms = await startLocalKms()
  })
  after(async () => {
    await kms.stop()
    rmSync(state, { recursive: true, force: true })
  })

  const identity = async (role: string) => {
    const run = await keyferry(["doctor", "--json", "--role-arn", role], {
      env: { ...kms.env, KEYFERRY_STATE_DIR: state },
    })
    return { status: run.status, check: (run.json() as Doctor).checks.find(({ id }) => id === "aws-identity") }
  }

  it("works as the role that STS lends", async () => {
    const { check } = await identity("arn:aws:iam::111122223333:role/byok")
    expect(check?.status).to.equal("ok")
    expect(check?.message).to.contain("arn:aws:sts::111122223333:assumed-role/byok/keyferry")
  })

  it("names the permission when the role may not be assumed", async () => {
    const { check, status } = await identity("arn:aws:iam::999999999999:role/byok")
    expect(check?.status).to.equal("fail")
    expect(check?.hint).to.contain("sts:AssumeRole")
    expect(status).to.equal(77)
  })
})
