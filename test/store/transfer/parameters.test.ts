import { spawnSync } from "node:child_process"
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { zipSync } from "fflate"
import { expect } from "chai"
import { readParameters } from "#src/store/transfer/parameters.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const KEY = randomBytes(294)
const TOKEN = randomBytes(3000)
const pair = generateKeyPairSync("ec", { namedCurve: "P-256" })
const SPKI = pair.publicKey.export({ format: "der", type: "spki" })
const PEM = pair.publicKey.export({ format: "pem", type: "spki" })

describe("import parameters that come as loose files", () => {
  const folder = temporaryFolder()
  const file = (name: string, content: string | Uint8Array): string => {
    const path = join(folder(), name)
    writeFileSync(path, content)
    return path
  }
  const tokenRead = async (content: string | Uint8Array): Promise<Buffer> => {
    const paths = { publicKey: file("key", KEY), importToken: file("token", content) }
    return Buffer.from((await readParameters(paths)).importToken)
  }

  const forms: [name: string, content: string | Uint8Array][] = [
    ["binary", TOKEN],
    ["base64", TOKEN.toString("base64")],
    ["base64 in lines", TOKEN.toString("base64").replace(/.{76}/g, "$&\n")],
    ["base64 in quotes", `"${TOKEN.toString("base64")}"\n`],
  ]
  for (const [name, content] of forms) {
    it(`reads an import token that is ${name}`, async () => {
      expect((await tokenRead(content)).equals(TOKEN)).to.equal(true)
    })
  }

  const refused: [name: string, content: string | Uint8Array, message: RegExp][] = [
    ["empty", "", /token is empty/],
    ["text", "An error occurred (AccessDeniedException) when calling the operation", /token is text/],
    ["HTML", "<html><body>502 Bad Gateway</body></html>", /token is text/],
    ["empty quotes", '""', /token is text/],
    ["a path instead of its file", "fileb://ImportToken.bin", /token is text/],
    ["the public key", KEY, /token is the wrapping public key/],
    ["the public key in base64", KEY.toString("base64"), /token is the wrapping public key/],
    ["another public key", SPKI, /token is a public key/],
    ["PEM in base64", Buffer.from(PEM).toString("base64"), /token is PEM/],
    ["longer than any", randomBytes(6145), /6145 bytes, too many/],
  ]
  for (const [name, content, message] of refused) {
    it(`refuses an import token that is ${name}`, async () => {
      const error = await expectCode("ERR_TRANSFER_INVALID", () => tokenRead(content))
      expect(error.message).to.match(message)
    })
  }

  it("refuses both forms, and half of one", async () => {
    const path = file("p", "x")
    await expectCode("ERR_USAGE", () => readParameters({}))
    await expectCode("ERR_USAGE", () => readParameters({ publicKey: path }))
    await expectCode("ERR_USAGE", () => readParameters({ parameters: path, consoleZip: path }))
  })

  const encodings: [name: string, bytes: Buffer, message: RegExp][] = [
    ["UTF-8 with a byte order mark", Buffer.from("\ufeff{}", "utf8"), /byte order mark/],
    ["UTF-16", Buffer.from("\ufeff{}", "utf16le"), /UTF-16/],
    ["UTF-16, big endian", Buffer.from("\ufeff{}", "utf16le").swap16(), /UTF-16 \(big endian\)/],
    ["UTF-16 without a mark", Buffer.from("{}", "utf16le"), /NUL/],
    ["Latin-1", Buffer.from('{"é":1}', "latin1"), /not UTF-8/],
  ]
  for (const [name, bytes, message] of encodings) {
    it(`names a parameters file that is ${name}`, async () => {
      const error = await expectCode("ERR_TRANSFER_INVALID", () =>
        readParameters({ parameters: file("p.json", bytes) }),
      )
      expect(error.message).to.match(message)
      expect(error.hint).to.include("UTF-8")
    })
  }

  it("reads no further than a limit, where a file has no end", async () => {
    const error = await expectCode("ERR_TRANSFER_INVALID", () => readParameters({ parameters: "/dev/zero" }))
    expect(error.message).to.include("larger than 1 MiB")
  })

  it("says what it could not read", async () => {
    mkdirSync(join(folder(), "a-folder"))
    for (const [path, code] of [
      [join(folder(), "nothing"), "ENOENT"],
      [join(folder(), "a-folder"), "EISDIR"],
    ] as const) {
      const error = await expectCode("ERR_INPUT_UNREADABLE", () => readParameters({ parameters: path }))
      expect(error.causes[0]?.code).to.equal(code)
    }
  })
})

