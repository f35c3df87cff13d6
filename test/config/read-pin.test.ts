import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, openSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { parsePinSource } from "#src/config/pin-source.js"
import { isOpenToOthers, readPin } from "#src/config/read-pin.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const PROGRAM = fileURLToPath(new URL("../support/pin-process.js", import.meta.url))

describe("readPin", () => {
  const folder = temporaryFolder()
  const warnings: string[] = []
  const read = async (source: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
    warnings.length = 0
    const pin = await readPin(parsePinSource(source), "byok", { env, warn: (text) => warnings.push(text) })
    return pin.reveal()
  }
  const pinFile = (content: string, mode = 0o600): string => {
    const path = join(folder(), "pin")
    writeFileSync(path, content)
    chmodSync(path, mode)
    return path
  }

  const contents: [content: string, pin: string][] = [
    ["1234", "1234"],
    ["1234\n", "1234"],
    ["1234\r\n", "1234"],
    [" 1234 \n", " 1234 "],
    ["pässwörd\n", "pässwörd"],
  ]
  for (const [content, pin] of contents) {
    it(`takes ${JSON.stringify(pin)} from ${JSON.stringify(content)} in a file, a descriptor and a command`, async () => {
      const path = pinFile(content)
      expect(await read(`file:${path}`)).to.equal(pin)
      expect(await read(`fd:${openSync(path, "r")}`)).to.equal(pin)
      expect(await read(`exec:cat '${path}'`)).to.equal(pin)
      expect(warnings).to.deep.equal([])
    })
  }

  it("takes an environment variable as it is", async () => {
    expect(await read("env:PIN", { PIN: " 1234" })).to.equal(" 1234")
  })

  const oddities: readonly (readonly [name: string, bytes: string | Uint8Array, tells: RegExp])[] = [
    ["a byte order mark", "\ufeff7351\n", /byte order mark/],
    ["UTF-16", Buffer.from("\ufeff7351\n", "utf16le"), /UTF-16/],
    ["UTF-16, big endian", Buffer.from([0xfe, 0xff, 0, 0x37]), /UTF-16/],
    ["a NUL", "7351\0", /NUL/],
    ["Latin-1", Buffer.from("p\u00e4ss7351\n", "latin1"), /not UTF-8/],
    ["half a character", Buffer.from([0x37, 0xc3]), /not UTF-8/],
    ["a carriage return without its line feed", "7351\r", /carriage return/],
    ["the carriage return of a second line end", "7351\r\n\r\n", /carriage return/],
    ["two line ends", "7351\n\n", /line end/],
    ["two lines", "user\n7351\n", /line end/],
    ["a tab", "7351\t\n", /tab/],
    ["an escape sequence", "\u001b[31m7351", /U\+001B/],
    ["a C1 control", "7351\u009b", /U\+009B/],
    ["a zero width space", "7351\u200b\n", /U\+200B/],
    ["a mark that turns the direction of writing", "\u202e7351", /U\+202E/],
  ]
  for (const [name, bytes, tells] of oddities) {
    it(`refuses ${name} by its name, in a file, a descriptor, a command and a variable`, async () => {
      const path = join(folder(), "pin")
      writeFileSync(path, bytes)
      const sources = [`file:${path}`, `fd:${openSync(path, "r")}`, `exec:cat '${path}'`]
      for (const source of sources) {
        const error = await expectCode("ERR_PIN_SOURCE", () => read(source))
        expect(error.message, source).to.match(tells).and.not.include("7351")
        expect(error.hint).to.include("no PIN was presented")
      }
      if (typeof bytes !== "string" || bytes.includes("\0")) return
      await expectCode("ERR_PIN_SOURCE", () => read("env:PIN", { PIN: bytes }))
    })
  }

  it("refuses a variable of bytes that node could not read", async () => {
    const error = await expectCode("ERR_PIN_SOURCE", () => read("env:PIN", { PIN: "p\ufffdss" }))
    expect(error.message).to.include("not UTF-8")
  })

  it("reads a source without an end no further than a PIN can be long", async () => {
    for (const source of ["file:/dev/zero", "exec:yes 7351", `fd:${openSync("/dev/zero", "r")}`]) {
      const error = await expectCode("ERR_PIN_SOURCE", () => read(source))
      expect(error.message).to.include("more than 4096 bytes")
    }
  })

  for (const mode of [0o640, 0o604, 0o644, 0o660]) {
    it(`warns of a PIN file of mode 0${mode.toString(8)}`, async () => {
      expect(await read(`file:${pinFile("1234", mode)}`)).to.equal("1234")
      expect(warnings).to.have.lengthOf(1)
      expect(warnings[0]).to.include(folder()).and.not.include("1234")
    })
  }

  const owners: [uid: number, mode: number, user: number, isOpen: boolean][] = [
    [0, 0o440, 1000, false],
    [0, 0o640, 1000, false],
    [0, 0o660, 1000, true],
    [0, 0o444, 1000, true],
    [0, 0o440, 0, true],
    [1000, 0o440, 1000, true],
    [1000, 0o400, 1000, false],
  ]
  for (const [uid, mode, user, isOpen] of owners) {
    it(`calls a file of user ${uid} and mode 0${mode.toString(8)} ${isOpen ? "open" : "closed"} to user ${user}`, () => {
      expect(isOpenToOthers({ uid, mode: 0o100000 | mode }, user)).to.equal(isOpen)
    })
  }

  const refused: [name: string, source: () => string, cause: string | undefined][] = [
    ["a missing file", () => `file:${join(folder(), "none")}`, "ENOENT"],
    ["a folder", () => `file:${folder()}`, "EISDIR"],
    ["an empty file", () => `file:${pinFile("")}`, undefined],
    ["a file of one newline", () => `file:${pinFile("\n")}`, undefined],
    ["a file that is too long", () => `file:${pinFile("1".repeat(5000))}`, undefined],
    ["a descriptor that is not open", () => "fd:973", "EBADF"],
    ["a variable that is not set", () => "env:NO_SUCH_PIN", undefined],
    ["an empty variable", () => "env:EMPTY", undefined],
    ["a command that fails", () => "exec:echo 7351; exit 3", "Error"],
    ["a command that says nothing", () => "exec:true", undefined],
    ["a command that is killed", () => "exec:echo 7351; kill -9 $$", "Error"],
  ]
  for (const [name, source, cause] of refused) {
    it(`refuses ${name}`, async () => {
      const error = await expectCode("ERR_PIN_SOURCE", () => read(source(), { EMPTY: "" }))
      expect(error.causes[0]?.code).to.equal(cause)
      expect(JSON.stringify([error.message, error.causes, error.hint])).to.not.include("7351")
      expect(error.exit).to.equal("NOPERM")
    })
  }

  it("reads a pipe", async () => {
    const child = spawn(process.execPath, [PROGRAM, "fd:3"], { stdio: ["ignore", "pipe", "inherit", "pipe"] })
    const pipe = child.stdio[3] as NodeJS.WritableStream
    pipe.write("12")
    pipe.end("34\n")
    const [answer] = (await once(child.stdout!, "data")) as [Buffer]
    expect(answer.toString()).to.equal("length 4 last 4\n")
  })
})

