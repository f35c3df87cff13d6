import { Worker } from "node:worker_threads"
import pkcs11js, { type PKCS11 } from "pkcs11js"
import { KeyferryError } from "../../core/base/error.js"
import { durationText } from "../../core/base/expiry.js"

/** How long a call to a module may take, and how the run ends where one takes longer. */
export interface CallDeadline {
  readonly seconds: number
  /** Renders the failure as the run would, for stderr, with the run's exit status. */
  readonly lastWords: (error: KeyferryError) => { readonly text: string; readonly status: number }
}

/** Calls that may run at one time; what is beyond is not watched. */
const SLOTS = 512

/** Stands for the call's name until it is known. */
const ANY_CALL = "C_Any"

/**
 * What watches, in a thread of its own, as a call that hangs holds up the one that runs JavaScript. A slot's number is odd
 * while a call runs in it: one that stays odd and the same for the whole time is overdue. `process.exit` would wait for the
 * call, so the process ends by _exit(2), which gives its locks back.
 */
const WATCHER = `
const { workerData } = require("node:worker_threads")
const { buffer, names, milliseconds, text, status, file } = workerData
const slots = new Int32Array(buffer)
const seen = new Map()
for (;;) {
  Atomics.wait(slots, 0, 0, Math.min(250, milliseconds / 4))
  const now = performance.now()
  for (let at = 2; at < slots.length; at += 2) {
    const turn = Atomics.load(slots, at)
    if (turn % 2 === 0) seen.delete(at)
    else if (seen.get(at)?.turn !== turn) seen.set(at, { turn, since: now })
    else if (now - seen.get(at).since > milliseconds) {
      require("node:fs").writeSync(2, text.replaceAll("${ANY_CALL}", names[Atomics.load(slots, at + 1)]) + "\\n")
      try {
        require("node:module").createRequire(file)("koffi").load(null).func("void _exit(int)")(status)
      } catch {
        process.kill(process.pid, "SIGKILL")
      }
    }
  }
}`

/**
 * Has every call through this instance of pkcs11js end the process where it takes longer than the deadline. Costs a thread,
 * and two stores in memory a call.
 */
export function watchCalls({ seconds, lastWords }: CallDeadline): CallWatch {
  const methods = methodNames()
  const names = ["C_GetFunctionList", ...new Set(methods.map(callOf))]
  const buffer = new SharedArrayBuffer((SLOTS + 1) * 2 * Int32Array.BYTES_PER_ELEMENT)
  const { text, status } = lastWords(overdue(seconds))
  const workerData = { buffer, names, milliseconds: seconds * 1000, text, status, file: import.meta.url }
  new Worker(WATCHER, { eval: true, workerData }).unref()
  const slots = new Int32Array(buffer)
  const free = Array.from({ length: SLOTS }, (_, index) => 2 + 2 * index).reverse()
  const begin = (call: string): (() => void) => {
    const slot = free.pop()
    if (slot === undefined) return () => undefined
    Atomics.store(slots, slot + 1, names.indexOf(call))
    Atomics.add(slots, slot, 1)
    return () => {
      Atomics.add(slots, slot, 1)
      free.push(slot)
    }
  }
  return {
    during(call, run) {
      const end = begin(call)
      try {
        return run()
      } finally {
        end()
      }
    },
    watch(lib) {
      for (const name of methods) {
        const method = (lib[name as keyof PKCS11] as (...args: unknown[]) => unknown).bind(lib)
        const call = callOf(name)
        const watched = (...args: unknown[]): unknown => {
          const end = begin(call)
          let answer: unknown
          try {
            answer = method(...args)
          } catch (error) {
            end()
            throw error
          }
          if (answer instanceof Promise) return answer.finally(end)
          end()
          return answer
        }
        Object.defineProperty(lib, name, { value: watched, configurable: true, writable: true })
      }
    },
  }
}

export interface CallWatch {
  /** Runs what calls the module otherwise, under the name of the call. */
  during<T>(call: string, run: () => T): T
  /** Puts the calls of this instance under watch. */
  watch(lib: PKCS11): void
}

/** Those of pkcs11js that are a PKCS #11 call, of its class or, as the asynchronous ones, of each instance; a callback's is begun and ended by the asynchronous form. */
function methodNames(): readonly string[] {
  const names = new Set<string>()
  for (let object: unknown = new pkcs11js.PKCS11(); object instanceof Object; object = Object.getPrototypeOf(object)) {
    for (const name of Object.getOwnPropertyNames(object)) if (name.startsWith("C_")) names.add(name)
  }
  return [...names].filter((name) => !name.endsWith("Callback"))
}

const callOf = (method: string): string => method.replace(/Async$/, "")

function overdue(seconds: number): KeyferryError {
  const time = durationText(seconds)
  return new KeyferryError("ERR_TOKEN_HANGS", `the token did not answer ${ANY_CALL} within ${time}: the run ends`, {
    causes: [{ code: "callTimeout", message: `${ANY_CALL} took longer than ${time}` }],
  })
}
