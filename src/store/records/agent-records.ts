import type { Backoff } from "../../core/records/backoff.js"
import { type Incidents, NO_INCIDENTS } from "../../core/records/incident.js"
import type { AgentRecords, Pause } from "../../core/ports/agent-records.js"
import { type TextFormat, jsonFolder } from "./json-folder.js"
import { digestedJson } from "./json-format.js"
import type { Texts } from "./texts.js"

const BACKOFFS = digestedJson<{ readonly keys: readonly Backoff[] }>(async (value) =>
  (await import("./agent-schema.js")).parseBackoffs(value),
)
const INCIDENTS = digestedJson<Incidents>(async (value) => (await import("./agent-schema.js")).parseIncidents(value))
const PAUSE = digestedJson<Pause>(async (value) => (await import("./agent-schema.js")).parsePause(value))

/**
 * What the agent remembers, as texts in `agent/`. Nothing that must not be lost is among it: a
 * file that cannot be read is told once and counts as none.
 */
export function storedAgentRecords(texts: Texts, warn: (text: string) => void): AgentRecords {
  const warnedFiles = new Set<string>()
  const file = <T>(name: string, format: TextFormat<T>) => {
    const folder = jsonFolder(texts, ["agent"], format)
    return {
      async get(): Promise<T | undefined> {
        const parsed = await folder.read(name)
        if (parsed === undefined || "content" in parsed) return parsed?.content
        if (!warnedFiles.has(name)) warn(`${folder.placeOf(name)}: ${parsed.fault}: it counts as not there`)
        warnedFiles.add(name)
        return undefined
      },
      put: (content: T) => folder.put(name, content),
      remove: () => folder.remove(name),
    }
  }
  const backoffs = file("backoff.json", BACKOFFS)
  const pause = file("pause.json", PAUSE)
  const incidents = file("incidents.json", INCIDENTS)
  return {
    backoffs: async () => (await backoffs.get())?.keys ?? [],
    putBackoffs: (keys) => backoffs.put({ keys }),
    pause: async () => (await pause.get()) ?? null,
    incidents: async () => (await incidents.get()) ?? NO_INCIDENTS,
    putIncidents: (current) => incidents.put(current),
    putPause: (nextPause) => (nextPause === null ? pause.remove() : pause.put(nextPause)),
  }
}
