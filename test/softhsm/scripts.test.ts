import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"

const SCRIPTS = fileURLToPath(new URL("../../../softhsm/", import.meta.url))

describe("the scripts that make tokens", () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "keyferry-scripts-"))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  const run = (script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    spawnSync(join(SCRIPTS, script), args, { encoding: "utf8", env: { ...process.env, ...env } })

  for (const script of ["make-softhsm.sh", "make-nss.sh", "make-opencryptoki.sh", "make-tpm2.sh"]) {
    it(`${script} wants a folder`, () => {
      const { status, stdout } = run(script, [])
      expect(status).to.equal(64)
      expect(stdout).to.equal("")
    })

    it(`${script} leaves a folder alone that holds something`, () => {
      writeFileSync(join(dir, "precious"), "")
      const { status, stdout } = run(script, [dir])
      expect(status).to.equal(73)
      expect(stdout).to.equal("")
      expect(readdirSync(dir)).to.deep.equal(["precious"])
    })
  }

  it("say which variable names a module that is not there", () => {
    const { status, stderr } = run("make-nss.sh", [dir], { KEYFERRY_NSS_MODULE: join(dir, "none.so") })
    expect(status).to.equal(69)
    expect(stderr).to.contain("KEYFERRY_NSS_MODULE")
  })

  it("take another module where a variable names one", () => {
    const module = join(dir, "module.so")
    writeFileSync(module, "")
    expect(run("module-path.sh", ["spy"], { KEYFERRY_SPY_MODULE: module }).stdout).to.equal(`${module}\n`)
  })

  it("fail, and do not skip, where the system permits no namespaces", () => {
    for (const name of ["unshare", "sudo"]) {
      writeFileSync(join(dir, name), "#!/bin/sh\nexit 1\n")
      chmodSync(join(dir, name), 0o755)
    }
    const path = `${dir}:${process.env["PATH"] ?? ""}`
    const { status, stdout, stderr } = run("make-opencryptoki.sh", [join(dir, "token")], { PATH: path })
    expect(status).to.equal(77)
    expect(stdout).to.equal("")
    expect(stderr).to.match(/unshare|namespace/)
  })
})
