import { writeFileSync } from "node:fs"
import { noCoreFiles } from "../libc/libc.js"

/**
 * Keeps memory out of core files (invariant I7): this process holds the PIN, and with a software token the keys too.
 *
 * The kernel's filter is set at once, so that a core holds no memory, also one that is piped to a program, for which
 * the kernel asks no limit; then RLIMIT_CORE is 0, so that there is no core file at all, of children neither. Every
 * command begins with it and waits for it before a secret is read. What could not be done is said by `doctor`.
 */
export function coreDumpsOff(): Promise<void> {
  return (switchedOff ??= switchOff())
}

let switchedOff: Promise<void> | undefined

async function switchOff(): Promise<void> {
  try {
    writeFileSync("/proc/self/coredump_filter", "0")
  } catch {
    // elsewhere than on Linux there is none
  }
  try {
    await noCoreFiles()
  } catch {
    // doctor reads the limits back and reports what is not so
  }
}
