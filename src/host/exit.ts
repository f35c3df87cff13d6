import { exitAtOnce } from "../libc/libc.js"

/** Ends the process with this status, whatever calls of other threads still run. */
export async function endProcess(status: number): Promise<void> {
  try {
    await exitAtOnce(status)
  } catch {
    // without koffi no lock was taken by it either
  }
  process.exit(status)
}
