import yargs from "yargs"
import { coreDumpsOff } from "../core-dump.js"
import { EXIT_CODES } from "../core/exit-code.js"
import { KeyferryError } from "../core/error.js"
import { createLog } from "../log/log.js"
import { Chosen, toYargs } from "./command.js"
import { commandsFor, GROUPS, HELP_EPILOGUE } from "./commands.js"
import { describeFailure } from "./fail.js"
import { GENERAL } from "./options.js"
import { loggedProgress, terminalProgress } from "./progress.js"
import { endOnSignals } from "./signals.js"

/** Runs one command line and gives its exit status. Results go to stdout, everything else to stderr. */
export async function run(words: readonly string[], version: string): Promise<number> {
  // asked before parsing, since a command line that does not parse has to be answered in the right form too
  const json =
    ["--json", "--output=json"].some((word) => words.includes(word)) || /--output json\b/.test(words.join(" "))
  const verbose = words.includes("--verbose")
  const fail = (error: unknown): number => {
    const failure = describeFailure(error, verbose)
    process.stderr.write(json ? `${JSON.stringify(failure.json)}\n` : `${failure.text}\n`)
    return failure.exit
  }
  // a reader that went away, such as `| head`, ends the output, not with a stack trace
  process.stdout.on("error", () => process.exit(EXIT_CODES.OK.status))

  try {
    const chosen = await choose(words, version)
    return chosen === undefined ? EXIT_CODES.OK.status : await runCommand(chosen, { json, version })
  } catch (error) {
    return fail(error)
  }
}

/** The command that the words mean; undefined where yargs answered itself: help, version, completion. */
async function choose(words: readonly string[], version: string): Promise<Chosen | undefined> {
  const parser = yargs([...words])
  const commands = await commandsFor(words)
  for (const [group, describe] of Object.entries(GROUPS)) {
    const members = commands.filter(({ name }) => name.startsWith(`${group} `))
    if (members.length === 0) continue
    parser.command(group, describe, (inner) => {
      for (const member of members) inner.command(toYargs(member, member.name.slice(group.length + 1)))
      return inner.demandCommand(1, `give a command of ${group}`).strict()
    })
  }
  for (const command of commands) {
    if (!command.name.includes(" ")) parser.command(toYargs(command, command.name))
  }
  try {
    await parser
      .scriptName("keyferry")
      .usage("$0 <command>\n\nCarries keys born in an HSM to AWS KMS and keeps them alive there.")
      .options(GENERAL)
      .completion("completion", "print a completion script for bash or zsh")
      .example("$0 completion >> ~/.bashrc", "complete commands and options in the shell")
      .epilogue(HELP_EPILOGUE)
      .demandCommand(1, "give a command")
      .strict()
      .recommendCommands()
      .version(version)
      .help()
      .parserConfiguration({ "duplicate-arguments-array": false, "greedy-arrays": false, "parse-numbers": false })
      .wrap(Math.min(100, process.stdout.columns || 100))
      .exitProcess(false)
      .fail((message: string | null, error: Error | undefined) => {
        throw error ?? new KeyferryError("ERR_USAGE", message ?? "the command line is wrong")
      })
      .parseAsync()
    return undefined
  } catch (error) {
    if (error instanceof Chosen) return error
    throw error
  }
}

async function runCommand(
  { command, args }: Chosen,
  { json, version }: { json: boolean; version: string },
): Promise<number> {
  const { verbose, logFormat } = args as { verbose?: boolean; logFormat?: string }
  const format = logFormat === "json" ? "json" : "text"
  const log = await createLog({ verbose: verbose ?? false, format })
  const progress = format === "json" ? loggedProgress(log) : terminalProgress(process.stderr, { quiet: json })
  // whoever reads a secret waits for it
  void coreDumpsOff()
  const stopped = endOnSignals({ graceful: command.handlesSignals === true })
  log.event("run.started", { command: command.name, version })
  try {
    const { result, text, exit } = await command.run(args, {
      env: process.env,
      progress,
      log,
      version,
      command: command.name,
      stopped,
    })
    const printed = json ? JSON.stringify(result, null, 2) : text
    if (printed !== "") process.stdout.write(`${printed}\n`)
    return EXIT_CODES[exit ?? "OK"].status
  } catch (error) {
    log.event("run.failed", { command: command.name, error })
    throw error
  }
}
