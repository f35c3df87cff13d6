import { readdirSync, readlinkSync } from "node:fs"

/** Paths below a folder that this process has open, removed files included. */
export function openFiles(folder: string): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((number) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${number}`)
      return path.startsWith(folder) ? [path] : []
    } catch {
      // closed meanwhile: the one that lists them is among them
      return []
    }
  })
}
