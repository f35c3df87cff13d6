import type { Archived } from "../../host/state-archive.js"

/** What an archive of the state holds, for people. */
export function archiveText({ counts, damaged, digest, exportedAt }: Archived): string {
  const kinds: [count: number, singular: string, plural: string][] = [
    [counts.inventory, "inventory file", "inventory files"],
    [counts.vault, "vault file (ciphertext)", "vault files (ciphertext)"],
    [counts.custodyKeys, "record of a custody key", "records of custody keys"],
    [counts.operations, "unfinished operation", "unfinished operations"],
    [counts.toBeLocked, "key to be locked", "keys to be locked"],
    [counts.pinMarkers, "marker of a refused PIN", "markers of refused PINs"],
    [counts.mergedLogs, "custody log of a copy", "custody logs of copies"],
    [counts.custodyLogLines, "line of the custody log", "lines of the custody log"],
  ]
  const parts = kinds.flatMap(([count, singular, plural]) =>
    count === 0 ? [] : [`${count} ${count === 1 ? singular : plural}`],
  )
  return [
    `the state of ${exportedAt}: ${parts.length === 0 ? "nothing" : parts.join(", ")}`,
    `digest ${digest}`,
    ...damaged.map(({ path, reason }) => `damaged, and kept as it was: ${path}: ${reason}`),
  ].join("\n")
}
