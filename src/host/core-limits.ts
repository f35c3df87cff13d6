import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { promisify } from "node:util"

/**
 * Keeps memory out of core files (invariant I7): this process holds the PIN, and with a software token the keys too.
 *
 * Node has no setrlimit. The kernel's filter is set at once, so that a core holds no memory; `prlimit` (util-linux)
 * then sets RLIMIT_CORE to 0, so that there is no core at all. Every command begins with it and waits for it before a
 * secret is read. Elsewhere than on Linux neither is there, and `doctor`
 * says so.
 */
export function coreDumpsOff(): Promise<void> {
  return (switchedOff ??= switchOff())
}

let switchedOff: Promise<void> | undefined

async function switchOff(): Promise<void> {
  try {
    writeFileSync("/proc/self/coredump_filter", "0")
    await promisify(execFile)("prlimit", ["--pid", String(process.pid), "--core=0:0"])
  } catch {
    // doctor reads the limits back and reports what is not so
  }
}
