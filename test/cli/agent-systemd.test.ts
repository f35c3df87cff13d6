import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { setStage, type Stage } from "../support/stage.js"

const UNITS = fileURLToPath(new URL("../../../deploy/systemd", import.meta.url))

/** Receives datagrams for so long as the command of its arguments runs, and prints them, a line each. */
const LISTENER = `
import os, socket, subprocess, sys
path = sys.argv[1]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(chr(0) + path[1:] if path.startswith("@") else path)
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
notify.settimeout(0.2)
while True:
    try:
        print(notify.recv(4096).decode(), flush=True)
    except TimeoutError:
        if child.poll() is not None:
            break
sys.exit(child.returncode)
`

describe("keyferry as a service of systemd", () => {
  let stage: Stage
  let config: string

  before(async () => {
    stage = await setStage()
    config = join(stage.folder, "service.yaml")
    // without pin-source: systemd gives it
    const uri = stage.token.uri
      .replace(/[?&]pin-source=[^&]*/, (part) => (part.startsWith("?") ? "?" : ""))
      .replace("?&", "?")
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
keys: { a: { keySpec: HMAC_256, custody: token, wrappingKeySpec: RSA_2048 } }
agent: { allow: [rewrap, provision] }
`,
    )
  })
  after(() => stage[Symbol.asyncDispose]())

  for (const form of ["a name in the file system", "an abstract name"]) {
    it(`says when it is ready and what it did, to ${form}, and takes the PIN from its credentials`, () => {
      const socket = form === "an abstract name" ? `@keyferry-${process.pid}` : join(stage.folder, "notify")
      const credentials = join(stage.folder, `credentials-${form.length}`)
      mkdirSync(credentials)
      writeFileSync(join(credentials, "pin"), `${stage.token.pin}\n`, { mode: 0o600 })
      const main = fileURLToPath(new URL("../../../dist/main.cjs", import.meta.url))
      const { stdout, stderr, status } = spawnSync(
        "python3",
        ["-c", LISTENER, socket, process.execPath, main, "agent", "--once", "--config", config],
        {
          encoding: "utf8",
          env: {
            ...stage.env,
            KEYFERRY_TOKEN: undefined,
            KEYFERRY_PIN_SOURCE: undefined,
            PATH: process.env["PATH"],
            HOME: process.env["HOME"],
            KEYFERRY_STATE_DIR: stage.state(),
            CREDENTIALS_DIRECTORY: credentials,
            NOTIFY_SOCKET: socket,
          },
        },
      )
      expect(status, stdout + stderr).to.equal(0)
      const lines = stdout.trim().split("\n")
      expect(lines[0]).to.equal("READY=1")
      expect(lines[1]).to.match(/^STATUS=last round done; next at \d{4}-/)
    })
  }

  it("has units in which systemd finds nothing wrong, hardened", () => {
    const folder = join(stage.folder, "units")
    mkdirSync(folder)
    const units = readdirSync(UNITS)
    expect(units).to.include.members(["keyferry-agent.service", "keyferry-rewrap.service", "keyferry-rewrap.timer"])
    for (const unit of units) {
      const text = readFileSync(join(UNITS, unit), "utf8")
      expect(text).not.to.match(/^MemoryDenyWriteExecute=yes/m)
      // the command is there only where keyferry is installed
      writeFileSync(join(folder, unit), text.replaceAll("/usr/bin/keyferry", "/bin/true"))
    }
    const paths = units.map((unit) => join(folder, unit))
    const verified = spawnSync("systemd-analyze", ["verify", ...paths], { encoding: "utf8" })
    expect([verified.status, verified.stdout + verified.stderr]).to.deep.equal([0, ""])
    for (const unit of units.filter((name) => name.endsWith(".service"))) {
      const options = ["security", "--offline=true", "--threshold=20", join(folder, unit)]
      const { status, stdout, stderr } = spawnSync("systemd-analyze", options, { encoding: "utf8" })
      expect(status, stdout + stderr).to.equal(0)
      expect(stdout).to.match(/Overall exposure level for .*: (0\.\d|1\.\d) /)
    }
  })

  it("finds a directive that systemd does not know, which verify passes over with status 0", () => {
    const unit = join(stage.folder, "odd.service")
    writeFileSync(unit, "[Service]\nExecStart=/bin/true\nProtectEverything=yes\n")
    const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", unit], { encoding: "utf8" })
    expect(stdout + stderr).to.include("ProtectEverything")
  })
})
