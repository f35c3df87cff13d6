import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { CustodyKeyRecord } from "#src/core/records/sealed-material.js"
import { stateRecords } from "#src/host/state-records.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { rotateLog } from "#src/store/files/custody-log-rotation.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { stateCopy } from "#src/store/files/state-copy.js"
import { jsonText } from "#src/store/records/json-format.js"
import { inventoryEntry } from "#test/support/inventory-entry.js"
import { sealedMaterial } from "#test/support/sealed-material.js"

const at = (time: string) => ({ now: () => new Date(time) })

/** Line ends of other standards, characters of four bytes, quotes and what SQL has a meaning for. */
const AWKWARD = "a\u2028b\u2029 'é\u{1f600}\" \\x00 $1 {NULL}"

/** Paths of {@link makeRichState} that are damaged. */
export const DAMAGED = ["inventory/default/b.json", "vault/keyferry/a/1-0b.json"] as const

/**
 * A state directory with a file of every part, some of them damaged; a custody log of three closed parts, two of them of
 * one year, and a torn last line; the kept log of a copy; and what is in no archive.
 *
 * @param base an empty folder, for the state directory `state` and the copy that is joined into it
 * @returns the state directory
 */
export async function makeRichState(base: string): Promise<string> {
  const [state, copy] = [join(base, "state"), join(base, "copy")]
  for (const folder of [state, copy]) mkdirSync(folder, { mode: 0o700 })
  const texts = fileTexts(state)
  const records = stateRecords(texts, custodyLogFile(state, at("2026-03-01T00:00:00Z")))
  for (const name of ["a", "a-b", "a.b", "b"]) await records.inventory.put(inventoryEntry(name))
  await records.inventory.put(inventoryEntry("a", { target: "other", alias: "alias/é" }))
  for (const [generation, id] of ["0a", "0b"].entries()) await records.vault.put(sealedMaterial("a", id, generation))
  await records.custodyKeys.put(custodyKeyRecord())
  await records.toBeLocked.add({ id: "0a0b", label: "keyferry/keyferry/a/0" })
  await records.operations.put({
    ...{ command: "rotate", id: "00000000-0000-4000-8000-000000000001", owner: "keyferry", target: "default" },
    ...{ askedAt: "2026-03-01T00:00:00.000Z", keys: [] },
    wishes: { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "full" },
  })
  await texts.put(["pin-refused", `${"0f".repeat(16)}.json`], jsonText(pinMarker()))
  for (const time of ["2023-03-01", "2024-03-01", "2024-05-01", "2025-03-01", "2026-03-01"]) {
    const day = at(`${time}T00:00:00Z`)
    await custodyLogFile(state, day).append({ event: "source.generated", name: "a", facts: { words: AWKWARD } })
    await custodyLogFile(state, day).append({ event: "source.generated", facts: {} })
    if (time !== "2024-03-01") await rotateLog(state, day)
  }
  await custodyLogFile(copy, at("2026-02-01T00:00:00Z")).append({ event: "source.generated", name: "b", facts: {} })
  await stateCopy(state, copy).keepLog()
  const [inventory, vault] = DAMAGED
  writeFileSync(join(state, inventory), "\0garbage\\x\n")
  writeFileSync(join(state, vault), "")
  writeFileSync(join(state, CUSTODY_LOG), '{"seq":99,"ti', { flag: "a" })
  writeFileSync(join(state, "notes.txt"), "of a person")
  await texts.put(["self-test", "x.json"], "{}")
  return state
}

function custodyKeyRecord(): CustodyKeyRecord {
  const { token, custodyKey } = sealedMaterial("canary", "cc")
  return {
    ...{ ...custodyKey, owner: "keyferry", number: 1, token },
    ...{ createdAt: "2026-03-01T12:00:00.000Z", canary: sealedMaterial("canary", "cc"), backupConfirmedAt: null },
  }
}

const pinMarker = (): object => ({
  token: { serial: "00ff", label: "keyferry", manufacturer: "SoftHSM project", slot: null, libraryParameters: null },
  salt: "00".repeat(16),
  refused: [],
})
