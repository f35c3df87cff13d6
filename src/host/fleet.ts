import type { Fleet } from "../app/fleet/fleet.js"
import type { Binding } from "../core/manifest/binding.js"
import { KeyferryError } from "../core/base/error.js"
import { isKeySpec, type KeyUsage } from "../core/key/key-spec.js"
import { DEFAULT_SETTINGS } from "../core/manifest/key-settings.js"
import { bindingsOf } from "../core/manifest/manifest.js"
import { bindingOf } from "../core/records/recorded-binding.js"
import type { Clock } from "../core/ports/clock.js"
import type { Kms } from "../core/ports/kms.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
import { type Flags, kmsSetting, type Settings } from "./settings.js"
import type { State } from "./state-records.js"

/** Rows of one target at one time: more than KMS' quotas let through, and few enough to wait in order for a token's sessions. */
const WIDTH = 16

/** What opens a fleet's tokens and targets, once each: the world (open.ts). */
interface Opener {
  kms(target: string | null, region: string | undefined): Promise<Kms>
  token(name: string | null): Promise<CustodialToken>
  tokenIfGiven(name: string | null): Promise<CustodialToken | null>
  readonly stored: { whenAlone(work: () => Promise<void>): Promise<void> }
  readonly clock: { of(target: string | null): Clock }
}

/** The state, and its lock; null where it is only read. */
type LockedState = State & Pick<Fleet, "lock">

/**
 * The manifest's keys or, without one, those of the inventory, less those of targets that flags leave out.
 *
 * @throws ERR_KEY_NOT_FOUND where flags leave out every key that there is
 */
export async function fleetOf(settings: Settings, { lock, ...state }: LockedState, world: Opener): Promise<Fleet> {
  const { manifest, flags, owner } = settings
  const { entries, damaged } = await state.inventory.all()
  const recorded = manifest === null ? entries.map((entry) => bindingOf(entry)) : bindingsOf(manifest)

  /** The target's own; without a manifest that of the inventory's entries, whose targets may have other names. */
  const regionOf = (target: string): string | undefined =>
    manifest === null
      ? (entries.find((entry) => entry.target === target)?.region ?? target)
      : kmsSetting(settings, target).region
  const kmsOf = async (target: string, region?: string): Promise<Kms> =>
    await world.kms(target, region ?? regionOf(target))

  /** By the manifest's name; without one all targets are reached alike. */
  const clockOf = (target: string): Clock =>
    world.clock.of(manifest !== null && Object.hasOwn(manifest.targets, target) ? target : null)
  const isEmpty = recorded.length === 0 && entries.length === 0 && damaged.length === 0
  const namedTargets = Object.keys(manifest?.targets ?? {})
  const targets = namedTargets.length === 0 ? [null] : namedTargets
  const bindings = isEmpty ? await forgottenKeys({ ...state, owner, targets, kmsOf }, world) : recorded
  const places = new Set(bindings.map(placeOf))
  const placed = [...bindings, ...damaged].map(({ target }) => ({ target, region: regionOf(target) }))
  refuseNothingLeft(placed, flags)

  return {
    ...state,
    owner,
    bindings: bindings.filter(({ target }) => isAskedFor({ target, region: regionOf(target) }, flags)),
    entries,
    damaged: damaged.filter(({ target }) => isAskedFor({ target, region: regionOf(target) }, flags)),
    unmanaged: entries.filter((entry) => !places.has(placeOf(entry))),
    width: WIDTH,
    lock,
    kmsOf,
    clockOf,
    whenAlone: (work) => world.stored.whenAlone(work),
    async inTurn(rank, work) {
      const { inTurn } = await import("../kms/line.js")
      return await inTurn(rank, work)
    },
    quotasOf: (target) => kmsSetting(settings, target).quotas,
    tokenOf: async (name) => await world.tokenIfGiven(name),
    async depsOf({ target, token }) {
      // KMS first: what is wrong with a target shows before a PIN is read
      const kms = await kmsOf(target)
      const kmsIn = (region: string): Promise<Kms> => kmsOf(target, region)
      return { ...state, clock: clockOf(target), kms, kmsIn, token: await world.token(token) }
    },
  }
}

interface Forgotten extends State {
  readonly owner: string
  /** Null for what flags and environment name. */
  readonly targets: readonly (string | null)[]
  readonly kmsOf: (target: string) => Promise<Kms>
}

/** A state directory without a key may be a lost one: the keys that KMS has by the owner's tags are keys of this fleet. */
async function forgottenKeys(
  { owner, targets, kmsOf, ...state }: Forgotten,
  world: Opener,
): Promise<readonly Binding[]> {
  const { unknownKeys } = await import("../app/kms-key/unknown-keys.js")
  const bindings: Binding[] = []
  for (const named of targets) {
    const kms = named === null ? await kmsOfFlags(world) : await kmsOf(named)
    const target = named ?? kms.region
    for (const [name, [key]] of await unknownKeys({ ...state, kms }, owner)) {
      if (key === undefined || !isKeySpec(key.keySpec)) continue
      const { keySpec, keyUsage } = key
      bindings.push({
        ...DEFAULT_SETTINGS,
        owner,
        name,
        target,
        token: null,
        managed: true,
        keySpec,
        keyUsage: keyUsage as KeyUsage,
      })
    }
  }
  return bindings
}

/** KMS that flags and environment name. @throws ERR_KMS_REGION_MISSING: 'no keys' is not said of what was not asked */
async function kmsOfFlags(world: Opener): Promise<Kms> {
  try {
    return await world.kms(null, undefined)
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_KMS_REGION_MISSING")) throw error
    throw new KeyferryError(
      "ERR_KMS_REGION_MISSING",
      "this state directory has no key, and KMS cannot be asked for keys of this owner: no AWS Region is given",
      { cause: error },
    )
  }
}

const placeOf = ({ name, target }: Pick<Binding, "name" | "target">): string => JSON.stringify([name, target])

/** 'No keys' would be taken for 'nothing to do', most of all by an unattended run with a Region misspelt. */
function refuseNothingLeft(places: readonly Pick<Flags, "target" | "region">[], flags: Flags): void {
  if (places.length === 0 || places.some((place) => isAskedFor(place, flags))) return
  const { target, region } = flags
  const narrowedBy = [target !== undefined && `the target ${target}`, region !== undefined && `the Region ${region}`]
  const there = places.map((place) => place.region ?? place.target)
  const targets = places.map((place) => place.target)
  const available = [...new Set(target === undefined ? there : [...targets, ...there])].join(", ")
  throw new KeyferryError(
    "ERR_KEY_NOT_FOUND",
    `no key is in ${narrowedBy.filter((words) => words !== false).join(" and ")}: all that there are are in ${available}`,
    { hint: `name another --region or --target, or none: the keys are in ${available}` },
  )
}

const isAskedFor = (place: Pick<Flags, "target" | "region">, flags: Flags): boolean =>
  (flags.target === undefined || flags.target === place.target) &&
  (flags.region === undefined || flags.region === place.region)
