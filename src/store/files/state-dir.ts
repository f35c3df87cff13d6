import { closeSync, copyFileSync, existsSync, fsyncSync, openSync, readdirSync, rmSync, statSync } from "node:fs"
import { rename } from "node:fs/promises"
import { join, resolve } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { readJson } from "../../core/base/json.js"
import type { Inventory } from "../../core/ports/inventory.js"
import { replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { assertFolder, assertStateDirectory, readText } from "./state-file.js"
import { jsonText } from "../records/json-format.js"
import { STATE_VERSION } from "../records/state-version.js"
import { makeFolder } from "./make-folder.js"

const FILE = "state.json"

/** What a state of version 1 holds that is worth a copy: everything but the lock and the cache of self-tests. */
const KEPT = ["inventory", "vault", "custody-keys", "to-be-locked", "pin-refused", "custody.log.jsonl"]

/** Every folder below it, whether this run reads it or not: the next one may. */
const FOLDERS = [
  ...["inventory", "vault", "custody-keys", "operations", "to-be-locked", "merged-logs"],
  ...["pin-refused", "pin-presented", "self-test"],
]

/** By a first command of today that was refused its PIN these are written too, without the lock. */
const NO_SIGN_OF_VERSION_1 = "pin-refused"

/** Where the copy is kept that a migration makes first, below the state directory. */
export const COPY_OF_VERSION_1 = "before-version-2"

/**
 * Makes the state directory, mode 0700, where it is missing; one that is there keeps its mode, if others can write
 * neither it nor a folder in it.
 *
 * @returns its absolute path
 * @throws ERR_STATE_WRITE, ERR_STATE_UNSAFE, ERR_STATE_VERSION for that of a later keyferry
 */
export async function openStateDir(path: string): Promise<string> {
  const absolute = resolve(path)
  await makeFolder(absolute)
  assertStateDirectory(absolute)
  for (const name of FOLDERS) assertFolder(join(absolute, name))
  stateVersion(absolute)
  return absolute
}

/**
 * The version of a state directory; null where nothing says it: a new one, or one of version 1.
 *
 * @throws ERR_STATE_VERSION for that of a later keyferry, ERR_STATE_INVALID
 */
export function stateVersion(stateDir: string): number | null {
  const path = join(stateDir, FILE)
  const text = readText(path)
  if (text === undefined) return null
  const json = readJson(text)
  if ("fault" in json) throw new KeyferryError("ERR_STATE_INVALID", `${path} ${json.fault}`)
  const version = versionIn(json.content)
  if (version === undefined) throw new KeyferryError("ERR_STATE_INVALID", `${path} does not say a version`)
  if (version <= STATE_VERSION) return version
  throw new KeyferryError(
    "ERR_STATE_VERSION",
    `the state directory ${stateDir} is of format ${version}, a later keyferry's: this one knows up to ${STATE_VERSION}`,
  )
}

/**
 * Brings the state directory to the version of today, once; the caller holds its lock. What was there is copied first,
 * and the version is written last, so that a run that was killed is followed by one that does all of it again.
 *
 * @param inventory reads entries of every version, and writes today's
 * @returns where the copy is; null where nothing was to be migrated
 * @throws ERR_STATE_WRITE; an entry that cannot be read stays as it is
 */
export async function migrateState(stateDir: string, inventory: Inventory): Promise<string | null> {
  if (stateVersion(stateDir) === STATE_VERSION) return null
  const isOld = KEPT.some((name) => name !== NO_SIGN_OF_VERSION_1 && holdsFile(join(stateDir, name)))
  if (isOld) {
    const entries = await inventory.list()
    await keepCopy(stateDir)
    for (const entry of entries) await inventory.put(entry)
  }
  await replaceFile(join(stateDir, FILE), jsonText({ version: STATE_VERSION }))
  return isOld ? join(stateDir, COPY_OF_VERSION_1) : null
}

/** Whether it is a file, or a folder with one somewhere in it. */
function holdsFile(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isDirectory() !== true) return stats !== undefined
  return readdirSync(path).some((name) => holdsFile(join(path, name)))
}

function versionIn(json: unknown): number | undefined {
  const version = (json as { readonly version?: unknown } | null)?.version
  return typeof version === "number" && Number.isInteger(version) && version > 0 ? version : undefined
}

/** The copy is whole or not there: it is made under another name. One that an earlier run made is kept. */
async function keepCopy(stateDir: string): Promise<void> {
  const copy = join(stateDir, COPY_OF_VERSION_1)
  if (existsSync(copy)) return
  const unfinished = join(stateDir, `.${COPY_OF_VERSION_1}`)
  try {
    rmSync(unfinished, { recursive: true, force: true })
    await makeFolder(unfinished)
    for (const name of KEPT) {
      if (existsSync(join(stateDir, name))) await copyDurably(join(stateDir, name), join(unfinished, name))
    }
    await syncFolder(unfinished)
    await rename(unfinished, copy)
    await syncFolder(stateDir)
  } catch (error) {
    throw error instanceof KeyferryError ? error : stateWriteError(copy, error)
  }
}

async function copyDurably(source: string, destination: string): Promise<void> {
  if (!statSync(source).isDirectory()) {
    copyFileSync(source, destination)
    const file = openSync(destination, "r")
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    return
  }
  await makeFolder(destination)
  for (const name of readdirSync(source)) await copyDurably(join(source, name), join(destination, name))
  await syncFolder(destination)
}
