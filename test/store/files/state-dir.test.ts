import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import type { Inventory } from "#src/core/ports/inventory.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { COPY_OF_VERSION_1, migrateState, openStateDir, stateVersion } from "#src/store/files/state-dir.js"
import { expectCode } from "#test/support/expect-code.js"
import { filesUnder } from "#test/support/stage.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

/** The state directory of keyferry 0.1.0, as its own commands left it. */
const FIXTURE = fileURLToPath(new URL("../../../../test/fixtures/state-0.1.0/state", import.meta.url))
const NAMES = ["mac", "old", "payments", "shared", "signer"]

const contents = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(filesUnder(folder).map((file) => [file, readFileSync(join(folder, file), "utf8")]))

const versionsIn = (stateDir: string): readonly unknown[] =>
  NAMES.map(
    (name) =>
      (
        JSON.parse(readFileSync(join(stateDir, "inventory", "us-east-1", `${name}.json`), "utf8")) as {
          version: unknown
        }
      ).version,
  )

describe("the state of keyferry 0.1.0", () => {
  const folder = temporaryFolder()
  const copied = (): string => {
    const stateDir = join(folder(), "state")
    cpSync(FIXTURE, stateDir, { recursive: true })
    return stateDir
  }

  it("is read as it is: generations, replicas, and the keys that were replaced", async () => {
    const stateDir = copied()
    const entries = await storedInventory(fileTexts(stateDir)).list()
    expect(entries.map(({ name, version }) => `${name} ${version}`)).to.deep.equal(NAMES.map((name) => `${name} 2`))
    const [, old, payments, shared] = entries
    expect(old?.former.map(({ version, withheldAt }) => ({ version, withheldAt }))).to.deep.equal([
      { version: 2, withheldAt: null },
    ])
    expect(payments?.earlier).to.have.lengthOf(1)
    expect(shared?.replicas.map(({ region }) => region)).to.deep.equal(["eu-west-3"])
    expect(contents(stateDir)).to.deep.equal(contents(FIXTURE))
  })

  it("is migrated once, with a copy of all that it held", async () => {
    const stateDir = copied()
    const before = await storedInventory(fileTexts(stateDir)).list()
    expect(await migrateState(stateDir, storedInventory(fileTexts(stateDir)))).to.equal(
      join(stateDir, COPY_OF_VERSION_1),
    )
    expect(contents(join(stateDir, COPY_OF_VERSION_1))).to.deep.equal(contents(FIXTURE))
    expect(versionsIn(stateDir)).to.deep.equal(NAMES.map(() => 2))
    expect(await storedInventory(fileTexts(stateDir)).list()).to.deep.equal(before)
    expect(stateVersion(stateDir)).to.equal(2)

    writeFileSync(join(stateDir, COPY_OF_VERSION_1, "witness"), "")
    expect(await migrateState(stateDir, storedInventory(fileTexts(stateDir)))).to.equal(null)
    expect(existsSync(join(stateDir, COPY_OF_VERSION_1, "witness"))).to.equal(true)
  })

  for (const written of [0, 1, 4]) {
    it(`is migrated by the next run where one stopped after ${written} entries`, async () => {
      const stateDir = copied()
      const expected = await storedInventory(fileTexts(stateDir)).list()
      await expectCode("ERR_STATE_WRITE", () => migrateState(stateDir, failingAfter(written, stateDir)))
      expect(stateVersion(stateDir)).to.equal(null)
      expect(versionsIn(stateDir).filter((version) => version === 2)).to.have.lengthOf(written)
      await migrateState(stateDir, storedInventory(fileTexts(stateDir)))
      expect(await storedInventory(fileTexts(stateDir)).list()).to.deep.equal(expected)
      expect(contents(join(stateDir, COPY_OF_VERSION_1))).to.deep.equal(contents(FIXTURE))
    })
  }

  it("is migrated around an entry that cannot be read, which stays as it is", async () => {
    const stateDir = copied()
    writeFileSync(join(stateDir, "inventory", "us-east-1", "mac.json"), "garbage")
    await migrateState(stateDir, storedInventory(fileTexts(stateDir)))
    const { entries, damaged } = await storedInventory(fileTexts(stateDir)).all()
    expect(entries.map(({ version }) => version)).to.deep.equal(entries.map(() => 2))
    expect(damaged.map(({ name }) => name)).to.deep.equal(["mac"])
    expect(readFileSync(join(stateDir, "inventory", "us-east-1", "mac.json"), "utf8")).to.equal("garbage")
    expect(stateVersion(stateDir)).to.equal(2)
  })
})

