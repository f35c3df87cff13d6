import type { CustodyEvent } from "../../core/records/custody-event.js"
import { KeyferryError } from "../../core/base/error.js"
import { generationsOf, type ImportRecord, type InventoryEntry, keyArnIn } from "../../core/records/inventory.js"
import type { ImportTerms } from "../../core/ports/kms.js"
import type { Deps } from "../deps.js"

/** What the custody log says of one import, besides which event it is. */
type About = Omit<CustodyEvent, "event" | "facts">

/** Whose key it is, with the newest source key. */
export function entryEvent({ owner, name, target, source, keyArn }: InventoryEntry): About {
  const { generation, id, label } = source
  return { owner, name, target, source: { generation, id, label }, ...(keyArn === null ? {} : { keyArn }) }
}

/** Which key, into which KMS key. */
export function importEvent(
  entry: InventoryEntry,
  { region, generation }: Pick<ImportRecord, "region" | "generation">,
): About {
  const { owner, name, target, token } = entry
  const { id, label } = generationsOf(entry).find((one) => one.generation === generation) ?? entry.source
  const keyArn = keyArnIn(entry, region)
  return {
    ...{ owner, name, target, source: { generation, id, label } },
    ...(keyArn === undefined ? {} : { keyArn }),
    ...(token === null ? {} : { token }),
  }
}

/** How it was wrapped, and on which terms it is sent. */
export function importFacts(
  importing: NonNullable<InventoryEntry["importing"]>,
  { importType, keyMaterialId }: Pick<ImportTerms, "importType" | "keyMaterialId">,
): NonNullable<CustodyEvent["facts"]> {
  const { region, wrappingAlgorithm, wrappingKeySpec, wrappingKeyFingerprint, validTo } = importing
  return {
    ...{ region, wrappingAlgorithm, wrappingKeySpec, wrappingKeyFingerprint, validTo },
    digest: importing.encryptedKeyMaterialDigest,
    ...(importType === undefined ? {} : { importType }),
    ...(keyMaterialId === undefined ? {} : { pinnedTo: keyMaterialId }),
  }
}

/** Runs what changes something outside; its failure is written to the custody log, and thrown all the same. */
export async function failuresLogged<T>(
  deps: Pick<Deps, "custodyLog">,
  event: CustodyEvent,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    const code = error instanceof KeyferryError ? error.code : "ERR_BUG"
    try {
      await deps.custodyLog.append({ ...event, facts: { ...event.facts, code } })
    } catch {
      // what went wrong first is what is told
    }
    throw error
  }
}
