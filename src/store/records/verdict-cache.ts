import { KeyferryError } from "../../core/base/error.js"
import type { VerdictCache } from "../../core/ports/verdict-cache.js"
import { jsonFolder } from "./json-folder.js"
import { plainJson } from "./json-format.js"
import type { Texts } from "./texts.js"

interface StoredVerdicts {
  readonly version: 1
  readonly verdicts: unknown
}

const FORMAT = plainJson<StoredVerdicts>((value) => {
  const isStored = typeof value === "object" && value !== null && "verdicts" in value
  return Promise.resolve(isStored ? { content: value as StoredVerdicts } : { fault: "it holds no verdicts" })
})

/**
 * Self-test verdicts as texts `self-test/<digest>.json`. A cache never stops the work: what
 * cannot be read counts as absent, what cannot be written is told to `warn`.
 */
export function storedVerdicts(texts: Texts, warn: (text: string) => void): VerdictCache {
  const folder = jsonFolder(texts, ["self-test"], FORMAT)
  return {
    async get(key) {
      try {
        return (await folder.get(fileOf(key)))?.verdicts
      } catch {
        return undefined
      }
    },

    async put(key, verdicts) {
      try {
        await folder.put(fileOf(key), { version: 1, verdicts })
      } catch (error) {
        if (!(error instanceof KeyferryError)) throw error
        warn(`the self-test's verdicts are not kept, so the next run tests again: ${error.message}`)
      }
    },
  }
}

const fileOf = (key: string): string => `${key.replace(/[^A-Za-z0-9-]/g, "-")}.json`
