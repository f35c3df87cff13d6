import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const SHARED_MEMORY = "/dev/shm"

const FAKED = {
  // the dynamic linker knows the machine's folder
  LD_PRELOAD: "/usr/$LIB/faketime/libfaketime.so.1",
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
} as const

/**
 * Environment of a command whose host's clock is so many seconds ahead, or behind where they are negative: Debian's
 * libfaketime. The program faketime(1) is not used: it stands between a command and the signal that ends it.
 */
export function hostClock(aheadS: number): Readonly<Record<string, string>> {
  forgetTheDead()
  return { ...FAKED, FAKETIME: offsetText(aheadS) }
}

/** The same of a clock that somebody sets while commands run. */
export interface SettableClock {
  /** Of each command, asked for anew. */
  readonly env: () => Readonly<Record<string, string>>
  /** Seconds by which it is ahead from now on. */
  set(aheadS: number): void
}

/** @param file that keeps the offset */
export function settableClock(file: string): SettableClock {
  const set = (aheadS: number): void => {
    writeFileSync(`${file}.new`, `${offsetText(aheadS)}\n`)
    renameSync(`${file}.new`, file)
  }
  set(0)
  return {
    set,
    env() {
      forgetTheDead()
      return { ...FAKED, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: "1" }
    },
  }
}

const offsetText = (aheadS: number): string => (aheadS < 0 ? String(aheadS) : `+${aheadS}`)

/** A process that was killed leaves its semaphore; one that later gets its number would not start. */
function forgetTheDead(): void {
  for (const name of readdirSync(SHARED_MEMORY)) {
    const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(SHARED_MEMORY, name), { force: true })
  }
}
