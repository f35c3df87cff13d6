import { spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { KeyferryError } from "#src/core/base/error.js"
import { replaceFile, writeTemporary } from "#src/store/files/atomic-file.js"
import { lockState } from "#src/store/files/lock.js"
import { writeOutput } from "#src/store/files/output-file.js"

/** Asks once and does not wait. */
const REQUEST = { command: "provision", scheduled: false, timeout: 0 }

/** What a second process does to a state directory: `node state-process.js ACTION PATH`. */
const ACTIONS: Readonly<Record<string, (path: string) => Promise<void>>> = {
  /** Dies by SIGKILL with the new content written and not yet in place. */
  async "die-before-rename"(path) {
    await writeTemporary(path, "new")
    process.kill(process.pid, "SIGKILL")
  },

  /** Writes a temporary file, and has it until standard input ends. */
  async "hold-temporary"(path) {
    using temporary = await writeTemporary(path, "new")
    process.stdout.write(`${temporary.path}\n`)
    await inputEnded()
  },

  /** Writes an output file, and says `written` or the code of the refusal. */
  async "write-output"(path) {
    try {
      await writeOutput(path, "whole")
      process.stdout.write("written\n")
    } catch (error) {
      process.stdout.write(`${error instanceof KeyferryError ? error.code : String(error)}\n`)
    }
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
    await lockState(path, REQUEST)
    process.kill(process.pid, "SIGKILL")
  },

  /** Dies by SIGKILL holding the lock, and leaves a child that runs until it is killed; says its process ID first. */
  async "die-leaving-child"(path) {
    await lockState(path, REQUEST)
    const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" })
    process.stdout.write(`${child.pid ?? 0}\n`, () => process.kill(process.pid, "SIGKILL"))
  },

  /** Tries once and holds until standard input ends. */
  hold: (path) => hold(path, REQUEST),

  /** The same, as a run that nobody looks at. */
  "hold-scheduled": (path) => hold(path, { ...REQUEST, scheduled: true }),

  /** Adds to a number in a file, 25 times, in a way that loses counts unless the lock keeps others out. */
  async count(path) {
    const file = join(path, "count")
    for (let left = 25; left > 0;) {
      try {
        const lock = await lockState(path, REQUEST)
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

async function hold(path: string, request: typeof REQUEST): Promise<void> {
  try {
    const lock = await lockState(path, request)
    process.stdout.write("held\n")
    await inputEnded()
    await lock[Symbol.asyncDispose]()
  } catch (error) {
    process.stdout.write(`${error instanceof KeyferryError ? error.code : String(error)}\n`)
  }
}

async function inputEnded(): Promise<void> {
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once("end", resolve))
}

const [, , action = "", path = ""] = process.argv
await ACTIONS[action]?.(path)
