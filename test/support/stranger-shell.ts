import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { stripVTControlCharacters } from "node:util"

/** What a pager of the environment would leave in the output. */
export const PAGED = "A PAGER WAS OPENED"

export interface Ended {
  readonly status: number
  /** What the terminal showed: both streams, as text. */
  readonly output: string
}

export interface StrangerOptions {
  /** A folder of its own: HOME, and where the script lies. */
  readonly home: string
  readonly cwd: string
  /** What the page takes for granted, such as the token. */
  readonly env?: Readonly<Record<string, string>>
  /** What the shell starts with, such as openCryptoki's namespace. */
  readonly prefix?: readonly string[]
  /** Width of the terminal. */
  readonly columns: number
  /** Without it, a failing command is told as `exit status N`, and the next one runs. */
  readonly stop?: boolean
}

/**
 * Runs a script as a stranger would who types it: bash with aliases, in a terminal, with an empty home and the PATH that
 * Debian gives a user, then the folder of this Node.js. Nothing of our environment goes along. Its pager says that it was
 * opened, and never waits.
 */
export function strangerShell(script: string, options: StrangerOptions): Promise<Ended> {
  const { home, cwd, env = {}, prefix = [], columns, stop = false } = options
  const file = join(home, "script.sh")
  const lead = stop ? "set -e" : "set -E\ntrap 'echo \"exit status $?\"' ERR"
  writeFileSync(file, `stty cols ${columns} rows 40\n${lead}\n${script}`)
  const command = [...prefix, "bash", "--norc", "-O", "expand_aliases", file].map(quoted).join(" ")
  const environment = {
    HOME: home,
    PATH: ["/usr/local/bin", "/usr/bin", "/bin", dirname(process.execPath)].join(":"),
    TERM: "xterm",
    PAGER: `sh -c 'echo ${PAGED}; cat'`,
    ...env,
  }
  return new Promise((resolve) => {
    // util-linux' script(1) gives the command a terminal of its own
    const child = execFile(
      "/usr/bin/script",
      ["-qefc", command, "/dev/null"],
      { cwd, env: environment },
      (error, stdout) => resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: shown(stdout) }),
    )
    child.stdin?.end()
  })
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** Without control sequences; of a line that was written over, what it came to be. */
const shown = (output: string): string =>
  stripVTControlCharacters(output)
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r") + 1))
    .join("\n")
