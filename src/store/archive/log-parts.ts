/** Names of the custody log's parts: files of the state directory, and what rows of a database were in. */

/** The lines that were not closed yet. */
export const CUSTODY_LOG = "custody.log.jsonl"

/** A part that was closed: of one year or of several, with a number where there is such a one already. */
export const CLOSED_LOG = /^custody\.log\.\d{4}(-\d{4})?(\.\d+)?\.jsonl$/

/** Whether it is the custody log, or a closed part of it. */
export function isCustodyLog(path: string): boolean {
  return path === CUSTODY_LOG || CLOSED_LOG.test(path)
}
