import { createHash } from "node:crypto"
import type { ChainEnd } from "../../core/records/custody-chain.js"
import { STATE_VERSION } from "../records/state-version.js"
import {
  ARCHIVE_VERSION,
  type ArchiveContents,
  type ArchiveCounts,
  type ArchiveHead,
  type ArchivePiece,
  NOTHING,
} from "./format.js"
import { partOf, type StatePart } from "./parts.js"

/** A state as it was at one moment, wherever it is kept. */
export interface ArchiveSource {
  readonly head: ArchiveHead
  /** Texts first, then whole lines of the custody log, one part after the other; taken once. @throws ERR_STATE_* */
  readonly pieces: () => Iterable<ArchivePiece> | AsyncIterable<ArchivePiece>
  /** Paths that are not keyferry's, which are in no archive; whole once the pieces were taken. */
  readonly left: readonly string[]
}

/** @param log where the custody log ends */
export function headOf(exportedAt: Date, log: ChainEnd): ArchiveHead {
  return {
    format: "keyferry-state",
    version: ARCHIVE_VERSION,
    stateVersion: STATE_VERSION,
    exportedAt: exportedAt.toISOString(),
    log: { seq: log.seq, hash: log.hash },
  }
}

/** A whole text as a piece. One that is damaged is kept as it is, and said: another may be mended from it. */
export async function pieceOf(part: StatePart, path: string, content: string): Promise<ArchivePiece> {
  return { path, content, damage: await part.fault(content, path) }
}

/** The archive's lines, with their line ends; what they hold is known once all were taken. */
export function archiveOf(source: ArchiveSource): {
  readonly lines: AsyncIterable<string>
  readonly contents: () => ArchiveContents
} {
  const hash = createHash("sha256")
  const counts: Record<keyof ArchiveCounts, number> = { ...NOTHING }
  const damaged: { path: string; reason: string }[] = []
  let digest = ""
  let pieces = 0
  const text = (line: object): string => {
    const json = `${JSON.stringify(line)}\n`
    hash.update(json)
    return json
  }
  async function* lines(): AsyncGenerator<string, void> {
    yield text(source.head)
    for await (const { path, content, damage } of source.pieces()) {
      const part = partOf(path)
      if (part !== undefined) counts[part.kind] += 1
      else counts.custodyLogLines += content.split("\n").length - 1
      if (damage !== null) damaged.push({ path, reason: damage })
      pieces += 1
      yield text({ path, content, damage })
    }
    digest = `sha256:${hash.copy().digest("hex")}`
    yield text({ pieces, digest })
  }
  return {
    lines: lines(),
    contents: () => ({ exportedAt: source.head.exportedAt, digest, counts, damaged }),
  }
}
