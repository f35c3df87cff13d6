import { readFileSync } from "node:fs"
import { type CheckedLine, failed } from "../app/doctor/check.js"
import { type DoctorDeps, examine } from "../app/doctor/doctor.js"
import type { TokenDoor } from "../app/doctor/token-checks.js"
import { KeyferryError } from "../core/base/error.js"
import { parseTokenUri, type TokenUri } from "../core/token/token-uri.js"
import { coreDumpsOff } from "./core-limits.js"
import type { World } from "./open.js"
import { moduleOptions } from "./token.js"
import { kmsSetting, refuseForMany, type Settings, type TokenSetting, tokenSetting } from "./settings.js"

/** What `doctor` and `token list` see of a world: a token step by step, instead of opened whole. */

/** Slots and tokens of the module at a path or, without one, of the token's. */
export async function describeModule(world: World, modulePath: string | undefined) {
  const setting = modulePath === undefined ? tokenSetting(await world.settings()) : null
  const uri = modulePath === undefined ? setting?.uri : moduleUri(modulePath)
  if (uri?.modulePath == null)
    throw new KeyferryError("ERR_USAGE", "no module is given", { hint: "give --module PATH" })
  const { describeSlots } = await import("../pkcs11/session/slots.js")
  const { openModule } = await import("../pkcs11/session/inspect.js")
  using module = openModule(uri, setting ? moduleOptions(setting, world.lastWords) : {})
  return { modulePath: uri.modulePath, library: module.library, slots: describeSlots(module) }
}

/** NSS needs its parameters even to be listed; they can come in a URI only. */
function moduleUri(path: string): TokenUri {
  return { ...parseTokenUri("pkcs11:token=any"), modulePath: path }
}

/**
 * Every line of `doctor`. A state that cannot be opened, or that others can write, is the only thing looked at besides what
 * needs none: whether a PIN may be presented is read in it.
 */
export async function doctorLines(world: World, options: { readonly deep: boolean }): Promise<readonly CheckedLine[]> {
  const { config } = await configLine(world)
  try {
    await world.stored.place()
  } catch (error) {
    await coreDumpsOff()
    return [...config, coreDumpLine(), failed("state", error)]
  }
  return await examine(await doctorDeps(world, options))
}

/** What `doctor` examines, everything that is named. `deep` opens every sealed key. */
export async function doctorDeps(world: World, { deep }: { readonly deep: boolean }): Promise<DoctorDeps> {
  await coreDumpsOff()
  const { settings, config } = await configLine(world)
  const place = await world.stored.place()
  const state = await world.state({ lock: false })
  return {
    ...state,
    config,
    doors: tokensOf(settings).map(({ name, setting }) => ({ name, door: tokenDoor(world, name, setting) })),
    targets: targetsOf(settings).map((name) => {
      const inventoryName = kmsSetting(settings, name).name
      return { name, inventoryName, openKms: () => world.kms(name), clock: world.clock.of(inventoryName) }
    }),
    owner: settings.owner,
    deep,
    surroundings: async () => [coreDumpLine(), ...(await place.doctorLines())],
  }
}

/** A configuration file that is wrong is a failed check; what flags name is looked at all the same. */
async function configLine(
  world: World,
): Promise<{ readonly settings: Settings; readonly config: readonly CheckedLine[] }> {
  const id = "config"
  try {
    const settings = await world.settings()
    const { path, manifest } = settings
    if (path === null || manifest === null) return { settings, config: [] }
    const counts = (["tokens", "targets", "keys"] as const)
      .map((kind) => `${kind} ${Object.keys(manifest[kind]).length}`)
      .join(", ")
    return { settings, config: [{ id, status: "ok", message: `${path} is right: ${counts}`, hint: null, exit: "OK" }] }
  } catch (error) {
    return { settings: await world.settingsWithoutFile(), config: [failed(id, error)] }
  }
}

/** The token that flags name, or every token of the configuration file. */
function tokensOf(settings: Settings): readonly { readonly name: string | null; readonly setting: TokenSetting }[] {
  const { manifest, flags } = settings
  const names = Object.keys(manifest?.tokens ?? {})
  if (flags.token === undefined && names.length > 1) {
    refuseForMany(settings, ["pinSource"])
    return names.flatMap((name) => withSetting(settings, name))
  }
  return withSetting(settings, null)
}

function withSetting(settings: Settings, name: string | null) {
  const setting = tokenSetting(settings, name)
  return setting === null ? [] : [{ name, setting }]
}

/** The target that flags name, or every target of the configuration file. */
function targetsOf(settings: Settings): readonly (string | null)[] {
  const { manifest, flags } = settings
  const names = Object.keys(manifest?.targets ?? {})
  if (flags.target === undefined && flags.region === undefined && names.length > 1) return names
  kmsSetting(settings)
  return [null]
}

function tokenDoor(world: World, name: string | null, setting: TokenSetting): TokenDoor {
  const { uri } = setting
  const options = moduleOptions(setting, world.lastWords)
  return {
    modulePath: uri.modulePath ?? "",
    async load() {
      const { openModule } = await import("../pkcs11/session/inspect.js")
      const { library, locks } = world.own(openModule(uri, options))
      return locks ? library : `${library}, which does no locking: one session, one call at a time`
    },
    async inspect() {
      const { inspectToken } = await import("../pkcs11/session/inspect.js")
      return inspectToken(uri, options)
    },
    // a check of its own says what is wrong with the PIN
    logIn: () => world.token(name, { quiet: true }),
  }
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
        hint: "install keyferry with its optional dependencies (koffi has a binary for each platform), or start it under `ulimit -c 0`",
        exit: "OK",
      }
    }
  } catch {
    // not Linux
  }
  const message = "core dumps are not switched off: a core file could hold the PIN"
  return { id, status: "warn", message, hint: "start keyferry under `ulimit -c 0`", exit: "OK" }
}
