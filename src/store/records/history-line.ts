/** One line of the custody log that is about a key, as an object; see docs/operations.md. */
export type KeyHistoryLine = Readonly<Record<string, unknown>> & { readonly time: string; readonly event: string }

/** The line that a text of the custody log holds; null where it holds none. */
export function historyLine(text: string): KeyHistoryLine | null {
  try {
    const line = JSON.parse(text) as KeyHistoryLine | null
    return typeof line?.time === "string" && typeof line.event === "string" ? line : null
  } catch {
    return null
  }
}
