/** A cache of self-test verdicts. A key is a digest of what the verdicts depend on; values are plain JSON. */
export interface VerdictCache {
  get(key: string): Promise<unknown>
  put(key: string, value: unknown): Promise<void>
}
