import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry } from "#test/support/cli.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

/** A module that node loads first, and that fails in the middle of a run as a bug would, with a secret in its words. */
const FAULTS = {
  "a rejection that nobody waits for": `setImmediate(() => void Promise.reject(new TypeError("no URL: http://user:hunter2@proxy")))`,
  "an exception of a callback": `setImmediate(() => new URL("http://user:hunter2 @:x"))`,
  "a rejection with no error": `setImmediate(() => void Promise.reject({ password: "hunter2" }))`,
}

describe("an unexpected failure", () => {
  const folder = temporaryFolder()
  for (const [name, code] of Object.entries(FAULTS)) {
    it(`prints neither input nor stack: ${name}`, async () => {
      const fault = join(folder(), "fault.mjs")
      // as soon as the command has said what is to be done about it
      writeFileSync(
        fault,
        `const { on } = process
process.on = function (name, listener) {
  const emitter = on.call(this, name, listener)
  if (name === "uncaughtException") { ${code} }
  return emitter
}`,
      )
      const env = { NODE_OPTIONS: `--import ${fault}`, KEYFERRY_STATE_DIR: join(folder(), "state") }
      const args = [
        "provision",
        "--name",
        "payments",
        "--key-spec",
        "SYMMETRIC_DEFAULT",
        "--pin-source",
        "exec:sleep 5",
      ]
      const [text, json] = await Promise.all([keyferry(args, { env }), keyferry([...args, "--json"], { env })])
      for (const { status, stdout, stderr } of [text, json]) {
        expect(status).to.equal(70)
        expect(stdout + stderr).to.not.include("hunter2")
        expect(stderr).to.not.match(/^\s+at /m)
      }
      expect(text.stderr).to.include("[ERR_BUG]")
      expect(json.error().code).to.equal("ERR_BUG")
    })
  }
})
