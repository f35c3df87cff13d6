import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { createPinProvider } from "#src/config/pin-provider.js"
import type { PinToken } from "#src/core/token/pin-marker.js"
import type { PinProvider } from "#src/core/ports/pin-provider.js"
import { pinMarkerFiles } from "#src/store/files/pin-marker-files.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const tokenOf = (serial: string, libraryParameters: string | null = null): PinToken => ({
  serial,
  label: "token",
  manufacturer: "maker",
  libraryParameters,
})

describe("createPinProvider", () => {
  const folder = temporaryFolder()
  const warnings: string[] = []
  const provider = (source: string, retryPin = false): PinProvider =>
    createPinProvider({
      source,
      markers: pinMarkerFiles(join(folder(), "state")),
      retryPin,
      env: { PIN: "7351", OTHER_PIN: "7352" },
      warn: (text) => warnings.push(text),
    })
  const pinFile = (): string => {
    const path = join(folder(), "pin")
    writeFileSync(path, "7351\n", { mode: 0o600 })
    return path
  }
  /** A run whose PIN the token refuses. */
  const refusedRun = async (source: string, retryPin = false): Promise<PinProvider> => {
    const pins = provider(source, retryPin)
    expect((await pins.read(tokenOf("s1"))).reveal()).to.equal("7351")
    await pins.refused(tokenOf("s1"))
    return pins
  }
  const blocked = (pins: PinProvider, serial = "s1") =>
    expectCode("ERR_TOKEN_PIN_REFUSED_BEFORE", () => pins.read(tokenOf(serial)))
  beforeEach(() => (warnings.length = 0))

  it("gives the PIN as often as it is asked for, and reads the source once", async () => {
    const path = pinFile()
    const pins = provider(`file:${path}`)
    await pins.read(tokenOf("s1"))
    writeFileSync(path, "changed")
    expect((await pins.read(tokenOf("s1"))).reveal()).to.equal("7351")
  })

  it("does not give a refused PIN again, in this run or the next", async () => {
    await blocked(await refusedRun("env:PIN"))
    await blocked(provider("env:PIN"))
    expect((await blocked(provider("env:PIN"))).exit).to.equal("NOPERM")
  })

  it("tells tokens apart", async () => {
    await refusedRun("env:PIN")
    expect((await provider("env:PIN").read(tokenOf("s2"))).reveal()).to.equal("7351")
    // NSS databases share a serial: another folder is another token
    const elsewhere = tokenOf("s1", "configdir='sql:/another'")
    expect((await provider("env:PIN").read(elsewhere)).reveal()).to.equal("7351")
  })

  it("gives it again once the PIN file was written", async () => {
    const path = pinFile()
    await refusedRun(`file:${path}`)
    await blocked(provider(`file:${path}`))
    utimesSync(path, new Date(), new Date(statSync(path).mtimeMs + 1000))
    expect((await provider(`file:${path}`).read(tokenOf("s1"))).reveal()).to.equal("7351")
  })

  it("does not take another spelling of the same file for another source", async () => {
    const path = pinFile()
    await refusedRun(`file:${path}`)
    for (const same of [path, `file://${path}`, `file:${folder()}/./pin`]) await blocked(provider(same))
  })

  it("gives a PIN from another source", async () => {
    await refusedRun("env:PIN")
    expect((await provider("env:OTHER_PIN").read(tokenOf("s1"))).reveal()).to.equal("7352")
  })

  it("presents it once more by --retry-pin, and only once", async () => {
    await refusedRun("env:PIN")
    await blocked(await refusedRun("env:PIN", true))
    await blocked(provider("env:PIN"))
  })

  it("forgets the refusal when the token takes the PIN", async () => {
    await refusedRun("env:PIN")
    const pins = provider("env:PIN", true)
    await pins.read(tokenOf("s1"))
    await pins.accepted(tokenOf("s1"))
    expect((await provider("env:PIN").read(tokenOf("s1"))).reveal()).to.equal("7351")
    expect(readdirSync(join(folder(), "state", "pin-refused"))).to.deep.equal([])
  })

  it("keeps neither PIN nor command in its marker", async () => {
    await refusedRun("exec:echo 7351")
    const marked = join(folder(), "state", "pin-refused")
    for (const name of readdirSync(marked)) {
      expect(name + readFileSync(join(marked, name), "utf8"))
        .to.not.include("7351")
        .and.not.include("echo")
      expect(statSync(join(marked, name)).mode & 0o777).to.equal(0o600)
    }
  })

  it("warns where the refusal cannot be noted", async () => {
    writeFileSync(join(folder(), "state"), "a file in the way")
    const pins = provider("env:PIN", true)
    await pins.read(tokenOf("s1"))
    await pins.refused(tokenOf("s1"))
    expect(warnings).to.have.lengthOf(1)
    await blocked(pins)
  })

  it("gives an unreadable file its own error although it was refused before", async () => {
    const path = pinFile()
    await refusedRun(`file:${path}`)
    writeFileSync(path, "")
    await expectCode("ERR_PIN_SOURCE", () => provider(`file:${path}`).read(tokenOf("s1")))
  })
})
