import { whyNotCarried } from "../../core/key/key-spec.js"

/** A complaint of yargs, in this program's wording: one line, lower case, options with their hyphens. */
type Rewording = readonly [pattern: RegExp, say: (match: RegExpExecArray, words: readonly string[]) => string]

const REWORDINGS: readonly Rewording[] = [
  [/^Missing required arguments?: (.*)/, ([, names = ""]) => `missing: ${options(names)}`],
  [/^Not enough arguments following: (.*)/, ([, name = ""]) => `--${name} needs a value`],
  [/^Unknown (argument|command)s?: (.*)/s, ([, kind = "", names = ""], words) => unknown(kind, names, words)],
  [/^Invalid values:\n(.*)/s, ([, list = ""]) => invalid(list)],
]

/** Rewords what yargs complains of, on the command line `words`. */
export function reworded(message: string, words: readonly string[]): string {
  for (const [pattern, say] of REWORDINGS) {
    const match = pattern.exec(message)
    if (match !== null) return say(match, words)
  }
  return `${message.charAt(0).toLowerCase()}${message.slice(1)}`.replace(/\s*\n\s*/g, "; ")
}

function options(names: string): string {
  return names
    .split(", ")
    .map((name) => `--${name}`)
    .join(", ")
}

/** The words as they were given; yargs lists an option's name in camel case once more. */
function unknown(kind: string, names: string, words: readonly string[]): string {
  const listed = names.split(", ")
  const written = words.filter((word) => listed.includes(word.replace(/^--?/, "").replace(/=.*/s, "")))
  return `unknown ${kind}: ${(written.length === 0 ? listed : written.map((word) => word.replace(/=.*/s, ""))).join(", ")}`
}

function invalid(list: string): string {
  const line = /^\s*Argument: (.*?), Given: "?(.*?)"?, Choices: (.*)$/gm
  const wrong = [...list.matchAll(line)].map(([, name = "", written = "", choices = ""]) => {
    const why = whyNotCarried(written)
    return `--${name} '${written}' is none of ${choices.replaceAll('"', "")}${why === undefined ? "" : `: ${why}`}`
  })
  return wrong.length === 0 ? list.trim().replace(/\s+/g, " ") : wrong.join("; ")
}
