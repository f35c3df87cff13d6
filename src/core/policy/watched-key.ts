import { parseDuration } from "../base/expiry.js"
import { parseKeyArn } from "../key/key-arn.js"
import type { Binding } from "../manifest/binding.js"
import { type InventoryEntry, keysOf } from "../records/inventory.js"

/** One KMS key of the manifest, in one Region, that something of AWS is to watch. */
export interface WatchedKey {
  readonly name: string
  readonly target: string
  readonly keyArn: string
  readonly keyId: string
  readonly region: string
  /** Seconds before its expiry at which it should long have been imported again; null where it does not expire. */
  readonly alarmBefore: number | null
}

/** The KMS keys of bindings, as the inventory has them, or the manifest where they are named there. */
export function watchedKeys(
  bindings: readonly Binding[],
  entryOf: (binding: Binding) => InventoryEntry | undefined,
): readonly WatchedKey[] {
  return bindings.flatMap((binding) => {
    const { name, target } = binding
    const entry = entryOf(binding)
    const arns = entry === undefined ? [binding.keyArn] : keysOf(entry).map(({ keyArn }) => keyArn)
    return arns.flatMap((keyArn) => {
      const parsed = parseKeyArn(keyArn ?? "")
      if (keyArn === null || parsed === undefined) return []
      return [{ name, target, keyArn, keyId: parsed.keyId, region: parsed.region, alarmBefore: alarmBefore(binding) }]
    })
  })
}

/** Half of `renewBefore`: by then a run should have renewed it, and there is time left to see why none did. */
function alarmBefore({ expiresIn, renewBefore }: Binding): number | null {
  const life = parseDuration(expiresIn)
  if (expiresIn === "never" || life === undefined) return null
  const seconds = renewBefore.kind === "duration" ? renewBefore.seconds : (life * renewBefore.percent) / 100
  return Math.floor(Math.min(seconds, life) / 2)
}
