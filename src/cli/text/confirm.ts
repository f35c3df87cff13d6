import { createInterface } from "node:readline"
import { KeyferryError } from "../../core/base/error.js"
import type { Progress } from "../../core/ports/progress.js"

/**
 * Says what will happen, once, and wants the operator's word: `--yes`, or at a terminal the key's name, typed. The question
 * goes to standard error, so that standard output holds results only.
 *
 * @throws ERR_CONFIRMATION_MISSING
 */
export async function confirm(
  question: { readonly name: string; readonly consequences: readonly string[]; readonly yes: boolean },
  { progress }: { readonly progress: Progress },
): Promise<void> {
  const { name, consequences, yes } = question
  const { stdin, stderr } = process
  if (!yes && (!stdin.isTTY || !stderr.isTTY)) {
    throw new KeyferryError("ERR_CONFIRMATION_MISSING", `${name}: ${consequences.join("; ")}`, { key: name })
  }
  for (const line of consequences) progress.warn(line)
  if (yes) return
  const lines = createInterface({ input: stdin, output: stderr, terminal: true, historySize: 0 })
  try {
    const typed = await new Promise<string>((resolve) => {
      lines.question(`type ${name} to go on: `, resolve)
      lines.once("SIGINT", () => {
        // the terminal's settings come back first, then the signal does what it does elsewhere
        lines.close()
        process.kill(process.pid, "SIGINT")
      })
      lines.once("close", () => {
        resolve("")
      })
    })
    if (typed.trim() === name) return
  } finally {
    lines.close()
  }
  throw new KeyferryError("ERR_CONFIRMATION_MISSING", `${name} was not typed, so nothing was done`, { key: name })
}
