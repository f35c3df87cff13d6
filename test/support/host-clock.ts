import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"

const SHARED_MEMORY = "/dev/shm"

/**
 * Environment of a command whose host's clock is so many seconds ahead, or behind where they are negative: Debian's
 * libfaketime. The program faketime(1) is not used: it stands between a command and the signal that ends it.
 */
export function hostClock(aheadS: number): Readonly<Record<string, string>> {
  forgetTheDead()
  return {
    // the dynamic linker knows the machine's folder
    LD_PRELOAD: "/usr/$LIB/faketime/libfaketime.so.1",
    FAKETIME: aheadS < 0 ? String(aheadS) : `+${aheadS}`,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  }
}

/** A process that was killed leaves its semaphore; one that later gets its number would not start. */
function forgetTheDead(): void {
  for (const name of readdirSync(SHARED_MEMORY)) {
    const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(SHARED_MEMORY, name), { force: true })
  }
}
