import { execFileSync } from "node:child_process"
import { closeSync, cpSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import type { Stage } from "./stage.js"

/** A state directory on a small file system of its own, which can be filled and made read-only. */
export interface StateDisk extends Disposable {
  readonly state: string
  /** Fills it but for so many pages of 4096 bytes, each of which holds one small file; returns what makes room again. */
  fill(pagesLeft: number): () => void
  readOnly(): void
  writable(): void
}

const PAGE = 4096

/** Mounting is root's. */
export const CAN_MOUNT = process.getuid?.() === 0

export function stateDisk(stage: Stage): StateDisk {
  const state = stage.state()
  const verdicts = join(state, "self-test")
  const kept = `${state}.self-test`
  renameSync(verdicts, kept)
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", state])
  cpSync(kept, verdicts, { recursive: true })
  const remount = (as: string): void => {
    execFileSync("mount", ["-o", `remount,${as}`, state])
  }
  const filler = join(state, "filler")
  return {
    state,
    fill(pagesLeft) {
      const spare = join(state, "spare")
      const written = (path: string, pages: number): void => {
        const file = openSync(path, "w")
        try {
          for (let page = 0; page < pages; page += 1) writeSync(file, Buffer.alloc(PAGE))
        } finally {
          closeSync(file)
        }
      }
      written(spare, pagesLeft)
      try {
        written(filler, Infinity)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error
      }
      rmSync(spare)
      return () => rmSync(filler)
    },
    readOnly: () => remount("ro"),
    writable: () => remount("rw"),
    [Symbol.dispose]() {
      execFileSync("umount", ["--lazy", state])
    },
  }
}
