import { styleText } from "node:util"
import type { Progress } from "../../core/ports/progress.js"
import type { Log } from "../../core/ports/log.js"
import { printable } from "../../core/base/printable.js"
import { wrapped } from "./width.js"

/** Warnings as events, for a log that machines read; the steps are events already. */
export function loggedProgress(log: Log): Progress {
  return {
    step: () => undefined,
    warn: (text) => log.event("warning", { text }),
  }
}

/** Steps and warnings as lines on stderr; with JSON output only the warnings. */
export function terminalProgress(stream: NodeJS.WriteStream, { quiet }: { quiet: boolean }): Progress {
  const faint = (text: string): string =>
    stream.isTTY && process.env["NO_COLOR"] === undefined ? styleText("dim", text) : text
  const lines = (text: string): string => wrapped(printable(text), stream.isTTY ? stream.columns : undefined)
  return {
    step: (text) => {
      if (!quiet) stream.write(`${lines(`keyferry: ${text}`).replace("keyferry:", faint("keyferry:"))}\n`)
    },
    warn: (text) => {
      stream.write(`${lines(`keyferry: warning: ${text}`)}\n`)
    },
  }
}
