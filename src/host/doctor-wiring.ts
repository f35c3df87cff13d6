import { accessSync, constants, readFileSync } from "node:fs"
import { type CheckedLine, failed } from "../app/doctor/check.js"
import type { DoctorDeps } from "../app/doctor/doctor.js"
import type { TokenDoor } from "../app/doctor/token-checks.js"
import { coreDumpsOff } from "./core-limits.js"
import { KeyferryError } from "../core/base/error.js"
import { DEFAULT_ID, DEFAULT_POLICY } from "../core/manifest/manifest.js"
import { parseTokenUri, type TokenUri } from "../core/token/token-uri.js"
import {
  type CommonFlags,
  type KmsFlags,
  type KmsSetting,
  kmsSetting,
  namedTarget,
  namedToken,
  refuseForMany,
  type Settings,
  settingsOf,
  type TokenFlags,
  type TokenSetting,
  tokenSetting,
} from "./settings.js"
import { type Around, openKmsOf, pinProvider, stateDirectory, tokenOptions } from "./wiring.js"

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
  const { describeSlots } = await import("../pkcs11/session/module.js")
  const { openModule } = await import("../pkcs11/session/inspect.js")
  using module = openModule(uri, setting?.libraryParameters ?? undefined)
  return { modulePath: uri.modulePath, library: module.library, slots: describeSlots(module) }
}

/** NSS needs its parameters even to be listed; they can come in a URI only. */
function moduleUri(path: string): TokenUri {
  return { ...parseTokenUri("pkcs11:token=any"), modulePath: path }
}

export async function openDoctor(
  flags: TokenFlags & KmsFlags & CommonFlags & { readonly deep?: boolean | undefined },
  around: Around,
): Promise<DoctorDeps & AsyncDisposable> {
  await coreDumpsOff()
  const stateDir = await stateDirectory(flags, around.env)
  const { settings, config } = await configLine(flags, around.env)
  const open: AsyncDisposable[] = []
  const doors = []
  for (const { name, setting } of tokensOf(settings, flags, around.env)) {
    const door = await tokenDoor(setting, flags, around, stateDir)
    open.push(door)
    doors.push({ name, door })
  }
  const targets = targetsOf(settings, flags)
  const { stateFiles } = await import("./state-files.js")
  return {
    config,
    doors,
    targets: targets.map(({ name, setting }) => ({ name, openKms: () => openKmsOf(setting, around) })),
    ...stateFiles(stateDir, clock),
    owner: settings.owner,
    deep: flags.deep ?? false,
    clock,
    surroundings: () => Promise.resolve([coreDumpLine(), stateLine(stateDir)]),
    [Symbol.asyncDispose]: async () => {
      for (const door of open.reverse()) await door[Symbol.asyncDispose]()
    },
  }
}

const NO_SETTINGS = { path: null, manifest: null, owner: DEFAULT_ID, policy: DEFAULT_POLICY } as const

/** A configuration file that is wrong is a failed check; what flags name is looked at all the same. */
async function configLine(
  flags: CommonFlags,
  env: Around["env"],
): Promise<{ readonly settings: Settings; readonly config: readonly CheckedLine[] }> {
  const id = "config"
  try {
    const settings = await settingsOf(flags, env)
    const { path, manifest } = settings
    if (path === null || manifest === null) return { settings, config: [] }
    const count = (what: object): number => Object.keys(what).length
    const said = `${count(manifest.tokens)} tokens, ${count(manifest.targets)} targets, ${count(manifest.keys)} keys`
    return { settings, config: [{ id, status: "ok", message: `${path} is right: ${said}`, hint: null, exit: "OK" }] }
  } catch (error) {
    return { settings: NO_SETTINGS, config: [failed(id, error)] }
  }
}

/** The token that flags name, or every token of the configuration file. */
function tokensOf(
  settings: Settings,
  flags: TokenFlags,
  env: Around["env"],
): readonly { readonly name: string | null; readonly setting: TokenSetting }[] {
  const names = Object.keys(settings.manifest?.tokens ?? {})
  if (flags.token === undefined && names.length > 1) {
    refuseForMany(settings, flags, ["pinSource"])
    return names.map((name) => ({ name, setting: namedToken(settings, name, flags, env) }))
  }
  const setting = tokenSetting(settings, flags, env)
  return setting === null ? [] : [{ name: null, setting }]
}

/** The target that flags name, or every target of the configuration file. */
function targetsOf(
  settings: Settings,
  flags: KmsFlags,
): readonly { readonly name: string | null; readonly setting: KmsSetting }[] {
  const names = Object.keys(settings.manifest?.targets ?? {})
  if (flags.target === undefined && flags.region === undefined && names.length > 1) {
    return names.map((name) => ({ name, setting: namedTarget(settings, name, flags) }))
  }
  return [{ name: null, setting: kmsSetting(settings, flags) }]
}

async function tokenDoor(
  setting: TokenSetting,
  flags: TokenFlags & CommonFlags,
  around: Around,
  stateDir: string,
): Promise<TokenDoor> {
  const { uri } = setting
  const libraryParameters = setting.libraryParameters ?? undefined
  const { inspectToken, openModule } = await import("../pkcs11/session/inspect.js")
  const { openToken } = await import("../pkcs11/token.js")
  const { verdictCache } = await import("../store/files/verdict-cache.js")
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
      return custodial(token, stateFiles(stateDir, clock), { clock, progress: around.progress, log: around.log })
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
