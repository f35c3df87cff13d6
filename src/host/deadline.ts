import { Worker } from "node:worker_threads"

/** What a run says where it does not come to its end in time. */
export interface LastLine {
  /** For stdout, without its line end. */
  readonly text: string
  /** Exit status. */
  readonly status: number
}

export interface RunDeadline {
  /** What is said from now on, if the time is over; what is longer than 256 KiB is not kept. */
  say(line: LastLine): void
  /** Called before the result is printed: from then on the process just ends at the deadline, with the status said last. */
  claim(): void
}

/** Numbers shared with the thread that watches: who has the line, its length in bytes, the exit status. */
const [OWNER, LENGTH, STATUS] = [0, 1, 2] as const
/** Owners of the line: nobody; who writes it down; who prints the result; the thread that ends the process. */
const OWNERS = { none: 0, writing: 1, result: 2, watcher: 3 } as const
const MOST_BYTES = 262_144

/**
 * A call that hangs, to a token or to the kernel, holds up the thread that runs JavaScript, so another one watches; and as
 * `process.exit` waits for calls in libuv's threads, the process ends by _exit(2).
 */
const WATCHER = `
const { workerData } = require("node:worker_threads")
const { buffer, bytes, milliseconds, file } = workerData
const shared = new Int32Array(buffer)
const pause = new Int32Array(new SharedArrayBuffer(4))
Atomics.wait(pause, 0, 0, milliseconds)
for (let turn = 0; turn < 200; turn += 1) {
  const owner = Atomics.compareExchange(shared, ${OWNER}, ${OWNERS.none}, ${OWNERS.watcher})
  if (owner === ${OWNERS.writing}) { Atomics.wait(pause, 0, 0, 5); continue }
  if (owner === ${OWNERS.none}) {
    const text = Buffer.from(new Uint8Array(bytes, 0, shared[${LENGTH}]))
    try { require("node:fs").writeSync(1, text) } catch {}
  }
  break
}
try {
  require("node:module").createRequire(file)("koffi").load(null).func("void _exit(int)")(shared[${STATUS}])
} catch {
  process.kill(process.pid, "SIGKILL")
}`

/** Ends this process at the deadline, whatever hangs. Costs a thread. */
export function endBy(milliseconds: number, line: LastLine): RunDeadline {
  const buffer = new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT)
  const bytes = new SharedArrayBuffer(MOST_BYTES)
  const shared = new Int32Array(buffer)
  const take = (owner: number): void => {
    // the thread that watches has begun to end the process
    while (Atomics.compareExchange(shared, OWNER, OWNERS.none, owner) === OWNERS.watcher) {
      Atomics.wait(shared, OWNER, OWNERS.watcher)
    }
  }
  const deadline: RunDeadline = {
    say({ text, status }) {
      const encoded = new TextEncoder().encode(`${text}\n`)
      if (encoded.length > MOST_BYTES) return
      take(OWNERS.writing)
      new Uint8Array(bytes).set(encoded)
      shared[LENGTH] = encoded.length
      shared[STATUS] = status
      Atomics.store(shared, OWNER, OWNERS.none)
    },
    claim() {
      take(OWNERS.result)
    },
  }
  deadline.say(line)
  new Worker(WATCHER, { eval: true, workerData: { buffer, bytes, milliseconds, file: import.meta.url } }).unref()
  return deadline
}
