import { KeyferryError } from "../../core/base/error.js"
import type { ChainEnd } from "../../core/records/custody-chain.js"
import type { StateBackup } from "../../core/records/state-backup.js"
import { jsonText } from "../records/json-format.js"
import type { Texts } from "../records/texts.js"

/** Where the note is kept. */
export const LAST_EXPORT = "last-export.json"

/** The newest archive that was made of a state, or that it was made from. */
export interface LastExport {
  /** RFC 3339 UTC. */
  readonly exportedAt: string
  /** `sha256:…`, as the archive's last line has it. */
  readonly digest: string
  /** Where the custody log ended. */
  readonly log: ChainEnd
}

/** What is kept under {@link LAST_EXPORT}. */
export function exportNote({ exportedAt, digest, log }: LastExport): string {
  return jsonText({ exportedAt, digest, log: { seq: log.seq, hash: log.hash } })
}

/** @throws ERR_STATE_WRITE */
export async function noteExport(texts: Texts, note: LastExport): Promise<void> {
  await texts.put([LAST_EXPORT], exportNote(note))
}

/**
 * What the note says, and how many lines the custody log has since. A note that cannot be read is none: then there may be
 * no archive.
 *
 * @param end where the custody log ends; null where that cannot be told
 */
export async function backupSince(texts: Texts, end: ChainEnd | null): Promise<StateBackup> {
  const note = await noteIn(texts)
  if (note === null) return { exportedAt: null, linesSince: end?.seq ?? null }
  return { exportedAt: note.exportedAt, linesSince: end === null ? null : end.seq - note.log.seq }
}

async function noteIn(texts: Texts): Promise<LastExport | null> {
  try {
    const note = JSON.parse((await texts.read([LAST_EXPORT])) ?? "null") as LastExport
    return Number.isNaN(Date.parse(note.exportedAt)) || !Number.isSafeInteger(note.log.seq) ? null : note
  } catch (error) {
    // a database that does not answer is no damaged note
    if (error instanceof KeyferryError && error.code.startsWith("ERR_DATABASE_")) throw error
    return null
  }
}
