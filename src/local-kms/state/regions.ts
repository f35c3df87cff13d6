import { emptyRegion, type Region, type State } from "./state.js"

/** The Regions that are served; the state may have others. */
export interface ServedRegions {
  /** Undefined for one that is not served. */
  readonly get: (name: string) => Region | undefined
  /** Null where every Region is. */
  readonly names: readonly string[] | null
}

/** Names as AWS gives them, partitions of their own included. */
const REGION = /^(af|ap|ca|cn|eu|eusc|il|me|mx|sa|us|us-gov|us-iso[a-z]?)-[a-z]+-\d+$/

export const isRegionName = (name: string): boolean => REGION.test(name)

/** A Region is there from the first request for it on. */
export function servedRegions({ regions, account }: State, names: readonly string[] | null): ServedRegions {
  return {
    names,
    get(name) {
      if (names === null ? !isRegionName(name) : !names.includes(name)) return undefined
      const region = regions.get(name) ?? emptyRegion(name, account)
      regions.set(name, region)
      return region
    },
  }
}
