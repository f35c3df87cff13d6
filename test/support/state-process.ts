import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { KeyferryError } from "#src/core/base/error.js"
import { replaceFile, writeTemporary } from "#src/store/files/atomic-file.js"
import { lockState } from "#src/store/files/lock.js"

/** What a second process does to a state directory: `node state-process.js ACTION PATH`. */
const ACTIONS: Readonly<Record<string, (path: string) => Promise<void>>> = {
  /** Dies by SIGKILL with the new content written and not yet in place. */
  async "die-before-rename"(path) {
    await writeTemporary(path, "new")
    process.kill(process.pid, "SIGKILL")
  },

  /** Replaces the file over and over until it is killed. */
  async "replace-forever"(path) {
    for (let round = 0; ; round += 1) {
      await replaceFile(path, `${String(round).repeat(50_000)}end`)
      if (round === 0) process.stdout.write("ready\n")
    }
  },

  /** Dies by SIGKILL holding the lock. */
  async "die-holding"(path) {
    await lockState(path, "provision")
    process.kill(process.pid, "SIGKILL")
  },

  /** Tries once and holds until standard input ends. */
  async hold(path) {
    try {
      const lock = await lockState(path, "provision")
      process.stdout.write("held\n")
      process.stdin.resume()
      await new Promise((resolve) => process.stdin.once("end", resolve))
      await lock[Symbol.asyncDispose]()
    } catch (error) {
      process.stdout.write(`${error instanceof KeyferryError ? error.code : String(error)}\n`)
    }
  },

  /** Adds to a number in a file, 25 times, in a way that loses counts unless the lock keeps others out. */
  async count(path) {
    const file = join(path, "count")
    for (let left = 25; left > 0;) {
      try {
        const lock = await lockState(path, "provision")
        const number = Number(readFileSync(file, "utf8"))
        await new Promise((resolve) => setTimeout(resolve, 1))
        writeFileSync(file, String(number + 1))
        left -= 1
        await lock[Symbol.asyncDispose]()
      } catch (error) {
        if (!(error instanceof KeyferryError && error.code === "ERR_STATE_LOCKED")) throw error
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
  },
}

const [, , action = "", path = ""] = process.argv
await ACTIONS[action]?.(path)
