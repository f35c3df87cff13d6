import { type InventoryEntry, keyArnIn } from "../../core/records/inventory.js"
import type { Drift } from "../../core/plan/snapshot.js"
import type { Kms } from "../../core/ports/kms.js"
import { pointAlias } from "./alias.js"
import type { Deps } from "../deps.js"
import { record } from "../record.js"

interface Correction {
  readonly deps: Deps
  readonly kms: Kms
  readonly keyArn: string
  readonly entry: InventoryEntry
  readonly drift: Drift
}

/** How each kind of drift is set right; what an import corrects is not here. */
const CORRECTIONS: Readonly<Record<Drift["field"], ((correction: Correction) => Promise<InventoryEntry>) | null>> = {
  tags: async ({ kms, keyArn, entry, drift }) => {
    const equals = drift.wanted.indexOf("=")
    await kms.tagResource(keyArn, { [drift.wanted.slice(0, equals)]: drift.wanted.slice(equals + 1) })
    return entry
  },
  description: async ({ kms, keyArn, entry, drift }) => {
    await kms.updateKeyDescription(keyArn, drift.wanted)
    return entry
  },
  policy: async ({ kms, keyArn, entry, drift }) => {
    await kms.putKeyPolicy(keyArn, drift.wanted)
    return entry
  },
  alias: async ({ deps, kms, keyArn, entry, drift }) => {
    if (drift.found === "none") await pointAlias(kms, { ...entry, alias: drift.wanted }, keyArn)
    else await kms.updateAlias(drift.wanted, keyArn)
    await record(deps, "alias.moved", { key: entry, facts: { alias: drift.wanted } })
    return { ...entry, alias: drift.wanted, aliasGiven: true }
  },
  expiry: null,
}

/** Brings tags, description, policy and alias of a KMS key back to what its binding wants; each is said in the log. */
export async function correctKey(deps: Deps, entry: InventoryEntry, drifts: readonly Drift[]): Promise<InventoryEntry> {
  let corrected = entry
  const fields = new Set<string>()
  for (const drift of drifts) {
    const correct = CORRECTIONS[drift.field]
    const keyArn = keyArnIn(entry, drift.region)
    if (correct === null || keyArn === undefined || !drift.correctable) continue
    const kms = drift.region === deps.kms.region ? deps.kms : await deps.kmsIn(drift.region)
    corrected = await correct({ deps, kms, keyArn, entry: corrected, drift })
    if (drift.field !== "alias") fields.add(drift.field)
  }
  if (fields.size > 0) {
    await record(deps, "kms-key.corrected", { key: entry, facts: { fields: [...fields] } })
  }
  // tags that are wanted now may not have been when the entry was written
  if (corrected !== entry || fields.has("tags")) await deps.inventory.put(corrected)
  return corrected
}
