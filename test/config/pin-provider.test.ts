import { readdirSync, readFileSync, statSync, writeFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { createPinProvider } from "#src/config/pin-provider.js"
import type { KeyferryError } from "#src/core/base/error.js"
import type { PinLength, PinProvider } from "#src/core/ports/pin-provider.js"
import { pinBits, type PinToken } from "#src/core/token/pin-marker.js"
import { systemClock } from "#src/host/clock.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedPinMarkers } from "#src/store/records/pin-markers.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const tokenOf = (serial: string, more: Partial<PinToken> = {}): PinToken => ({
  serial,
  label: "token",
  manufacturer: "maker",
  slot: null,
  libraryParameters: null,
  ...more,
})
const TOKEN = tokenOf("s1")
const ANY_LENGTH: PinLength = { min: null, max: null, countsUser: true }
const COUNT_LOW = 0x10000
const FINAL_TRY = 0x20000

describe("createPinProvider", () => {
  const folder = temporaryFolder()
  const warnings: string[] = []
  /** Environment of every run: each has a provider of its own. */
  const env = { PIN: "7351", OTHER_PIN: "7352", LONG: "12345678", SHORT: "1ö" }
  const provider = (source: string, retryPin = false): PinProvider =>
    createPinProvider({
      source,
      markers: storedPinMarkers(fileTexts(join(folder(), "state"))),
      retryPin,
      env,
      clock: systemClock,
      warn: (text) => warnings.push(text),
    })
  const pinFile = (content = "7351\n"): string => {
    const path = join(folder(), "pin")
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const given = async (pins: PinProvider, token = TOKEN, flags = 0): Promise<string> =>
    (await pins.read(token, ANY_LENGTH, flags)).pin.reveal()
  /** A login that the token answers so; null for one that works. */
  const login = async (
    pins: PinProvider,
    answer: string | null,
    {
      token = TOKEN,
      flagsBefore = 0,
      flagsAfter,
    }: { token?: PinToken; flagsBefore?: number; flagsAfter?: number } = {},
  ): Promise<void> => {
    const attempt = await pins.read(token, ANY_LENGTH, flagsBefore)
    await attempt.begin(flagsBefore)
    if (answer === null) await attempt.taken()
    else await attempt.refused({ answer, flagsBefore, flagsAfter: flagsAfter ?? flagsBefore })
  }
  const blocked = (pins: PinProvider, token = TOKEN, flags = 0): Promise<KeyferryError> =>
    expectCode("ERR_TOKEN_PIN_REFUSED_BEFORE", () => pins.read(token, ANY_LENGTH, flags))
  const marked = (): readonly string[] => readdirSync(join(folder(), "state", "pin-refused"))
  beforeEach(() => (warnings.length = 0))

  for (const answer of [
    "CKR_PIN_INCORRECT",
    "CKR_PIN_LEN_RANGE",
    "CKR_PIN_EXPIRED",
    "CKR_GENERAL_ERROR",
    "CKR_ARGUMENTS_BAD",
    "CKR_FUNCTION_FAILED",
    "CKR_DEVICE_ERROR",
    "CKR_DEVICE_REMOVED",
    "CKR_SESSION_HANDLE_INVALID",
    "CKR_0x80000300",
  ]) {
    it(`does not give a PIN again that was answered by ${answer}, in this run or the next`, async () => {
      const pins = provider("env:PIN")
      await login(pins, answer)
      await blocked(pins)
      const error = await blocked(provider("env:PIN"))
      expect(error.exit).to.equal("NOPERM")
      expect(error.message).to.include("was not taken").and.not.include("7351")
      expect(error.hint).to.include("--retry-pin")
    })
  }

  it("knows the PIN wherever it comes from: a file written anew, another source, a command", async () => {
    const path = pinFile()
    await login(provider(`file:${path}`), "CKR_PIN_INCORRECT")
    for (const content of ["7351", "7351\r\n"]) await blocked(provider(`file:${pinFile(content)}`))
    for (const same of ["env:PIN", "exec:echo 7351", "exec:printf %s 7351"]) await blocked(provider(same))
  })

  it("gives another PIN of the same source at once, in the same process too", async () => {
    const pins = provider(`file:${pinFile()}`)
    await login(pins, "CKR_PIN_INCORRECT")
    pinFile("7352\n")
    expect(await given(pins)).to.equal("7352")
    expect(await given(provider("env:OTHER_PIN"))).to.equal("7352")
  })

  it("remembers every PIN that was refused, also once another is taken", async () => {
    await login(provider("env:PIN"), "CKR_PIN_INCORRECT")
    await login(provider("exec:echo 1111"), "CKR_PIN_INCORRECT")
    await login(provider("env:OTHER_PIN"), null)
    await blocked(provider("env:PIN"))
    await blocked(provider("exec:echo 1111"))
    expect(await given(provider("env:OTHER_PIN"))).to.equal("7352")
  })

  it("tells tokens apart", async () => {
    await login(provider("env:PIN"), "CKR_PIN_INCORRECT")
    expect(await given(provider("env:PIN"), tokenOf("s2"))).to.equal("7351")
    // NSS databases share a serial: another folder is another token
    const elsewhere = tokenOf("s1", { libraryParameters: "configdir='sql:/another'" })
    expect(await given(provider("env:PIN"), elsewhere)).to.equal("7351")
    expect(await given(provider("env:PIN"), tokenOf("s1", { slot: "3" }))).to.equal("7351")
  })

  it("presents it once more by --retry-pin, and only once", async () => {
    await login(provider("env:PIN"), "CKR_PIN_INCORRECT")
    const retried = provider("env:PIN", true)
    await login(retried, "CKR_PIN_INCORRECT")
    await blocked(retried)
    await blocked(provider("env:PIN"))
    expect(marked()).to.have.lengthOf(1)
  })

  it("forgets the refusal when the token takes that PIN", async () => {
    await login(provider("env:PIN"), "CKR_GENERAL_ERROR")
    await login(provider("env:PIN", true), null)
    expect(await given(provider("env:PIN"))).to.equal("7351")
    expect(marked()).to.deep.equal([])
  })

  it("keeps of the PIN twelve bits of a salted hash, and of its source nothing", async () => {
    await login(provider("exec:echo 7351"), "CKR_PIN_INCORRECT")
    const [name = ""] = marked()
    const path = join(folder(), "state", "pin-refused", name)
    const text = readFileSync(path, "utf8")
    expect(name + text)
      .to.not.match(/(?<![0-9a-f])7351(?![0-9a-f])/)
      .and.not.include("echo")
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    const { salt, refused } = JSON.parse(text) as { salt: string; refused: { bits: string }[] }
    expect(salt).to.match(/^[0-9a-f]{32}$/)
    expect(refused.map(({ bits }) => bits)).to.deep.equal([pinBits("7351", salt)])
    expect(refused[0]?.bits).to.match(/^[0-9a-f]{3}$/)
  })

  it("warns where the refusal cannot be noted, and presents nothing where it could not note a presentation", async () => {
    const pins = provider("env:PIN", true)
    const attempt = await pins.read(TOKEN, ANY_LENGTH, 0)
    writeFileSync(join(folder(), "state"), "a file in the way")
    await expectCode("ERR_STATE_WRITE", () => attempt.begin(0))
    await attempt.refused({ answer: "CKR_PIN_INCORRECT", flagsBefore: 0, flagsAfter: 0 })
    expect(warnings).to.have.lengthOf(1)
  })

  it("gives an unreadable file its own error although it was refused before", async () => {
    const path = pinFile()
    await login(provider(`file:${path}`), "CKR_PIN_INCORRECT")
    writeFileSync(path, "")
    await expectCode("ERR_PIN_SOURCE", () => provider(`file:${path}`).read(TOKEN, ANY_LENGTH, 0))
  })

  describe("in a process that has logged in with the PIN", () => {
    for (const answer of [
      "CKR_DEVICE_ERROR",
      "CKR_DEVICE_REMOVED",
      "CKR_TOKEN_NOT_PRESENT",
      "CKR_FUNCTION_FAILED",
      "CKR_GENERAL_ERROR",
    ]) {
      it(`gives it again after ${answer} while no PIN flag has worsened`, async () => {
        const pins = provider("env:PIN")
        await login(pins, null)
        await login(pins, answer)
        expect(await given(pins)).to.equal("7351")
        expect(await given(provider("env:PIN"))).to.equal("7351")
        await login(pins, answer, { flagsBefore: COUNT_LOW, flagsAfter: COUNT_LOW | FINAL_TRY })
        await blocked(pins)
        await blocked(provider("env:PIN"))
      })
    }

    for (const answer of ["CKR_PIN_INCORRECT", "CKR_PIN_EXPIRED", "CKR_ARGUMENTS_BAD", "CKR_0x80000300"]) {
      it(`does not give it again after ${answer}`, async () => {
        const pins = provider("env:PIN")
        await login(pins, null)
        await login(pins, answer)
        await blocked(pins)
        await blocked(provider("env:PIN"))
      })
    }

    it("does not give another PIN again, nor this one to another token", async () => {
      const pins = provider(`file:${pinFile()}`)
      await login(pins, null)
      await login(pins, "CKR_DEVICE_ERROR", { token: tokenOf("s2") })
      await blocked(pins, tokenOf("s2"))
      pinFile("7352\n")
      await login(pins, "CKR_DEVICE_ERROR")
      await blocked(pins)
    })
  })

  describe("after a run that was killed while it presented a PIN", () => {
    const killed = async (flagsBefore: number): Promise<void> => {
      const attempt = await provider("env:PIN").read(TOKEN, ANY_LENGTH, flagsBefore)
      await attempt.begin(flagsBefore)
    }

    it("presents none where the token tells that a wrong one was entered since, until --retry-pin", async () => {
      await killed(0)
      const error = await blocked(provider("env:PIN"), TOKEN, COUNT_LOW)
      expect(error.message).to.include("not known which")
      // noted for good: the flags may have been reset meanwhile
      await blocked(provider("env:OTHER_PIN"))
      await login(provider("env:OTHER_PIN", true), null)
      expect(await given(provider("env:OTHER_PIN"))).to.equal("7352")
    })

    it("counts a refusal that could not be noted as such a run", async () => {
      const attempt = await provider("env:PIN").read(TOKEN, ANY_LENGTH, 0)
      await attempt.begin(0)
      const inTheWay = join(folder(), "state", "pin-refused")
      writeFileSync(inTheWay, "")
      await attempt.refused({ answer: "CKR_PIN_INCORRECT", flagsBefore: 0, flagsAfter: COUNT_LOW })
      expect(warnings).to.have.lengthOf(1)
      rmSync(inTheWay)
      await blocked(provider("env:PIN"), TOKEN, COUNT_LOW)
    })

    it("goes on where the token tells nothing of the kind", async () => {
      await killed(COUNT_LOW)
      expect(await given(provider("env:PIN"), TOKEN, COUNT_LOW)).to.equal("7351")
      await login(provider("env:PIN"), null, { flagsBefore: COUNT_LOW })
      expect(await given(provider("env:PIN"), TOKEN, COUNT_LOW | FINAL_TRY)).to.equal("7351")
    })
  })

  describe("a PIN of a length that the token does not take", () => {
    const lengths: readonly (readonly [source: string, length: Partial<PinLength>, fault: string | null])[] = [
      ["env:LONG", { min: 4, max: 8 }, null],
      ["env:LONG", { max: 7 }, "too long"],
      ["env:LONG", { min: 9 }, "too short"],
      // in bytes, of which ö has two
      ["env:SHORT", { min: 3, max: 3 }, null],
      ["env:SHORT", { min: 4 }, "too short"],
      ["exec:echo crypto-user:1234567", { min: 7, max: 7, countsUser: false }, null],
      ["exec:echo crypto-user:1234567", { max: 8 }, "too long"],
    ]
    for (const [source, length, fault] of lengths) {
      it(`${fault === null ? "is none" : "is refused before it is presented"}: ${source} for ${JSON.stringify(length)}`, async () => {
        const read = (retryPin: boolean) => provider(source, retryPin).read(TOKEN, { ...ANY_LENGTH, ...length }, 0)
        if (fault === null) {
          await read(false)
          return
        }
        const error = await expectCode("ERR_PIN_SOURCE", () => read(false))
        expect(error.message).to.include(fault)
        // some tokens are wrong about themselves
        await read(true)
        expect(warnings.join()).to.include(fault)
      })
    }
  })
})
