import { spawnSync } from "node:child_process"
import { expect } from "chai"
import { startLocalKms } from "#test/support/local-kms.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { block, expectPromised, ROOT } from "../support/docs-blocks.js"
import { freePort } from "../support/free-port.js"
import { PAGED, strangerShell } from "../support/stranger-shell.js"

const PORT = "4599"

describe("README.md", () => {
  const home = temporaryFolder()

  it("is tried in five minutes as it says, without a pager", async () => {
    const script = block("try it").replaceAll(PORT, String(await freePort()))
    const env = { TMPDIR: home() }
    const { status, output } = await strangerShell(script, { home: home(), cwd: ROOT, env, columns: 80, stop: true })
    expect(status, output).to.equal(0)
    expectPromised(script, output)
    expect(output).to.not.match(/^fail /m)
    expect(output).to.not.include(PAGED)
  })

  it("is tried in a terminal where a pager would have been seen", async () => {
    const { stdout } = spawnSync("/usr/bin/aws", ["--version"], { encoding: "utf8" })
    // version 1 of the AWS CLI has no pager
    if (!stdout.startsWith("aws-cli/2")) return
    await using kms = await startLocalKms()
    const keys = { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local", AWS_REGION: "us-east-1" }
    const script = `aws --endpoint-url ${kms.endpoint} kms list-keys`
    const { output } = await strangerShell(script, { home: home(), cwd: ROOT, env: keys, columns: 80, stop: true })
    expect(output).to.include(PAGED)
  })
})
