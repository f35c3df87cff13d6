import fs from "node:fs"
import fsPromises from "node:fs/promises"
import http, { type RequestOptions } from "node:http"
import { syncBuiltinESMExports } from "node:module"
import { fileURLToPath } from "node:url"

/**
 * Preloaded into the built `keyferry` (`node --import`), it writes down, in order and to KEYFERRY_TEST_RECORD, what
 * decides whether a file outlives a power cut: writes, fsync as it returns, names that are made and changed, and the calls
 * to KMS between them.
 */

export const DURABILITY_HOOK = fileURLToPath(import.meta.url)

/** One call; `path` is that of the file, of the folder that is synced, or of the KMS operation. */
export interface Recorded {
  readonly call: "write" | "fsync" | "rename" | "link" | "mkdir" | "remove" | "KMS"
  readonly path: string
  /** Where the file goes. */
  readonly to?: string
  /** The text that is written, for files of JSON. */
  readonly text?: string
}

type Anything = (...args: never[]) => unknown

const recordFile = process.env["KEYFERRY_TEST_RECORD"]
const { appendFileSync, readlinkSync } = fs

let isNoting = false

/** Writing it down makes calls of its own, which are not written down. */
function note(recorded: Recorded): void {
  if (recordFile === undefined || isNoting) return
  isNoting = true
  try {
    appendFileSync(recordFile, `${JSON.stringify(recorded)}\n`)
  } finally {
    isNoting = false
  }
}

const pathOf = (file: unknown): string =>
  typeof file === "number" ? readlinkSync(`/proc/self/fd/${file}`) : String(file)
const textOf = (content: unknown): string =>
  typeof content === "string" ? content : content instanceof Uint8Array ? Buffer.from(content).toString("utf8") : ""

/** Notes each call of a function of an object before it is made. */
function hook(target: object, names: readonly string[], recorded: (args: readonly unknown[]) => Recorded): void {
  const own = target as Record<string, Anything | undefined>
  for (const name of names) {
    const original = own[name]
    if (original === undefined) throw new Error(`there is no ${name} to hook`)
    own[name] = function (this: unknown, ...args: never[]): unknown {
      note(recorded(args))
      return original.apply(this, args)
    }
  }
}

function install(): void {
  for (const target of [fs, fsPromises] as const) {
    const names = (name: string): readonly string[] => (target === fs ? [`${name}Sync`] : [name])
    hook(target, names("rename"), ([from, to]) => ({ call: "rename", path: String(from), to: String(to) }))
    hook(target, names("link"), ([from, to]) => ({ call: "link", path: String(from), to: String(to) }))
    hook(target, names("rm"), ([path]) => ({ call: "remove", path: String(path) }))
    hook(target, names("writeFile"), ([file, text]) => ({ call: "write", path: pathOf(file), text: textOf(text) }))
  }
  hook(fs, ["writeSync"], ([file, text]) => ({ call: "write", path: pathOf(file), text: textOf(text) }))
  const mkdir = fsPromises.mkdir as (path: string, options: object) => Promise<unknown>
  // one that is there already is not made
  fsPromises.mkdir = (async (path: string, options: object) => {
    const made = await mkdir(path, options)
    note({ call: "mkdir", path })
    return made
  }) as typeof fsPromises.mkdir
  const { fsync, fsyncSync } = fs
  const synced = (file: number): void => {
    note({ call: "fsync", path: pathOf(file) })
  }
  fs.fsync = ((file: number, done: (error: Error | null) => void) => {
    const path = pathOf(file)
    fsync(file, (error) => {
      if (error === null) note({ call: "fsync", path })
      done(error)
    })
  }) as typeof fs.fsync
  fs.fsyncSync = (file) => {
    fsyncSync(file)
    synced(file)
  }
  hook(http, ["request"], ([options]) => {
    const headers = (options as RequestOptions).headers as Readonly<Record<string, string>> | undefined
    return { call: "KMS", path: headers?.["x-amz-target"]?.split(".").at(-1) ?? "request" }
  })
  syncBuiltinESMExports()
}

if (recordFile !== undefined) install()