describe("promptPin", () => {
  /** Runs the prompt on a pseudo-terminal of script(1), types what is given, and returns the terminal's record. */
  const onTerminal = async (typed: string): Promise<{ record: string; status: number | null }> => {
    const command = `${process.execPath} ${PROGRAM} prompt`
    const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
      timeout: 20_000,
    })
    let record = ""
    child.stdout.on("data", (chunk: Buffer) => {
      record += chunk.toString()
      // only what is typed after the prompt can be hidden by it
      if (record.endsWith("PIN of token byok: ")) child.stdin.write(typed)
    })
    const [status] = (await once(child, "close")) as [number | null]
    return { record, status }
  }

  it("asks without echo", async () => {
    const { record } = await onTerminal("73512\r")
    expect(record).to.include("length 5 last 2").and.not.include("7351")
  })

  it("takes corrections", async () => {
    const { record } = await onTerminal("73519\u007f8\r")
    expect(record).to.include("length 5 last 8").and.not.include("7351")
  })

  it("refuses an empty line and the end of input", async () => {
    expect((await onTerminal("\r")).record).to.include("ERR_PIN_SOURCE")
    expect((await onTerminal("\u0004")).record).to.include("ERR_PIN_SOURCE")
  })

  it("is ended by an interrupt", async () => {
    const { record, status } = await onTerminal("7351\u0003")
    expect(status).to.equal(130)
    expect(record).to.not.include("7351").and.not.include("length")
  })

  it("refuses to ask where there is no terminal", () => {
    const { stdout } = spawnSync(process.execPath, [PROGRAM, "prompt"], {
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
    })
    expect(stdout).to.equal("ERR_PIN_SOURCE\n")
  })
})
