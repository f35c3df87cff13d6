import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  type Stats,
} from "node:fs"
import { dirname, resolve } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { shellPath } from "../../core/base/shell-word.js"
import { causesOf, type FileError, isMissing } from "./file-error.js"

/**
 * Files and folders of the state directory are opened here alone: none that is a link, a pipe or another's, and none that
 * others can write, since whoever can write there decides what is imported, and what is not.
 */

/** Neither a link is followed, nor does a pipe without a writer hold up whoever opens it. */
const CAREFULLY = constants.O_NOFOLLOW | constants.O_NONBLOCK

/** In bytes. The largest file that is read whole is an inventory entry: some kB for each import. */
const LARGEST = 16 * 1024 * 1024

const STICKY = 0o1000
const WRITABLE_BY_GROUP = 0o020
const WRITABLE_BY_ALL = 0o002

/** What open(2) says of what is no file of ours: a link, a folder, a socket or a pipe that nobody reads. */
const NO_FILE: Readonly<Record<string, string>> = {
  ELOOP: "a symbolic link",
  EMLINK: "a symbolic link",
  EISDIR: "a folder",
  ENXIO: "a pipe or a socket",
}

/**
 * Opens a file of the state directory; a new one gets mode 0600.
 *
 * @param flags as of open(2): O_RDONLY, O_RDWR | O_CREAT, …
 * @throws ERR_STATE_UNSAFE, and what open(2) throws
 */
export function openStateFile(path: string, flags: number): number {
  const file = openCarefully(path, flags)
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) throw unsafe(path, `is ${kindOf(stats)}, not a file`, removalHint(path))
    assertOurs(path, stats)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function openCarefully(path: string, flags: number): number {
  try {
    return openSync(path, flags | CAREFULLY, 0o600)
  } catch (error) {
    const kind = NO_FILE[(error as FileError).code ?? ""]
    throw kind === undefined ? error : unsafe(path, `is ${kind}, not a file`, removalHint(path))
  }
}

/** The text of a file; undefined where it is not there. @throws ERR_STATE_UNSAFE, ERR_STATE_INVALID, ERR_INPUT_UNREADABLE */
export function readText(path: string): string | undefined {
  return readBytes(path)?.toString("utf8")
}

/** As `readText`, without reading it as text. */
export function readBytes(path: string): Buffer | undefined {
  try {
    const file = openStateFile(path, constants.O_RDONLY)
    try {
      if (fstatSync(file).size > LARGEST) {
        throw new KeyferryError(
          "ERR_STATE_INVALID",
          `${path} is larger than ${LARGEST} bytes: no file of keyferry's is`,
        )
      }
      // a hop to a thread and back for each step costs several times what reading so small a file does
      return readFileSync(file)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw unreadable(path, error)
  }
}

export function unreadable(path: string, error: unknown): KeyferryError {
  if (error instanceof KeyferryError) return error
  return new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${path}`, { cause: error, causes: causesOf(error) })
}

/**
 * Refuses a folder below the state directory that is a link or that others can write; one that is not there is none.
 *
 * @throws ERR_STATE_UNSAFE
 */
export function assertFolder(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isDirectory()) throw unsafe(path, `is ${kindOf(stats)}, not a folder`, removalHint(path))
  assertOurs(path, stats)
}

/** Refuses what is there and is no file, before it is replaced by one. @throws ERR_STATE_UNSAFE */
export function assertReplaceable(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined || stats.isFile()) return
  throw unsafe(path, `is ${kindOf(stats)}, not a file`, removalHint(path))
}

/**
 * Refuses a state directory that others can write, or that they can put another in the place of. It may itself be
 * reached over links, as systemd's are.
 *
 * @throws ERR_STATE_UNSAFE
 */
export function assertStateDirectory(path: string): void {
  assertOurs(path, statSync(path))
  for (const parent of new Set([...parentsOf(path), ...parentsOf(realpathSync(path))])) {
    const { mode } = statSync(parent)
    if ((mode & WRITABLE_BY_ALL) === 0 || (mode & STICKY) !== 0) continue
    const message = `can be written by everybody (mode ${octal(mode)}), so that anybody could put another state directory in the place of ${path}`
    throw unsafe(parent, message, `chmod o-w ${shellPath(parent)}`)
  }
}

/** Folders above the state directory that some others, though not everybody, can write: said by `doctor`, not refused. */
export function doubtfulParents(path: string): readonly string[] {
  return [...new Set([...parentsOf(path), ...parentsOf(realpathSync(path))])].flatMap((parent) => {
    const stats = statSync(parent)
    const who = (stats.mode & STICKY) !== 0 ? null : writableBy(stats)
    return who === null ? [] : [`${parent} can be written by ${who}`]
  })
}

function parentsOf(path: string): readonly string[] {
  const absolute = resolve(path)
  const parent = dirname(absolute)
  return parent === absolute ? [] : [parent, ...parentsOf(parent)]
}

function assertOurs(path: string, stats: Stats): void {
  const who = writableBy(stats)
  if (who === null) return
  const owner = ownUser()
  const isForeign = owner !== null && stats.uid !== owner && stats.uid !== 0
  const hint = isForeign
    ? `run keyferry as that user, or make it yours: chown ${owner} ${shellPath(path)}`
    : `chmod go-w ${shellPath(path)}`
  throw unsafe(path, `can be written by ${who}`, hint)
}

/** Who else than this user and root can write there; null where nobody. The group's bits show what an ACL allows, too. */
function writableBy({ uid, mode }: Stats): string | null {
  const owner = ownUser()
  if (owner === null) return null
  if (uid !== owner && uid !== 0) return `user ${uid}, whose it is`
  if ((mode & WRITABLE_BY_ALL) !== 0) return `everybody (mode ${octal(mode)})`
  return (mode & WRITABLE_BY_GROUP) === 0 ? null : `its group (mode ${octal(mode)})`
}

/** Null where the system knows no users by number. */
function ownUser(): number | null {
  return process.geteuid?.() ?? null
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0")
}

function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return "a symbolic link"
  if (stats.isDirectory()) return "a folder"
  if (stats.isFIFO()) return "a pipe"
  return stats.isFile() ? "a file" : "a device or a socket"
}

const removalHint = (path: string): string =>
  `find out who put it there; then put what it stands for in its place, or remove it: ls -ld ${shellPath(path)}`

function unsafe(path: string, message: string, hint: string): KeyferryError {
  return new KeyferryError("ERR_STATE_UNSAFE", `${path} ${message}`, { hint })
}
