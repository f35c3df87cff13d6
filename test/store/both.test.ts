import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import type { CustodyKeyRecord } from "#src/core/records/sealed-material.js"
import type { RotateOperation } from "#src/core/records/operation.js"
import type { PinMarker, PinToken } from "#src/core/token/pin-marker.js"
import { storedAgentRecords } from "#src/store/records/agent-records.js"
import { storedCustodyKeys } from "#src/store/records/custody-keys.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { storedOperations } from "#src/store/records/operations.js"
import { storedPinMarkers } from "#src/store/records/pin-markers.js"
import { storedToBeLocked } from "#src/store/records/to-be-locked.js"
import { storedVault } from "#src/store/records/vault.js"
import { storedVerdicts } from "#src/store/records/verdict-cache.js"
import { expectCode } from "#test/support/expect-code.js"
import { inventoryEntry } from "#test/support/inventory-entry.js"
import { sealedMaterial } from "#test/support/sealed-material.js"
import { STORE_KINDS, storeOf } from "#test/support/stores.js"

const PROGRAM = fileURLToPath(new URL("../support/store-process.js", import.meta.url))
const silent = (text: string): void => expect.fail(`warned: ${text}`)

for (const kind of STORE_KINDS) {
  describe(`the state in ${kind}`, () => {
    const store = storeOf(kind)

    describe("texts", () => {
      const contents: [what: string, text: string][] = [
        ["nothing", ""],
        ["characters of every length", "é ß € 漢字 🔑 \u{10ffff} \u202e\u0301"],
        ["NUL and control characters", "a\0b\u0001\u001b[31m\r\n\t\u007f"],
        ["what a database might take for its own", `'; DROP TABLE keyferry.text; -- \\x00 $1 %s "`],
        ["a mark of byte order, and no line end", "\uFEFF{}"],
        ["three megabytes", "0123456789é".repeat(300_000)],
      ]
      for (const [what, text] of contents) {
        it(`gives back ${what}, byte by byte`, async () => {
          await store().texts().put(["agent", "a.json"], "before")
          await store().texts().put(["agent", "a.json"], text)
          expect((await store().texts().read(["agent", "a.json"])) === text).to.equal(true)
        })
      }

      it("names what is directly below, each once and sorted, of names that begin alike too", async () => {
        const texts = store().texts()
        expect(await texts.names(["a"])).to.deep.equal([])
        const paths: [string, ...string[]][] = [
          ["a", "z", "2.json"],
          ["a", "z", "1.json"],
          ["a", "z0"],
          ["a", "z-"],
          ["a", "B.json"],
          ["a", "a.json"],
          ["a", ".hidden"],
          ["a", "ü.json"],
          ["a", "\uff5e.json"],
          ["a", "🔑.json"],
          ["a", "10.json"],
          ["a", "9.json"],
          ["a-b", "1"],
          ["a.b", "2"],
          ["a0", "3"],
          ["a_", "4"],
          ["a%", "5"],
          ["A", "6"],
          ["%", "7"],
          ["_", "8"],
          ["a'b\\", "9"],
        ]
        for (const path of paths) await texts.put(path, path.join(" "))
        const sorted = ["10.json", "9.json", "B.json", "a.json", "z", "z-", "z0", "ü.json", "🔑.json", "\uff5e.json"]
        expect(await store().texts().names(["a"])).to.deep.equal(sorted)
        expect(await store().texts().names(["a", "z"])).to.deep.equal(["1.json", "2.json"])
        for (const [folder, name = ""] of paths.slice(12)) {
          expect(await texts.names([folder]), folder).to.deep.equal([name])
          expect(await texts.read([folder, name])).to.equal(`${folder} ${name}`)
        }
      })

      it("reads all so many names below a folder, more than are had at once, and no other", async () => {
        const names = Array.from({ length: kind === "rows" ? 2005 : 15 }, (_, index) => `${index}.json`)
        const texts = store().texts()
        const folderOf = (name: string): string => `of ${name.length}`
        await Promise.all(names.map((name) => texts.put(["vault", "o", folderOf(name), name], `{${name}}`)))
        for (const folder of ["vault0", "vault-", "vaul"]) await texts.put([folder, "o", "k", "n"], "another")
        await texts.put(["vault", "o", "k", ".hidden"], "hidden")
        const read: string[] = []
        for await (const stored of store().texts().below(["vault"], 3)) {
          read.push(`${stored.path.slice(1).join(" ")} ${await stored.read()}`)
        }
        expect(read.sort()).to.deep.equal(names.map((name) => `o ${folderOf(name)} ${name} {${name}}`).sort())
        const inOne: unknown[] = []
        for await (const { path } of store().texts().below(["vault", "o", "of 6"], 1)) inOne.push(path.at(-1))
        expect(inOne.sort()).to.deep.equal(names.filter((name) => name.length === 6).sort())
      })

      it("removes one text and no other, and one that is not there is no error", async () => {
        const texts = store().texts()
        for (const name of ["a", "ab", "a_", "a%"]) await texts.put(["x", name], name)
        for (const name of ["a%", "a%", "nothing"]) await texts.remove(["x", name])
        await texts.remove(["nowhere", "nothing"])
        expect(await store().texts().names(["x"])).to.deep.equal(["a", "a_", "ab"])
        expect(await store().texts().read(["x", "a%"])).to.equal(undefined)
      })

      it("makes a mark once: a second is refused, and changes nothing of a text that is there", async () => {
        const texts = store().texts()
        await texts.mark(["x", "mark"])
        expect(await store().texts().read(["x", "mark"])).to.equal("")
        await expectCode("ERR_STATE_WRITE", () => store().texts().mark(["x", "mark"]))
        await texts.put(["x", "text"], "kept")
        await expectCode("ERR_STATE_WRITE", () => texts.mark(["x", "text"]))
        expect(await texts.read(["x", "text"])).to.equal("kept")
        for (const times of [1, 2]) {
          await store().texts().unmark(["x", "mark"])
          expect(await texts.names(["x"]), `taken away ${times} times`).to.deep.equal(["text"])
        }
      })

      it("has one mark of many that are made at the same time", async () => {
        const made = await Promise.allSettled([1, 2, 3, 4, 5].map(() => store().texts().mark(["x", "mark"])))
        expect(made.filter(({ status }) => status === "fulfilled")).to.have.lengthOf(1)
      })

      it("is whole at every moment while another process replaces it, and after that was killed", async () => {
        const path = ["agent", "long.json"] as const
        for (const round of [1, 2]) {
          const child = await writing("text", store().place)
          for (let reads = 0; reads < 10 * round; reads += 1) {
            expect(await store().texts().read(path)).to.match(/^(\d)[0-9]{99999,}end$/)
          }
          await kill(child)
          expect(await store().texts().read(path)).to.match(/^(\d)[0-9]{99999,}end$/)
          await store().texts().put(path, "after")
          expect(await store().texts().names(["agent"])).to.deep.equal(["long.json"])
        }
      })
    })

    it("keeps the inventory: each entry under target and name", async () => {
      const inventory = storedInventory(store().texts())
      expect(await inventory.all()).to.deep.equal({ entries: [], damaged: [] })
      await inventory.remove("payments", "default")
      const entries = [
        inventoryEntry("payments"),
        inventoryEntry("a", { target: "prod-eu", alias: "alias/ключ" }),
        inventoryEntry("payments", { target: "prod-eu" }),
        inventoryEntry("a-b", { target: "prod-eu-2" }),
      ]
      for (const entry of entries.toReversed()) await inventory.put(entry)
      const reader = storedInventory(store().texts())
      expect(await reader.list()).to.deep.equal(entries)
      expect((await reader.list("payments")).map(({ target }) => target)).to.deep.equal(["default", "prod-eu"])
      await inventory.put(inventoryEntry("payments", { keyArn: "arn:aws:kms:eu-west-3:111122223333:key/1" }))
      expect((await reader.firstMade("default"))?.keyArn).to.match(/key\/1$/)
      await inventory.remove("payments", "default")
      expect(await reader.get("payments", "default")).to.equal(undefined)
      await store().plant(["inventory", "prod-eu", "b.json"], JSON.stringify(entries[0]))
      await store().plant(["inventory", "prod-eu", "c.json"], "garbage")
      const { damaged } = await storedInventory(store().texts()).all()
      expect(damaged.map(({ name, error }) => [name, error.code])).to.deep.equal([
        ["b", "ERR_STATE_INVALID"],
        ["c", "ERR_STATE_INVALID"],
      ])
      expect((await expectCode("ERR_STATE_INVALID", () => reader.get("c", "prod-eu"))).message).to.match(
        /inventory\/prod-eu\/c\.json/,
      )
    })

    it("keeps the vault: ciphertext byte by byte, damage told", async () => {
      const vault = storedVault(store().texts())
      const ciphertext = Uint8Array.from({ length: 256 }, (_, index) => index)
      const kept = [sealedMaterial("a", "01"), { ...sealedMaterial("a", "02", 10), ciphertext }]
      for (const material of [...kept, sealedMaterial("a-b", "03")]) await vault.put(material)
      for (const reader of [vault, storedVault(store().texts())]) {
        expect(await reader.get("02")).to.deep.equal(kept[1])
        expect(await reader.get("01", { owner: "keyferry", name: "b", generation: 7 })).to.deep.equal(kept[0])
        expect((await reader.list({ owner: "keyferry", name: "a" })).sealed).to.deep.equal(kept)
        expect((await reader.list()).sealed).to.have.lengthOf(3)
      }
      for (const times of [1, 2]) {
        await vault.remove("02")
        expect(await storedVault(store().texts()).get("02"), `removed ${times} times`).to.equal(undefined)
      }
      const path = ["vault", "keyferry", "a", "0-01.json"] as const
      const text = (await store().texts().read(path)) ?? ""
      await store().plant(path, text.replace('"generated"', '"generateD"'))
      await expectCode("ERR_VAULT_DAMAGED", () => storedVault(store().texts()).get("01"))
      await store().plant(["vault", "keyferry", "c", "0-01.json"], text)
      await store().plant(["vault", "keyferry", "c", "odd"], "")
      const { damaged } = await storedVault(store().texts()).list()
      expect(damaged.map(({ name, id }) => [name, id])).to.deep.equal([
        ["a", "01"],
        ["c", "01"],
        ["c", null],
      ])
    })

    it("keeps the records of custody keys, in the order of their numbers", async () => {
      const record = (id: string, number: number): CustodyKeyRecord => ({
        ...{ id, label: `keyferry/custody/keyferry/${number}`, number, owner: "keyferry", kcv: "010203" },
        ...{ token: sealedMaterial("a", "01").token, createdAt: "2026-03-01T12:00:00.000Z" },
        ...{ canary: sealedMaterial("canary", "09"), backupConfirmedAt: null },
      })
      const records = storedCustodyKeys(store().texts())
      for (const [id, number] of [
        ["aa", 10],
        ["bb", 2],
      ] as const)
        await records.put(record(id, number))
      const reader = storedCustodyKeys(store().texts())
      expect(await reader.list()).to.deep.equal([record("bb", 2), record("aa", 10)])
      await store().plant(["custody-keys", "cc.json"], "{}")
      expect(await reader.damaged()).to.have.lengthOf(1)
      await records.remove("aa")
      expect([await reader.get("aa"), await reader.get("bb")]).to.deep.equal([undefined, record("bb", 2)])
    })

    it("keeps operations in the order in which they were asked for", async () => {
      const rotation = (end: string, askedAt: string): RotateOperation => ({
        ...{ command: "rotate", id: `00000000-0000-4000-8000-00000000000${end}`, owner: "keyferry", target: "default" },
        ...{ askedAt, keys: [{ name: "payments", keyArn: "arn:aws:kms:eu-west-3:111122223333:key/1", generation: 1 }] },
        wishes: { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "full" },
      })
      const [later, earlier] = [rotation("a", "2026-03-02T00:00:00Z"), rotation("b", "2026-03-01T00:00:00Z")]
      const operations = storedOperations(store().texts())
      for (const operation of [later, earlier]) await operations.put(operation)
      expect((await storedOperations(store().texts()).list()).operations).to.deep.equal([earlier, later])
      await operations.remove(earlier)
      await store().plant(["operations", "odd"], "")
      const { operations: left, damaged } = await storedOperations(store().texts()).list()
      expect([left, damaged.length]).to.deep.equal([[later], 1])
    })

    it("keeps markers of PINs: the refused, and presentations under way", async () => {
      const token: PinToken = {
        ...{ serial: "../a/b", label: "%_'", manufacturer: "maker", slot: null, libraryParameters: null },
      }
      const refused = [{ bits: "a0f", answer: "CKR_PIN_INCORRECT", refusedAt: "2026-01-01T00:00:00Z" }]
      const marker: PinMarker = { token, salt: "00".repeat(16), refused }
      const markers = storedPinMarkers(store().texts())
      await markers.put(marker)
      expect(await storedPinMarkers(store().texts()).get(token)).to.deep.equal(marker)
      expect(await markers.get({ ...token, serial: "2" })).to.equal(undefined)
      const first = await markers.presenting(token, 0x1040d)
      await markers.presenting(token, 0x40d)
      await markers.presenting({ ...token, serial: "2" }, 0x40d)
      const reader = storedPinMarkers(store().texts())
      expect([...(await reader.unfinished(token))].sort()).to.deep.equal([0x1040d, 0x40d].sort())
      await first.end()
      expect(await reader.unfinished(token)).to.deep.equal([0x40d])
      await reader.forgetUnfinished(token)
      expect(await markers.unfinished(token)).to.deep.equal([])
      expect(await markers.unfinished({ ...token, serial: "2" })).to.deep.equal([0x40d])
      await markers.remove(token)
      expect(await reader.get(token)).to.equal(undefined)
    })

    it("keeps verdicts, source keys to be locked, and what the agent remembers", async () => {
      await storedVerdicts(store().texts(), silent).put("sha256:ab", [{ usable: true }])
      expect(await storedVerdicts(store().texts(), silent).get("sha256:ab")).to.deep.equal([{ usable: true }])
      expect(await storedVerdicts(store().texts(), silent).get("sha256:cd")).to.equal(undefined)

      const toBeLocked = storedToBeLocked(store().texts())
      for (const id of ["0a", "0b"]) await toBeLocked.add({ id, label: "étiquette" })
      await toBeLocked.remove("0a")
      expect(await storedToBeLocked(store().texts()).list()).to.deep.equal(new Set(["0b"]))

      const records = storedAgentRecords(store().texts(), silent)
      expect([await records.backoffs(), await records.pause()]).to.deep.equal([[], null])
      const since = "2026-03-01T12:00:00Z"
      const backoff = {
        ...{ name: "a", target: "default", replaced: false, failures: 3, since, retryAt: since },
        ...{ reason: "failed", message: "ключ" },
      }
      await records.putBackoffs([backoff])
      await records.putPause({ until: since, since })
      await records.putIncidents({ open: [], pending: [], made: [since] })
      const reader = storedAgentRecords(store().texts(), silent)
      expect(await reader.backoffs()).to.deep.equal([backoff])
      expect(await reader.pause()).to.deep.equal({ until: since, since })
      expect((await reader.incidents()).made).to.deep.equal([since])
      await records.putPause(null)
      expect(await reader.pause()).to.equal(null)
      await store().plant(["agent", "backoff.json"], "{}")
      const warnings: string[] = []
      expect(await storedAgentRecords(store().texts(), (text) => warnings.push(text)).backoffs()).to.deep.equal([])
      expect(warnings).to.have.lengthOf(1)
    })
  })
}

/** A process that writes without end, once its first write is durable. */
async function writing(action: "log" | "text", place: string): Promise<ChildProcess> {
  const kind = place.startsWith("postgres:") ? "rows" : "files"
  const child = spawn(process.execPath, [PROGRAM, action, kind, place, "w"], { stdio: ["ignore", "pipe", "inherit"] })
  await once(child.stdout, "data")
  child.stdout.resume()
  await sleep(20)
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}