describe("the version of a state directory", () => {
  const folder = temporaryFolder()

  it("is written where the directory is new, without a copy of nothing", async () => {
    const stateDir = await openStateDir(join(folder(), "state"))
    expect(stateVersion(stateDir)).to.equal(null)
    expect(await migrateState(stateDir, storedInventory(fileTexts(stateDir)))).to.equal(null)
    expect(readdirSync(stateDir)).to.deep.equal(["state.json"])
    expect(stateVersion(stateDir)).to.equal(2)
  })

  it("is written where only folders are there, or notes of refused PINs: no earlier keyferry was at work", async () => {
    const stateDir = await openStateDir(join(folder(), "begun"))
    for (const name of ["pin-refused", "custody-keys", "inventory/us-east-1", "vault/keyferry/payments"]) {
      mkdirSync(join(stateDir, name), { recursive: true })
    }
    writeFileSync(join(stateDir, "pin-refused", `${"0".repeat(32)}.json`), "{}")
    expect(await migrateState(stateDir, storedInventory(fileTexts(stateDir)))).to.equal(null)
    expect(existsSync(join(stateDir, COPY_OF_VERSION_1))).to.equal(false)
    expect(stateVersion(stateDir)).to.equal(2)
  })

  it("is refused where it is said twice", async () => {
    writeFileSync(join(folder(), "state.json"), '{"version":3,"version":2}')
    const error = await expectCode("ERR_STATE_INVALID", () => stateVersion(folder()))
    expect(error.message).to.include('"version" twice')
  })

  it("is refused by name where it is a later one", async () => {
    writeFileSync(join(folder(), "state.json"), JSON.stringify({ version: 3, whatever: true }))
    const error = await expectCode("ERR_STATE_VERSION", () => stateVersion(folder()))
    expect(error.message).to.include(folder()).and.include("format 3").and.include("up to 2")
    await expectCode("ERR_STATE_VERSION", () => migrateState(folder(), storedInventory(fileTexts(folder()))))
    await expectCode("ERR_STATE_VERSION", () => openStateDir(folder()))
  })

  for (const text of ["", "{}", "null", '{"version":"2"}', '{"version":0}', '{"version":2.5}', "[2]"]) {
    it(`is refused where the file holds ${JSON.stringify(text)}`, async () => {
      writeFileSync(join(folder(), "state.json"), text)
      await expectCode("ERR_STATE_INVALID", () => stateVersion(folder()))
    })
  }
})

/** The inventory of a state directory whose disk is full after so many entries. */
function failingAfter(written: number, stateDir: string): Inventory {
  const inventory = storedInventory(fileTexts(stateDir))
  let left = written
  return {
    ...inventory,
    async put(entry) {
      if (left === 0) {
        const { stateWriteError } = await import("#src/store/files/atomic-file.js")
        throw stateWriteError(stateDir, Object.assign(new Error("no space left on device"), { code: "ENOSPC" }))
      }
      left -= 1
      await inventory.put(entry)
    },
  }
}

describe("openStateDir", () => {
  const base = temporaryFolder()

  for (const name of [
    "custody-keys",
    "vault",
    "operations",
    "pin-presented",
    "to-be-locked",
    "merged-logs",
    "self-test",
  ]) {
    it(`refuses one whose ${name} others can write, and one whose ${name} is a link`, async () => {
      const folder = join(base(), name)
      mkdirSync(folder)
      chmodSync(folder, 0o777)
      const error = await expectCode("ERR_STATE_UNSAFE", () => openStateDir(base()))
      expect(error.message).to.include(folder).and.include("everybody")
      chmodSync(folder, 0o700)
      await openStateDir(base())
      renameSync(folder, join(base(), "elsewhere"))
      symlinkSync(join(base(), "elsewhere"), folder)
      await expectCode("ERR_STATE_UNSAFE", () => openStateDir(base()))
    })
  }

  it("makes the folder private, and leaves one that is there as it is", async () => {
    const path = await openStateDir(join(base(), "a", "b"))
    expect(statSync(path).mode & 0o777).to.equal(0o700)
    mkdirSync(join(base(), "open"), { mode: 0o755 })
    await openStateDir(join(base(), "open"))
    expect(statSync(join(base(), "open")).mode & 0o777).to.equal(0o755)
  })

  it("fails where a file is in the way", async () => {
    writeFileSync(join(base(), "file"), "")
    await expectCode("ERR_STATE_WRITE", () => openStateDir(join(base(), "file")))
  })
})
