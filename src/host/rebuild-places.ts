import type { Deps } from "../app/deps.js"
import type { RebuildPlaces } from "../app/fleet/rebuild-targets.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
import type { Kms } from "../core/ports/kms.js"
import type { Flags, Settings } from "./settings.js"
import type { State } from "./state-records.js"

/** What it opens of a run's world. */
interface Doors {
  state(options: { readonly lock: boolean }): Promise<State>
  target(): Promise<string>
  kms(target: string | null, region?: string): Promise<Kms>
  tokenIfGiven(name: string | null): Promise<CustodialToken | null>
}

/** Every target and token of the manifest, or those that flags name; the state is locked. */
export async function rebuildPlacesOf(
  { manifest }: Settings,
  { target, region, token }: Flags,
  world: Doors,
): Promise<RebuildPlaces> {
  const state = await world.state({ lock: true })
  const isOne = manifest === null || target !== undefined || region !== undefined
  const names = isOne ? [await world.target()] : Object.keys(manifest.targets)
  const openKms = async (name: string): Promise<Pick<Deps, "kms" | "kmsIn">> => {
    const named = isOne ? null : name
    const kms = await world.kms(named)
    return { kms, kmsIn: async (other) => (other === kms.region ? kms : await world.kms(named, other)) }
  }
  const isElsewhere = (name: string, here: string): boolean => {
    const targetNames = manifest?.keys[name]?.targets ?? [here]
    return !targetNames.includes(here) && targetNames.some((other) => names.includes(other))
  }
  const tokens = manifest === null || token !== undefined ? [null] : Object.keys(manifest.tokens)
  return {
    state,
    targets: names.map((name) => ({
      target: name,
      open: () => openKms(name),
      isElsewhere: (key) => isElsewhere(key, name),
    })),
    tokens: tokens.map((name) => ({ name, open: () => world.tokenIfGiven(name) })),
    keysOfOthers: new Map(
      Object.entries(manifest?.keys ?? {}).flatMap(([name, { keyArn, tagKey }]) =>
        keyArn === null ? [] : [[keyArn, { name, tagKey }] as const],
      ),
    ),
    termsOf(name) {
      const keys = manifest?.keys ?? {}
      const key = Object.hasOwn(keys, name) ? keys[name] : undefined
      if (key === undefined) return null
      const { expiresIn, wrappingAlgorithm, wrappingKeySpec } = key
      return { expiresIn, wrappingAlgorithm, wrappingKeySpec }
    },
  }
}
