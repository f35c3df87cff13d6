import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { KeyferryError } from "#src/core/base/error.js"
import { assertCurrentHeld, currentFences, during } from "#src/store/postgres/current-hold.js"
import { custodyLogTable } from "#src/store/postgres/custody-log-table.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { bindingHolds, type Hold } from "#src/store/postgres/holds.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"

const THIS_FILE = fileURLToPath(import.meta.url)

type Action = "hold" | "assert" | "put" | "log" | "free"

/** A worker of its own process that holds a key, and does on being asked what a worker does. */
export interface HoldingProcess extends AsyncDisposable {
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  /** @returns `done`, or the code of what it failed with */
  ask(action: Action): Promise<string>
}

/** @param url of the database; @param name of the key, of the target `frankfurt` */
export function holdingProcess(url: string, name: string): HoldingProcess {
  const child = spawn(process.execPath, [THIS_FILE, url, name], { stdio: ["pipe", "pipe", "inherit"] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    child,
    async ask(action) {
      child.stdin.write(`${action}\n`)
      const answer = await answers.next()
      return answer.done === true ? "ended" : answer.value
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill("SIGKILL")
      await once(child, "exit")
    },
  }
}

async function work(url: string, name: string): Promise<void> {
  await using database = openDatabase({ url }, "keyferry test")
  await using holds = bindingHolds(database, { holder: `process ${process.pid}` })
  const texts = rowTexts(database, currentFences)
  const custodyLog = custodyLogTable(database, { now: () => new Date(0) }, currentFences)
  let hold: Hold | undefined
  const actions: Record<Action, () => Promise<void>> = {
    hold: async () => {
      hold = await holds.hold([{ name, target: "frankfurt" }])
    },
    assert: () => assertCurrentHeld(),
    put: () => texts.put(["keys", name], `written by ${process.pid}`),
    log: () => custodyLog.append({ event: "source.generated", name, facts: {} }),
    free: async () => hold?.[Symbol.asyncDispose](),
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const action = actions[line as Action]
    try {
      await (hold === undefined ? action() : during(hold, action))
      process.stdout.write("done\n")
    } catch (error) {
      process.stdout.write(`${error instanceof KeyferryError ? error.code : String(error)}\n`)
    }
  }
}

if (process.argv[1] === THIS_FILE) await work(process.argv[2] ?? "", process.argv[3] ?? "")
