import {
  closeSync,
  fchmodSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { lockFile } from "../../libc/libc.js"
import type { Clock } from "./clock.js"
import { type Change, changesOf, FORMAT, readChanges, type Restored, storedSet } from "./journal.js"
import type { Alias, KeySet, Region, State, WrappingKey } from "./state.js"

/** Where changes of the state are written down, each before the request that made it is answered. */
export interface Changes {
  readonly ofSet: (set: KeySet) => void
  readonly ofAlias: (region: Region, name: string, alias: Alias | undefined) => void
  readonly ofWrappingKey: (region: Region, pair: WrappingKey) => void
  /** Everything, after what is no change of one thing: another time, a reset. */
  readonly ofAll: () => void
}

/** For a state that is kept in memory alone. */
export const UNWRITTEN: Changes = {
  ofSet: () => undefined,
  ofAlias: () => undefined,
  ofWrappingKey: () => undefined,
  ofAll: () => undefined,
}

/** The file is in use, or what is in it is no state. */
export class StateFileError extends Error {
  override readonly name = "StateFileError"
  readonly fault: "in use" | "damaged"

  constructor(fault: StateFileError["fault"], message: string) {
    super(message)
    this.fault = fault
  }
}

/** Bytes of changes after which the whole state is written anew. */
const MOST_CHANGES = 64 * 1024 * 1024

/** A file that this process alone writes, until it ends. */
export interface StateFile {
  /** What was in it; undefined where there was none. */
  readonly restored: Restored | undefined
  /** Writes the whole state, and its changes from then on. */
  readonly keep: (state: State, clock: Clock) => Changes
}

/**
 * Takes a state file, mode 0600: the whole state, one thing a line, then each change as it comes. A line that a kill cut
 * short is the change of a request that nobody had an answer to, and is left out.
 *
 * @throws StateFileError
 */
export async function openStateFile(file: string): Promise<StateFile> {
  // beside the file, which is replaced when it is written whole
  const lock = openSync(`${file}.lock`, "a", 0o600)
  try {
    if (!(await lockFile(lock, "exclusive"))) {
      throw new StateFileError("in use", `another local KMS has the state file ${file}`)
    }
    // plaintext keys of a run that was killed while it wrote
    rmSync(`${file}.tmp`, { force: true })
    return { restored: restore(file), keep: (state, clock) => keep(file, state, clock) }
  } catch (error) {
    closeSync(lock)
    throw error
  }
}

function restore(file: string): Restored | undefined {
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
  try {
    return readChanges(text)
  } catch (error) {
    throw new StateFileError("damaged", `${file} is no state of a local KMS: ${(error as Error).message}`)
  }
}

function keep(file: string, state: State, clock: Clock): Changes {
  let open: { readonly descriptor: number; length: number; readonly whole: number } | undefined

  const writeAll = (): void => {
    const temporary = `${file}.tmp`
    const descriptor = openSync(temporary, "w", 0o600)
    // one that was there before keeps its mode when it is opened
    fchmodSync(descriptor, 0o600)
    const lines = [{ format: FORMAT, account: state.account, secret: state.secret }, ...changesOf(state, clock.state())]
    const bytes = Buffer.from(lines.map(lineOf).join(""))
    try {
      writeFileSync(descriptor, bytes)
      fsyncSync(descriptor)
      renameSync(temporary, file)
    } catch (error) {
      closeSync(descriptor)
      // it may hold plaintext keys
      rmSync(temporary, { force: true })
      throw error
    }
    if (open !== undefined) closeSync(open.descriptor)
    open = { descriptor, length: bytes.length, whole: bytes.length }
  }

  const append = (change: Change): void => {
    if (open === undefined || open.length > open.whole + MOST_CHANGES) {
      writeAll()
      return
    }
    const bytes = Buffer.from(lineOf(change))
    try {
      for (let written = 0; written < bytes.length;) {
        written += writeSync(open.descriptor, bytes, written, bytes.length - written, open.length + written)
      }
      open.length += bytes.length
    } catch (error) {
      // a full disk takes half a line
      ftruncateSync(open.descriptor, open.length)
      throw error
    }
  }

  writeAll()
  return {
    ofSet: (set) => append({ set: storedSet(set) }),
    ofAlias: ({ name: region }, name, alias) => append({ alias: { region, name, alias: alias ?? null } }),
    ofWrappingKey: ({ name: region }, pair) => append({ wrappingKey: { region, pair } }),
    ofAll: writeAll,
  }
}

const lineOf = (line: object): string => `${JSON.stringify(line)}\n`
