import type { Deps } from "../app/deps.js"
import type { Fleet } from "../app/fleet/fleet.js"
import type { Binding } from "../core/manifest/binding.js"
import { KeyferryError } from "../core/base/error.js"
import type { InventoryEntry } from "../core/records/inventory.js"
import { bindingOf, bindingsOf } from "../core/manifest/manifest.js"
import type { Kms } from "../core/ports/kms.js"
import { Resources } from "./resources.js"
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
import { type Around, clock, noToken, openKmsOf, openTokenOf, sleep, stateDirectory } from "./wiring.js"

/** Wiring of the commands of many keys: tokens and targets are opened when they are first asked for, once each. */

/** Rows at one time: more than KMS' quotas let through, and few enough to wait in order for a token's sessions. */
const WIDTH = 16

type Flags = TokenFlags & KmsFlags & CommonFlags

interface FleetNeeds {
  /** Whether the state directory is locked: not for commands that only look. */
  readonly lock: boolean
  /** With `needed`, a command is refused at once where neither a manifest nor flags name a token. */
  readonly token: "needed" | "if given"
}

/**
 * The manifest's keys with their tokens and targets; without a configuration file the keys of the inventory, with the
 * token and the credentials that flags name. `--target` and `--region` leave the keys of other targets out.
 *
 * @throws ERR_CONFIG_INVALID, ERR_USAGE, ERR_STATE_LOCKED, ERR_STATE_INVALID
 */
export async function openFleet(flags: Flags, around: Around, needs: FleetNeeds): Promise<Fleet> {
  const settings = await settingsOf(flags, around.env)
  refuseForMany(settings, flags, ["token", "pinSource"])
  const tokenFor = (name: string | null): TokenSetting | null => tokenNamed(settings, name, flags, around)
  if (
    needs.token === "needed" &&
    Object.keys(settings.manifest?.tokens ?? {}).length === 0 &&
    tokenFor(null) === null
  ) {
    throw noToken()
  }
  if (flags.target !== undefined && settings.manifest !== null) namedTarget(settings, flags.target)
  const stateDir = await stateDirectory(flags, around.env)
  const { custodial, lockedState, stateFiles } = await import("./state-files.js")
  await using opening = new Resources()
  if (needs.lock) opening.add(await lockedState(stateDir, around))
  const files = stateFiles(stateDir, clock)
  const entries = await files.inventory.list()
  const all = settings.manifest === null ? entries.map((entry) => bindingOf(entry)) : bindingsOf(settings.manifest)
  const bound = new Set(all.map(placeOf))
  const targets = once((target: string) => targetNamed(settings, target, { flags, entries }))

  const open = opening.move()
  const tokenOf = once(async (name: string | null) => {
    const setting = tokenFor(name)
    if (setting === null) return null
    const token = await openTokenOf(setting, flags, around, stateDir)
    return open.added(custodial(token, files, { clock, progress: around.progress, log: around.log }))
  })
  const kmsAt = once(async (target: string, region: string | undefined) =>
    open.added(await openKmsOf({ ...targets(target), region }, around)),
  )
  const kmsOf = (target: string, region?: string): Promise<Kms> => kmsAt(target, region ?? targets(target).region)

  const common = { ...files, clock, progress: around.progress, log: around.log, policy: settings.policy, sleep }
  return {
    ...common,
    owner: settings.owner,
    bindings: all.filter(({ target }) => wanted({ target, region: targets(target).region }, flags)),
    entries,
    unmanaged: entries.filter((entry) => !bound.has(placeOf(entry))),
    width: WIDTH,
    // what is wrong with a target's name is to reject, like what is wrong with the target
    kmsOf: async (target, region) => await kmsOf(target, region),
    quotasOf: (target) => targets(target).quotas,
    tokenOf,
    async depsOf({ target, token }): Promise<Deps> {
      // KMS first: what is wrong with a target shows before a PIN is read
      const kms = await kmsOf(target)
      const held = await tokenOf(token)
      if (held === null) throw noToken()
      return { ...common, kms, kmsIn: async (region) => await kmsOf(target, region), token: held }
    },
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  }
}

const placeOf = ({ name, target }: Pick<Binding, "name" | "target">): string => JSON.stringify([name, target])

function tokenNamed(settings: Settings, name: string | null, flags: Flags, { env }: Around): TokenSetting | null {
  // a fleet has no one key whose token it would be
  if (name === null || flags.token !== undefined) return tokenSetting(settings, { ...flags, name: undefined }, env)
  return namedToken(settings, name, flags, env)
}

/** A manifest's target; without a manifest, the Region of the inventory's entries of that target. */
function targetNamed(
  settings: Settings,
  target: string,
  { flags, entries }: { readonly flags: Flags; readonly entries: readonly InventoryEntry[] },
): KmsSetting {
  if (settings.manifest === null) {
    const region = entries.find((entry) => entry.target === target)?.region ?? target
    return { ...kmsSetting(settings, { ...flags, name: undefined }), region }
  }
  if (Object.hasOwn(settings.manifest.targets, target)) return namedTarget(settings, target, flags)
  throw new KeyferryError("ERR_CONFIG_INVALID", `no target of the configuration file is called ${target}`, {
    key: settings.path ?? "",
    hint: "name it under targets, as it was when the key was made",
  })
}

const wanted = ({ target, region }: Pick<KmsFlags, "target" | "region">, flags: Flags): boolean =>
  (flags.target === undefined || flags.target === target) && (flags.region === undefined || flags.region === region)

/** Calls `make` once for each set of arguments, also where it fails: a refused PIN is not presented again. */
function once<A extends readonly (string | null | undefined)[], T>(make: (...args: A) => T): (...args: A) => T {
  const made = new Map<string, T>()
  return (...args) => {
    const key = JSON.stringify(args)
    const known = made.get(key) ?? make(...args)
    made.set(key, known)
    return known
  }
}
