import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import { KeyferryError } from "../core/base/error.js"
import { printable } from "../core/base/printable.js"

/**
 * Asks for the PIN on the terminal, without echo: the question goes to standard error, so that standard output holds
 * results only.
 *
 * @throws ERR_PIN_SOURCE without a terminal, or when the input ends
 */
export async function promptPin(label: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY || !stderr.isTTY) {
    throw new KeyferryError("ERR_PIN_SOURCE", "there is no terminal to ask for the PIN on")
  }
  // readline switches the terminal's own echo off, and its copy of what is typed goes nowhere
  const nowhere = new Writable({ write: (_chunk, _encoding, callback) => callback() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 })
  try {
    // not before: what is typed at once would be echoed
    stderr.write(`PIN of token ${printable(label)}: `)
    return await new Promise<string>((resolve, reject) => {
      lines.once("line", resolve)
      lines.once("SIGINT", () => {
        // the terminal's settings come back first, then the signal does what it does elsewhere
        lines.close()
        process.kill(process.pid, "SIGINT")
      })
      lines.once("close", () => reject(new KeyferryError("ERR_PIN_SOURCE", "no PIN was given at the prompt")))
    })
  } finally {
    lines.close()
    stderr.write("\n")
  }
}
