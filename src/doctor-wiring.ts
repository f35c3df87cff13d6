import { accessSync, constants, readFileSync } from "node:fs"
import type { CheckedLine } from "./app/doctor/check.js"
import type { DoctorDeps } from "./app/doctor/doctor.js"
import type { TokenDoor } from "./app/doctor/token-checks.js"
import { coreDumpsOff } from "./core-dump.js"
import { KeyferryError } from "./core/error.js"
import { parseTokenUri, type TokenUri } from "./core/token-uri.js"
import {
  type CommonFlags,
  type KmsFlags,
  settingsOf,
  type TokenFlags,
  type TokenSetting,
  tokenSetting,
} from "./settings.js"
import { type Around, openKms, pinProvider, stateDirectory, tokenOptions } from "./wiring.js"

const clock = { now: (): Date => new Date() }

/** Wiring of `doctor` and `token list`, which look at a token step by step instead of opening it whole. */

/** Slots and tokens of a module that is named by path or by the token URI. */
export async function describeModule(
  flags: { readonly module?: string | undefined } & TokenFlags & CommonFlags,
  env: Around["env"],
) {
  const setting = flags.module === undefined ? tokenSetting(await settingsOf(flags, env), flags, env) : null
  const uri = flags.module === undefined ? setting?.uri : moduleUri(flags.module)
  if (uri?.modulePath == null)
    throw new KeyferryError("ERR_USAGE", "no module is given", { hint: "give --module PATH" })
  const { describeSlots } = await import("./pkcs11/module.js")
  const { openModule } = await import("./pkcs11/inspect.js")
  using module = openModule(uri, setting?.libraryParameters ?? undefined)
  return { modulePath: uri.modulePath, library: module.library, slots: describeSlots(module) }
}

/** NSS needs its parameters even to be listed; they can come in a URI only. */
function moduleUri(path: string): TokenUri {
  return { ...parseTokenUri("pkcs11:token=any"), modulePath: path }
}

export async function openDoctor(
  flags: TokenFlags & KmsFlags & CommonFlags,
  around: Around,
): Promise<DoctorDeps & AsyncDisposable> {
  await coreDumpsOff()
  const stateDir = await stateDirectory(flags, around.env)
  const setting = tokenSetting(await settingsOf(flags, around.env), flags, around.env)
  const { inventoryFiles } = await import("./store/inventory-files.js")
  const door = setting === null ? null : await tokenDoor(setting, flags, around, stateDir)
  return {
    door,
    openKms: () => openKms(flags, around),
    inventory: inventoryFiles(stateDir),
    clock,
    surroundings: () => Promise.resolve([coreDumpLine(), stateLine(stateDir)]),
    [Symbol.asyncDispose]: async () => {
      await door?.[Symbol.asyncDispose]()
    },
  }
}

async function tokenDoor(
  setting: TokenSetting,
  flags: TokenFlags & CommonFlags,
  around: Around,
  stateDir: string,
): Promise<TokenDoor> {
  const { uri } = setting
  const libraryParameters = setting.libraryParameters ?? undefined
  const { inspectToken, openModule } = await import("./pkcs11/inspect.js")
  const { openToken } = await import("./pkcs11/token.js")
  const { verdictCache } = await import("./store/verdict-cache.js")
  const open: (Disposable | AsyncDisposable)[] = []
  return {
    modulePath: uri.modulePath ?? "",
    load: () =>
      promised(() => {
        const module = openModule(uri, libraryParameters)
        open.push(module)
        return module.library
      }),
    inspect: () => promised(() => inspectToken(uri, libraryParameters)),
    logIn: async () => {
      const warn = (text: string): void => around.progress.warn(text)
      const pin = await pinProvider(setting, flags, around, stateDir)
      const token = await openToken({ ...(await tokenOptions(setting)), pin, cache: verdictCache(stateDir, warn) })
      open.push(token)
      const { custodial, stateFiles } = await import("./state-files.js")
      return custodial(token, stateFiles(stateDir, clock, null), clock, around.progress)
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of open.reverse()) {
        if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose]()
        else one[Symbol.dispose]()
      }
    },
  }
}

/** Runs a synchronous step so that what it throws rejects. */
function promised<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run())
  })
}

/** RLIMIT_CORE and the dump filter as the kernel has them for this process (invariant I7). */
function coreDumpLine(): CheckedLine {
  const id = "core-dumps"
  try {
    const limit = /^Max core file size\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
    const filter = Number.parseInt(readFileSync("/proc/self/coredump_filter", "utf8"), 16)
    if (limit === "0") return { id, status: "ok", message: "core dumps are switched off", hint: null, exit: "OK" }
    if (filter === 0) {
      const message = "a core file would hold no memory, but can be written"
      return {
        id,
        status: "warn",
        message,
        hint: "install prlimit (util-linux), or start keyferry under `ulimit -c 0`",
        exit: "OK",
      }
    }
  } catch {
    // not Linux
  }
  const message = "core dumps are not switched off: a core file could hold the PIN"
  return { id, status: "warn", message, hint: "start keyferry under `ulimit -c 0`", exit: "OK" }
}

function stateLine(stateDir: string): CheckedLine {
  const id = "state"
  try {
    accessSync(stateDir, constants.R_OK | constants.W_OK | constants.X_OK)
    return { id, status: "ok", message: `state directory ${stateDir} is writable`, hint: null, exit: "OK" }
  } catch {
    const hint = "check --state-dir (KEYFERRY_STATE_DIR) and its permissions"
    return { id, status: "fail", message: `state directory ${stateDir} is not writable`, hint, exit: "IOERR" }
  }
}
