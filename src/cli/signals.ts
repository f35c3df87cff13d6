import { endProcess } from "../host/exit.js"

/** What a shell expects of a process that a signal ended: 128 and the signal's number. */
const EXITS = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * Lets signals end the process. A command that ends by itself is asked once, by the promise that this gives; a second
 * signal, or a first to any other command, ends at once: every step is written so that the next run takes it up.
 */
export function endOnSignals({ graceful }: { graceful: boolean }): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false
    for (const [signal, status] of Object.entries(EXITS)) {
      process.on(signal, () => {
        if (graceful && !isStopping) {
          isStopping = true
          resolve()
          return
        }
        if (!graceful) process.stderr.write("keyferry: stopped; the same command takes it up again\n")
        void endProcess(status)
      })
    }
  })
}
