import type { SpiedToken } from "#test/support/tokens.js"

/**
 * The calls of the last key in a recording of pkcs11-spy, each with the attributes that it names: from the first search
 * after the key before was destroyed. Handles, addresses and times are left out.
 */
export function callsOfLastKey(recording: string): readonly string[] {
  const calls = recording
    .split(/^\d+: /m)
    .slice(1)
    .map(callText)
  const destroyed = calls.lastIndexOf("C_DestroyObject")
  const wrapped = calls.findLastIndex((call) => call.startsWith("C_WrapKey"))
  const before = calls.slice(0, Math.max(wrapped, 0)).lastIndexOf("C_DestroyObject")
  return calls.slice(before + 1, destroyed + 1)
}

/** The name of a call, then the attributes of its template or what it asks of a mechanism. */
function callText(record: string): string {
  const [name = "", ...lines] = record.split("\n")
  const asked = lines.join("\n").split("\n[out]")[0] ?? ""
  const facts = asked
    .split("\n")
    .flatMap((line) => /^ {4}(CKA_\w+)|(CK[MG]_\w+)|ulMaxObjectCount = (\w+)/.exec(line)?.slice(1) ?? [])
  return [name.trim(), ...facts.filter(Boolean)].join(" ")
}

/** Fails unless both made the same calls, so that the comparison of their paces means something. */
export function assertSameCalls(ours: SpiedToken, theirs: SpiedToken): readonly string[] {
  const [a, b] = [callsOfLastKey(ours.recording()), callsOfLastKey(theirs.recording())]
  const differing = a.findIndex((call, index) => call !== b[index])
  if (a.length > 0 && a.length === b.length && differing < 0) return a
  const at = differing < 0 ? Math.min(a.length, b.length) : differing
  throw new Error(
    `wrap-loop.c no longer makes keyferry's calls: call ${at + 1} of ${a.length} is "${a[at] ?? "none"}" in keyferry ` +
      `and "${b[at] ?? "none"}" in C (of ${b.length})`,
  )
}
