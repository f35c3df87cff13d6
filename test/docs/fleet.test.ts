import { chmodSync } from "node:fs"
import { expect } from "chai"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { block, expectPromised, ROOT } from "../support/docs-blocks.js"
import { freePort } from "../support/free-port.js"
import { PAGED, strangerShell } from "../support/stranger-shell.js"

/** Columns of a terminal that shows every row of a table whole. */
const WIDE = 400
const PORT = "4597"

describe("docs/fleet.md", () => {
  const home = temporaryFolder()

  it("leads from one host with files to two agents on PostgreSQL, of which one dies, and back", async () => {
    const pageText = [
      block("fleet: rehearsal"),
      block("fleet: one host"),
      block("fleet: database"),
      block("fleet: export"),
      block("fleet: configuration"),
      block("fleet: import"),
      block("fleet: agents"),
      block("fleet: back"),
      "as_postgres pg_ctl -D db/data -m fast stop >/dev/null\nkill %1\n",
    ].join("")
    // the server of the page runs as another user where this one is root
    chmodSync(home(), 0o755)
    const script = pageText.replaceAll(PORT, String(await freePort()))
    const { output } = await strangerShell(script, { home: home(), cwd: ROOT, env: { TMPDIR: home() }, columns: WIDE })
    expectPromised(script, output)
    expect(output).to.not.match(/^fail /m)
    expect(output).to.not.include(PAGED)
  })
})
