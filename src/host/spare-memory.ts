import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { trimMemory } from "../libc/libc.js"

type Collect = (options: { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" }) => void

let collect: Collect | undefined

/**
 * Gives back what work needed and a wait of hours does not: V8 would keep its heap as large as it was, and the C library what
 * was freed.
 */
export async function spareMemory(): Promise<void> {
  if (collect === undefined) {
    // the collector as `node --expose-gc` has it, for this function alone
    setFlagsFromString("--expose-gc")
    collect = runInNewContext("gc") as Collect
    setFlagsFromString("--no-expose-gc")
  }
  collect({ type: "major", execution: "sync", flavor: "last-resort" })
  try {
    await trimMemory()
  } catch {
    // without koffi it stays
  }
}
