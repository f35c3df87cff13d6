import { KeyferryError } from "../core/base/error.js"
import { type ExitName, worstExit } from "../core/base/exit-code.js"
import type { KeyResult } from "../core/key/key-result.js"
import { namesOf } from "./options/arguments.js"
import type { Output } from "./command.js"
import { keyText } from "./text/key-text.js"
import { table } from "./text/table.js"

interface Row {
  readonly name: string
  readonly target: string
  readonly keyArn: string | null
  readonly outcome: "done" | "nothing" | "failed"
  /** The code of the failure; null where there was none. */
  readonly reason: string | null
  readonly message: string
}

/** The names that a command needs one of at least. */
export function someNames(args: Readonly<Record<string, unknown>>): readonly string[] {
  const names = namesOf(args)
  if (names.length === 0) throw new KeyferryError("ERR_USAGE", "give the name of a key")
  return names
}

/**
 * The result of one key as it is; of several a row each, where a failure does not stop the others and the worst decides
 * the exit status.
 */
export async function severally(
  names: readonly string[],
  target: string,
  run: (name: string) => Promise<KeyResult>,
): Promise<Output> {
  const [only, another] = names
  if (only !== undefined && another === undefined) {
    const result = await run(only)
    return { result, text: keyText(result) }
  }
  const rows: Row[] = []
  const exits: ExitName[] = []
  for (const name of names) {
    try {
      const result = await run(name)
      const { outcome, keyArn, generation } = result
      rows.push({ name, target, keyArn, outcome, reason: null, message: `generation ${generation}` })
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      exits.push(error.exit)
      rows.push({ name, target, keyArn: null, outcome: "failed", reason: error.code, message: error.message })
    }
  }
  const count = (outcome: Row["outcome"]): number => rows.filter((row) => row.outcome === outcome).length
  const summary = { done: count("done"), nothing: count("nothing"), failed: count("failed") }
  const text = table(
    ["name", "target", "outcome", "what"],
    rows.map(({ name, outcome, reason, message }) => [
      name,
      target,
      outcome,
      reason === null ? message : `${message} [${reason}]`,
    ]),
  )
  return { result: { keys: rows, summary }, text, exit: worstExit(exits) }
}
