import type { SourceKey } from "../../core/key/source-key.js"
import { facts } from "./facts.js"
import type { Layout } from "./layout.js"
import { custodyText } from "./key-text.js"

/** One source key for people. */
export function sourceKeyText(key: SourceKey, layout: Layout): string {
  const rows: readonly (readonly [string, string | number | null])[] = [
    ["label", key.label],
    ["ID", key.id],
    ["key spec", key.keySpec],
    ["custody", custodyText(key.custody, key.unenforced ?? null)],
    ["check value", key.kcv],
    ["public key", key.publicKeyFingerprint],
    ...Object.entries(key.attributes).map(
      ([name, value]) => [name, value === null ? "not told by the token" : String(value)] as const,
    ),
  ]
  return facts(rows, layout)
}
