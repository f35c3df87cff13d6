import { existsSync, readdirSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { dirname, join } from "node:path"
import { expect } from "chai"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { markedBlock, readme, ROOT, shell } from "../support/docs-blocks.js"

const PORT = "4599"

describe("README", () => {
  const folder = temporaryFolder()

  it("has a quick start that runs as written", async function () {
    this.timeout(120_000)
    const port = (await isFree(Number(PORT))) ? PORT : String(await freePort())
    const script = join(folder(), "quick-start.sh")
    const env = { HOME: folder(), TMPDIR: folder() }
    const quickStart = markedBlock("quick start").replaceAll(PORT, port)
    const { status, stdout, stderr } = await shell(quickStart, script, { cwd: ROOT, env, stop: true })

    expect(status, stderr).to.equal(0)
    expect(stdout).to.match(/^ok {4}login/m)
    expect(stdout).to.not.match(/^fail /m)
    expect(stdout).to.match(/^proof +proven by key material ID/m)
    expect(stdout).to.match(/^alias +alias\/payments$/m)
    expect(stdout).to.match(/^payments .* imported /m)
    expect(stdout).to.match(/^"[A-Za-z0-9+/]{80,}={0,2}"$/m)
  })

  it("names only tests that are there", () => {
    const named = readme().match(/`test\/[^`]+`/g) ?? []
    expect(named).to.not.be.empty
    const missing = named.map((quoted) => quoted.slice(1, -1)).filter((path) => !isThere(path))
    expect(missing).to.deep.equal([])
  })
})

/** Whether a path of the checkout, perhaps with one `*` in its last part, names something. */
function isThere(path: string): boolean {
  const [start = "", end] = path.split("*")
  if (end === undefined) return existsSync(join(ROOT, path))
  const folder = dirname(start)
  return readdirSync(join(ROOT, folder)).some((name) => join(folder, name).startsWith(start) && name.endsWith(end))
}

function isFree(port: number): Promise<boolean> {
  return listen(port).then(
    () => true,
    () => false,
  )
}

const freePort = (): Promise<number> => listen(0)

/** Listens for a moment; the port, or a failure where it is taken. */
function listen(port: number): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => {
      const { port: got } = server.address() as AddressInfo
      server.close(() => resolve(got))
    })
  })
}
