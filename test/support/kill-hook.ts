import fs from "node:fs"
import fsPromises from "node:fs/promises"
import http, { type RequestOptions } from "node:http"
import { createRequire, syncBuiltinESMExports } from "node:module"
import { fileURLToPath } from "node:url"

/**
 * Preloaded into the built `keyferry` (`node --import`), it counts every outside call that changes something: requests
 * to KMS, PKCS #11 calls on objects, and what makes a file durable. Before call number KEYFERRY_TEST_KILL_AT, counted
 * from 0, the process kills itself. The state of the world before a call is the state after the one before it, whose
 * answer then nobody remembers; so killing before each call in turn kills on both sides of every one.
 */

const HOOK = fileURLToPath(import.meta.url)

/** Environment that preloads it, so that every outside call is counted. */
export const HOOKED = { NODE_OPTIONS: `--import file://${HOOK}`, KEYFERRY_TEST_HOOK: "1" }

/** The same for a command that is about files alone: each piece of a file, each folder and each mode counts as well. */
export const HOOKED_FILES = { ...HOOKED, KEYFERRY_TEST_HOOK: "files" }

const killAt = Number(process.env["KEYFERRY_TEST_KILL_AT"] ?? Infinity)
const hooked = process.env["KEYFERRY_TEST_HOOK"]
const stepsFile = process.env["KEYFERRY_TEST_STEPS"]
let count = 0

function step(name: string): void {
  const last = count >= killAt
  count += 1
  if (stepsFile !== undefined) write(`${last ? "killed before " : ""}${name}\n`)
  if (last) process.kill(process.pid, "SIGKILL")
}

const { openSync, writeSync } = fs
let steps: number | undefined
const write = (line: string): void => {
  if (stepsFile !== undefined) writeSync((steps ??= openSync(stepsFile, "a")), line)
}

type Anything = (...args: never[]) => unknown

/** Puts a step before each call of a function of an object. */
function hook(target: object, name: string, stepName: (args: readonly unknown[]) => string | null): void {
  const own = target as Record<string, Anything | undefined>
  const original = own[name]
  if (original === undefined) throw new Error(`there is no ${name} to hook`)
  own[name] = function (this: unknown, ...args: never[]): unknown {
    const said = stepName(args)
    if (said !== null) step(said)
    return original.apply(this, args)
  }
}

/** Not `fsync`: what it makes durable a killed process leaves behind as well. */
const CHANGES_FILES = ["renameSync", "linkSync", "rmSync", "unlinkSync", "writeSync", "ftruncateSync", "truncateSync"]
const CHANGES_FILES_IN_PIECES = ["writeFileSync", "mkdirSync", "chmodSync"]
const CHANGES_FILES_LATER = ["rename", "link", "rm", "unlink", "truncate"]
const CHANGES_OBJECTS =
  /^C_(GenerateKey|GenerateKeyPair|CreateObject|CopyObject|DestroyObject|SetAttributeValue|WrapKey|UnwrapKey|Login)(Async)?$/

/** Wraps what a PKCS #11 library object has, once it is loaded. */
function hookModule(library: object): void {
  const names = new Set<string>()
  for (let at: object | null = library; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    for (const name of Object.getOwnPropertyNames(at)) if (CHANGES_OBJECTS.test(name)) names.add(name)
  }
  for (const name of names) hook(library, name, () => name.replace(/Async$/, ""))
}

function install(): void {
  for (const name of CHANGES_FILES) hook(fs, name, () => name.replace("Sync", ""))
  if (hooked === "files") for (const name of CHANGES_FILES_IN_PIECES) hook(fs, name, () => name.replace("Sync", ""))
  for (const name of CHANGES_FILES_LATER) hook(fsPromises, name, () => name)
  hook(http, "request", ([options]) => {
    const target = (options as RequestOptions).headers as Readonly<Record<string, string>> | undefined
    const operation = target?.["x-amz-target"]?.split(".").at(-1)
    // STS has the operation in the body
    return operation === undefined ? "STS request" : `KMS ${operation}`
  })
  syncBuiltinESMExports()

  const pkcs11 = createRequire(import.meta.url)("pkcs11js") as { PKCS11: { prototype: { load: Anything } } }
  const { load } = pkcs11.PKCS11.prototype
  pkcs11.PKCS11.prototype.load = function (this: object, ...args: never[]) {
    const result = load.apply(this, args)
    hookModule(this)
    return result
  }
}

// in the suite's own process it is only a path
if (hooked !== undefined) install()
