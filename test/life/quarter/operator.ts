import type { Calendar, Task } from "./calendar.js"
import type { Host, Run, Site } from "./site.js"
import type { Witness } from "./witness.js"

/** Commands that hints name; what was deleted on purpose is not to come back, so `recover NAME` is none of them. */
const HINTED = /`(?:keyferry )?(status --rebuild[^`]*)`/g
const TRIES = 3

/** A run that may be killed. */
export type Command = (host: Host, args: readonly string[]) => Promise<Run>

/** A person: does what is asked for until it is done, and follows hints. */
export interface Operator {
  /** What is asked for today, and what could not be done before. */
  work(host: Host): Promise<void>
  /** Follows the hints of rows that are blocked. */
  follow(host: Host, run: Run): Promise<void>
  /** What could not be done up to now. */
  left(): readonly Task[]
}

/** Runs it again where it was killed. */
export async function insist(command: Command, host: Host, args: readonly string[]): Promise<Run> {
  for (let tries = 1; ; tries += 1) {
    const run = await command(host, args)
    if (!run.killed || tries === TRIES) return run
  }
}

export function operatorOf(
  { day }: Site,
  { tasks }: Calendar,
  { witness, command }: { readonly witness: Witness; readonly command: Command },
): Operator {
  const open = new Set(tasks)
  const tried = new Set<Task>()

  /** Whether KMS shows that it is done, where no command came to the point of saying so. */
  const isDone = async ({ command, name }: Task): Promise<boolean> => {
    const keys = (await witness.keys()).filter((key) => key.name === name)
    if (command === "delete-material") return keys.every(({ state }) => state === "PendingImport")
    if (command === "replace") return keys.some(({ replaced }) => replaced)
    const materials = await Promise.all(keys.map((key) => witness.materials(key)))
    return materials.every((list) => list.filter(({ pending }) => !pending).length > 1)
  }

  return {
    left: () => [...open],
    async work(host) {
      for (const task of [...open].filter((asked) => asked.day <= day())) {
        if (tried.has(task) && (await isDone(task))) {
          open.delete(task)
          continue
        }
        tried.add(task)
        if (task.command === "delete-material") witness.expectDeletion(task.name)
        const confirmed = task.command === "delete-material" ? ["--yes", "--although-used"] : []
        const { ended } = await insist(command, host, [task.command, task.name, ...confirmed])
        if (ended.status === 0) open.delete(task)
      }
    },
    async follow(host, { rows, ended }) {
      const hints = [...rows.map(({ hint }) => hint ?? ""), ended.status === 0 ? "" : ended.stderr].join("\n")
      const words = new Set([...hints.matchAll(HINTED)].map(([, hinted = ""]) => hinted))
      for (const hinted of words) await insist(command, host, hinted.split(" "))
    },
  }
}
