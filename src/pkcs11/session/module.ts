import { createHash } from "node:crypto"
import { accessSync, constants, readFileSync, statSync } from "node:fs"
import type { Module } from "graphene-pk11"
import type { ModuleInfo } from "pkcs11js"
import { KeyferryError } from "../../core/base/error.js"
import { type CallDeadline, watchCalls } from "./call-watch.js"
import { attempt, ckrOf, tokenError } from "../cryptoki/errors.js"
import { keepInOneThread } from "../cryptoki/one-thread.js"
import { Module as GrapheneModule } from "../cryptoki/graphene.js"
import { trim, version } from "./padded.js"

/** CKF_OS_LOCKING_OK: sessions are used from several threads (PKCS #11 v3.1 section 5.4). */
const OS_LOCKING = 2

/** A loaded and initialised module; disposing the last holder finalises it. */
export interface Pkcs11Module extends Disposable {
  readonly path: string
  readonly module: Module
  readonly info: ModuleInfo
  /** `SoftHSM 2.6`: CK_INFO's description and version. */
  readonly library: string
  /** Whether it may be called from several threads; one that may not is used by one session a token. */
  readonly locks: boolean
}

export interface ModuleOptions {
  /** What it wants at C_Initialize (NSS). */
  readonly libraryParameters?: string | undefined
  /** How long each of its calls may take, from when it is loaded; any time where it is left out. */
  readonly deadline?: CallDeadline | undefined
}

const loaded = new Map<string, Loaded & { holders: number; readonly libraryParameters: string | undefined }>()

/**
 * Loads the library and calls C_Initialize with OS locking, or without where the module cannot. PKCS #11 is initialised once for a process, so a module
 * that is loaded already is shared; one that other code initialised is used and not finalised.
 *
 * @throws ERR_MODULE_UNUSABLE with what the loader said, or where it is in use with other library parameters
 */
export function loadModule(path: string, { libraryParameters, deadline }: ModuleOptions = {}): Pkcs11Module {
  const entry = loaded.get(path) ?? { ...load(path, { libraryParameters, deadline }), libraryParameters, holders: 0 }
  if (entry.libraryParameters !== libraryParameters) {
    throw new KeyferryError(
      "ERR_MODULE_UNUSABLE",
      `the PKCS #11 module ${path} is in use with other library parameters`,
      {
        hint: "give every token URI of the module the same x-library-parameters: a process initialises it once",
      },
    )
  }
  entry.holders++
  loaded.set(path, entry)
  const { module, info, locks } = entry
  let held = true
  return {
    path,
    module,
    info,
    locks,
    library: `${trim(info.libraryDescription)} ${version(info.libraryVersion)}`.trim(),
    [Symbol.dispose]() {
      if (!held) return
      held = false
      if (--entry.holders > 0) return
      loaded.delete(path)
      if (entry.finalize) quietly(() => module.finalize())
    },
  }
}

interface Loaded {
  readonly module: Module
  readonly info: ModuleInfo
  readonly locks: boolean
  /** Whether it was initialised here, and so is to be finalised here. */
  readonly finalize: boolean
}

function load(path: string, { libraryParameters, deadline }: ModuleOptions): Loaded {
  let module: Module
  const watch = deadline && watchCalls(deadline)
  try {
    // the loader would search the system's folders for a bare name, and says little of a folder
    if (!statSync(path).isFile()) throw new Error(`${path}: not a file`)
    accessSync(path, constants.R_OK)
    module = watch ? watch.during("C_GetFunctionList", () => GrapheneModule.load(path)) : GrapheneModule.load(path)
    watch?.watch(module.lib)
  } catch (cause) {
    const error = tokenError("C_GetFunctionList", cause)
    const message = cause instanceof Error ? cause.message : String(cause)
    const causes = error instanceof KeyferryError ? error.causes : [{ code: "dlopen", message }]
    throw new KeyferryError("ERR_MODULE_UNUSABLE", `the PKCS #11 module ${path} cannot be loaded`, { cause, causes })
  }
  let finalize = false
  try {
    const state = initialise(module, libraryParameters)
    finalize = state !== "initialised before"
    const locks = state !== "without locking"
    if (!locks) keepInOneThread(module.lib)
    return { module, info: attempt("C_GetInfo", () => module.lib.C_GetInfo()), locks, finalize }
  } catch (cause) {
    if (finalize) quietly(() => module.finalize())
    if (!(cause instanceof KeyferryError)) throw cause
    throw new KeyferryError("ERR_MODULE_UNUSABLE", `the PKCS #11 module ${path} cannot be initialised`, {
      cause,
      causes: cause.causes,
      hint: "check the module's own configuration (its files and environment), and for NSS x-library-parameters",
    })
  }
}

type Initialisation = "with locking" | "without locking" | "initialised before"

/** Other code may have initialised the module before. */
function initialise({ lib }: Module, libraryParameters: string | undefined): Initialisation {
  // pkcs11js drops the last byte of the parameters (2.1.7)
  const parameters = libraryParameters === undefined ? {} : { libraryParameters: `${libraryParameters} ` }
  const ask = (flags: number): void => attempt("C_Initialize", () => lib.C_Initialize({ flags, ...parameters }))
  try {
    ask(OS_LOCKING)
    return "with locking"
  } catch (error) {
    if (ckrOf(error) === "CKR_CRYPTOKI_ALREADY_INITIALIZED") return "initialised before"
    if (ckrOf(error) !== "CKR_CANT_LOCK") throw error
    ask(0)
    return "without locking"
  }
}

/** SHA-256 of the module's file, hex: part of what self-test verdicts depend on. */
export function moduleDigest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex")
}

function quietly(run: () => void): void {
  try {
    run()
  } catch {
    // the module goes with the process
  }
}
