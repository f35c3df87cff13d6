import { randomInt } from "node:crypto"
import { Random } from "./fuzz/random.js"

/** Chance that a seed repeats. */
export interface Seeded {
  readonly seed: number
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number
  /** A whole number from `least` to `most`, both among them. */
  between(least: number, most: number): number
  /** True once in so many times. */
  oneIn(times: number): boolean
  pick<T>(list: readonly T[]): T
  /** So many of a list, each at most once. */
  sample<T>(list: readonly T[], count: number): T[]
}

/** The seed is that of KEYFERRY_TEST_SEED, else another at each run: whoever uses it prints it. */
export function seeded(seed = Number(process.env["KEYFERRY_TEST_SEED"] ?? randomInt(2 ** 32))): Seeded {
  const random = new Random(seed)
  const below = (limit: number): number => random.below(limit)
  return {
    seed,
    below,
    between: (least, most) => least + below(most - least + 1),
    oneIn: (times) => below(times) === 0,
    pick: (list) => random.pick(list),
    sample: (list, count) => {
      const rest = [...list]
      return Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(below(rest.length), 1)[0]!)
    },
  }
}
