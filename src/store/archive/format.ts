import * as z from "zod"

/**
 * The archive of a state: a text file of JSON lines. The first says what it is, each other holds a file or a
 * piece of one, whole lines of it, and the last has the digest of all bytes before it.
 */

export const ARCHIVE_VERSION = 1

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "is not sha256: and 64 hex digits")

export const headSchema = z.strictObject({
  format: z.literal("keyferry-state"),
  version: z.literal(ARCHIVE_VERSION),
  stateVersion: z.int().positive(),
  exportedAt: z.iso.datetime(),
  /** Where the custody log ended. */
  log: z.strictObject({ seq: z.int().nonnegative(), hash: digest }),
})

export const pieceSchema = z.strictObject({
  path: z.string().max(400),
  content: z.string(),
  /** Why the file could not be read as what it should be; it is kept as it was. */
  damage: z.string().nullable(),
})

export const endSchema = z.strictObject({ pieces: z.int().nonnegative(), digest })

export type ArchiveHead = z.infer<typeof headSchema>
export type ArchivePiece = z.infer<typeof pieceSchema>

/** How many files of each kind, and lines of the custody log. */
export interface ArchiveCounts {
  readonly inventory: number
  readonly vault: number
  readonly custodyKeys: number
  readonly toBeLocked: number
  readonly pinMarkers: number
  readonly operations: number
  /** Custody logs of copies that were joined into the state. */
  readonly mergedLogs: number
  readonly custodyLogLines: number
}

export const NOTHING: ArchiveCounts = {
  inventory: 0,
  vault: 0,
  custodyKeys: 0,
  toBeLocked: 0,
  pinMarkers: 0,
  operations: 0,
  mergedLogs: 0,
  custodyLogLines: 0,
}

/** What an archive holds. */
export interface ArchiveContents {
  readonly exportedAt: string
  /** Of the whole archive. */
  readonly digest: string
  readonly counts: ArchiveCounts
  /** Files that were damaged when they were exported. */
  readonly damaged: readonly { readonly path: string; readonly reason: string }[]
}
