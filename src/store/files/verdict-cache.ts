import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { VerdictCache } from "../../core/ports/verdict-cache.js"
import { replaceFile } from "./atomic-file.js"
import { jsonText } from "./json-file.js"
import { makeFolder } from "./state-dir.js"

/**
 * Self-test verdicts as files `self-test/<digest>.json` of the state directory. A cache never stops the work: what
 * cannot be read counts as absent, what cannot be written is told to `warn`.
 */
export function verdictCache(stateDir: string, warn: (text: string) => void): VerdictCache {
  const folder = join(stateDir, "self-test")
  const fileOf = (key: string): string => join(folder, `${key.replace(/[^A-Za-z0-9-]/g, "-")}.json`)
  return {
    async get(key) {
      try {
        const stored: unknown = JSON.parse(await readFile(fileOf(key), "utf8"))
        return typeof stored === "object" && stored !== null && "verdicts" in stored ? stored.verdicts : undefined
      } catch {
        return undefined
      }
    },

    async put(key, value) {
      try {
        await makeFolder(folder)
        await replaceFile(fileOf(key), jsonText({ version: 1, verdicts: value }))
      } catch (error) {
        if (!(error instanceof KeyferryError)) throw error
        warn(`the self-test's verdicts are not kept, so the next run tests again: ${error.message}`)
      }
    },
  }
}