describe("the console's zip", () => {
  const folder = temporaryFolder()
  const read = (archive: Uint8Array) => {
    const path = join(folder(), "console.zip")
    writeFileSync(path, archive)
    return readParameters({ consoleZip: path })
  }
  const whole = { "WrappingPublicKey.bin": KEY, "ImportToken.bin": TOKEN }

  it("is read under its older and newer names, with what lies beside", async () => {
    for (const names of [whole, { "README.txt": Buffer.from("x"), "a/wrappingKey_1": KEY, "a/importToken_1": TOKEN }]) {
      const { publicKey, importToken } = await read(zipSync(names))
      expect(Buffer.from(publicKey).equals(KEY)).to.equal(true)
      expect(Buffer.from(importToken).equals(TOKEN)).to.equal(true)
    }
  })

  it("is refused with a public key as its import token", async () => {
    for (const token of [KEY, SPKI]) {
      const archive = zipSync({ ...whole, "ImportToken.bin": token })
      const error = await expectCode("ERR_TRANSFER_INVALID", () => read(archive))
      expect(error.message).to.match(/the import token is .*public key/)
    }
  })

  it("is refused with a wrong checksum", async () => {
    const archive = Buffer.from(zipSync(whole, { level: 0 }))
    const at = archive.indexOf(TOKEN) + 100
    archive[at] = (archive[at] ?? 0) ^ 1
    const error = await expectCode("ERR_TRANSFER_INVALID", () => read(archive))
    expect(error.message).to.match(/checksum of ImportToken\.bin/)
  })

  /** The archive with a 16-bit number at these places of each member's local and central header. */
  const marked = (archive: Uint8Array, inLocal: number, inCentral: number, number: number): Uint8Array => {
    const bytes = Buffer.from(archive)
    for (const [signature, at] of [
      ["PK\x03\x04", inLocal],
      ["PK\x01\x02", inCentral],
    ] as const) {
      for (let start = bytes.indexOf(signature); start !== -1; start = bytes.indexOf(signature, start + 1)) {
        bytes.writeUInt16LE(number, start + at)
      }
    }
    return bytes
  }

  const refused: [name: string, archive: () => Uint8Array, message: RegExp][] = [
    ["without a token", () => zipSync({ "WrappingPublicKey.bin": KEY }), /no import token/],
    ["without a key", () => zipSync({ "ImportToken.bin": TOKEN }), /no wrapping public key/],
    ["two tokens", () => zipSync({ ...whole, "b/ImportToken.bin": TOKEN }), /two files/],
    ["a member of a megabyte", () => zipSync({ ...whole, "ImportToken.bin": new Uint8Array(1 << 20) }), /too many/],
    ["many members", () => zipSync(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`${n}`, KEY]))), /200/],
    [
      "a member with an absolute name",
      () => zipSync({ ...whole, "/etc/cron.d/x": KEY }),
      /leads out .*: \/etc\/cron\.d\/x$/,
    ],
    ["a member that leads upwards", () => zipSync({ ...whole, "a/../../x": KEY }), /leads out .*: a\/\.\.\/\.\.\/x$/],
    ["a member with a drive", () => zipSync({ "C:/x": KEY, ...whole }), /leads out .*: C:\/x$/],
    ["encrypted", () => marked(zipSync(whole), 6, 8, 1), /is encrypted/],
    ["compressed by another method", () => marked(zipSync(whole), 8, 10, 12), /compressed by a method .*: 12$/],
    ["half of it", () => zipSync(whole).subarray(0, 1500), /no zip file/],
    ["something else", () => randomBytes(500), /no zip file/],
    ["nothing", () => new Uint8Array(0), /no zip file/],
  ]
  for (const [name, archive, message] of refused) {
    it(`is refused where it is ${name}`, async () => {
      const error = await expectCode("ERR_TRANSFER_INVALID", () => read(archive()))
      expect(error.message).to.match(message)
    })
  }

  it("is not unpacked beyond what a member says to be, so that no archive fills the memory", async () => {
    // 100 MB of zeros that claim to be 300 bytes
    const zeros = zipSync({ ...whole, "ImportToken.bin": new Uint8Array(100 << 20) })
    const archive = Buffer.from(zeros)
    const size = Buffer.alloc(4)
    size.writeUInt32LE(100 << 20)
    for (let at = archive.indexOf(size); at !== -1; at = archive.indexOf(size, at + 4)) archive.writeUInt32LE(300, at)
    const before = process.memoryUsage.rss()
    await expectCode("ERR_TRANSFER_INVALID", () => read(archive))
    expect(process.memoryUsage.rss() - before).to.be.below(50 << 20)
  })

  it("is the same to the unzip command", async () => {
    const path = join(folder(), "console.zip")
    await read(zipSync(whole))
    const { stdout, status } = spawnSync("unzip", ["-p", path, "ImportToken.bin"])
    expect(status).to.equal(0)
    expect(stdout.equals(TOKEN)).to.equal(true)
    expect(readFileSync(path).length).to.be.above(0)
  })
})
