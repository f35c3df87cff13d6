import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { StateCopy } from "../../core/ports/state-copy.js"
import type { CustodyEvent } from "../../core/records/custody-event.js"
import { CUSTODY_LOG } from "../archive/log-parts.js"
import { custodyLines } from "./custody-log-reader.js"
import { storedCustodyKeys } from "../records/custody-keys.js"
import { storedInventory } from "../records/inventory.js"
import { keptLogOf, MERGED_LOGS } from "../records/kept-log.js"
import { syncFolder, replaceFile } from "./atomic-file.js"
import { fileTexts } from "./file-texts.js"
import { namesIn } from "./names-in.js"
import { makeFolder } from "./make-folder.js"
import { storedOperations } from "../records/operations.js"
import { stateVersion } from "./state-dir.js"
import { readText } from "./state-file.js"
import { storedToBeLocked } from "../records/to-be-locked.js"
import { storedVault } from "../records/vault.js"

const MARKERS = "pin-refused"

/**
 * A copy of the state directory, to be joined into `stateDir`; nothing in it is changed.
 *
 * @throws ERR_INPUT_UNREADABLE where no state directory is there, ERR_USAGE where it is this one, ERR_STATE_VERSION
 */
export function stateCopy(stateDir: string, copyDir: string): StateCopy {
  const copy = resolve(copyDir)
  if (copy === resolve(stateDir)) throw new KeyferryError("ERR_USAGE", `${copy} is the state directory itself`)
  const isState = ["state.json", "inventory", "vault", CUSTODY_LOG].some((name) => existsSync(join(copy, name)))
  if (!isState) throw new KeyferryError("ERR_INPUT_UNREADABLE", `${copy} is no state directory`, { key: copy })
  stateVersion(copy)
  const texts = fileTexts(copy)
  const theirLog = (): string => logOf(copy)
  const ownLog = (): string => logOf(stateDir)
  return {
    inventory: storedInventory(texts),
    vault: storedVault(texts),
    custodyKeys: storedCustodyKeys(texts),
    operations: storedOperations(texts),
    toBeLocked: storedToBeLocked(texts),

    async takeMarkers() {
      const own = namesIn(join(stateDir, MARKERS))
      const missing = namesIn(join(copy, MARKERS)).filter((file) => !own.includes(file))
      for (const file of missing) await putText(stateDir, [MARKERS, file], readText(join(copy, MARKERS, file)) ?? "")
      return missing.length
    },

    async keepLog() {
      const text = theirLog()
      const kept = keptLogOf(text)
      if (kept === null || ownLog().startsWith(text)) return null
      if (namesIn(join(stateDir, MERGED_LOGS)).includes(kept.path)) return null
      await putText(stateDir, [MERGED_LOGS, kept.path], text)
      return { ...kept, path: join(stateDir, MERGED_LOGS, kept.path) }
    },

    destroyedIds() {
      const kept = namesIn(join(stateDir, MERGED_LOGS)).map((file) => readText(join(stateDir, MERGED_LOGS, file)) ?? "")
      const ids = [theirLog(), ownLog(), ...kept].flatMap((text) => [...destroyedIn(text)])
      return Promise.resolve(new Set(ids))
    },
  }
}

/** As it is, byte for byte; durable when it returns, with its folder. */
async function putText(stateDir: string, [folder, file]: readonly [string, string], text: string): Promise<void> {
  await makeFolder(join(stateDir, folder))
  await syncFolder(stateDir)
  await replaceFile(join(stateDir, folder, file), text)
}

/** All lines of a state's custody log, of closed years too. */
function logOf(stateDir: string): string {
  return [...custodyLines(stateDir)].map((line) => `${line}\n`).join("")
}

/** Source keys that are destroyed at the end of a log; one that went into the vault, or was made again, is not. */
function destroyedIn(text: string): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const line of text.split("\n")) {
    const event = eventIn(line)
    const id = event?.source?.id
    if (event === null || id === undefined) continue
    const { step, reason } = event.facts ?? {}
    if (event.event === "source.destroyed" && step === "done" && reason !== "sealed") ids.add(id)
    else if (/^source\.(generated|sealed|adopted)$/.test(event.event)) ids.delete(id)
  }
  return ids
}

function eventIn(line: string): CustodyEvent | null {
  if (!line.includes('"source.')) return null
  try {
    return JSON.parse(line) as CustodyEvent
  } catch {
    return null
  }
}
