import yargs from "yargs"
import { coreDumpsOff } from "../host/core-limits.js"
import { openWorld } from "../host/open.js"
import { EXIT_CODES } from "../core/base/exit-code.js"
import { KeyferryError } from "../core/base/error.js"
import type { Log } from "../core/ports/log.js"
import { createLog } from "../log/log.js"
import { Chosen, type Output, toYargs } from "./command.js"
import { COMPLETE, commandsFor, GROUPS, HELP_EPILOGUE } from "./commands.js"
import { describeFailure } from "./fail.js"
import { GENERAL } from "./options/options.js"
import { loggedProgress, terminalProgress } from "./text/progress.js"
import { endOnSignals } from "./signals.js"
import { asksForJson, checkWords, valueIsDue } from "./text/words.js"
import { reworded } from "./yargs-message.js"

/** Of every JSON result: a field may be added, none of those there are goes or changes its meaning without another. */
const SCHEMA_VERSION = 1

/** Runs one command line and gives its exit status. Results go to stdout, everything else to stderr. */
export async function run(words: readonly string[], version: string): Promise<number> {
  // asked before parsing, since a command line that does not parse has to be answered in the right form too
  let json = asksForJson(words)
  let running: { readonly log: Log; readonly command: string } | undefined
  const fail = (error: unknown): number => {
    const failure = describeFailure(error, words.includes("--verbose"))
    process.stderr.write(json ? `${JSON.stringify(failure.json)}\n` : `${failure.text}\n`)
    return failure.exit
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // a reader that went away, such as `| head`, has seen what it wanted
    process.exit(error.code === "EPIPE" ? EXIT_CODES.OK.status : fail(outputLost(error)))
  })

  try {
    const chosen = await choose(words, version)
    if (chosen === undefined) return EXIT_CODES.OK.status
    const { command, args } = chosen
    checkWords(words, command)
    json = args["json"] === true || args["output"] === "json"
    // whoever reads a secret waits for it
    void coreDumpsOff()
    const stopped = endOnSignals({ graceful: command.handlesSignals === true })
    const { verbose, logFormat } = args as { verbose?: boolean; logFormat?: string }
    const format = logFormat === "json" ? "json" : "text"
    const log = await createLog({ verbose: verbose ?? false, format })
    running = { log, command: command.name }
    log.event("run.started", { command: command.name, version })
    const progress = format === "json" ? loggedProgress(log) : terminalProgress(process.stderr, { quiet: json })
    const surroundings = { env: process.env, progress, log, version, command: command.name, stopped }
    let output: Output
    {
      await using world = openWorld(args, surroundings)
      output = await command.run(args, { ...surroundings, world })
    }
    const printed = json ? JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...output.result }, null, 2) : output.text
    if (printed !== "") process.stdout.write(`${printed}\n`)
    return EXIT_CODES[output.exit ?? "OK"].status
  } catch (error) {
    running?.log.event("run.failed", { command: running.command, error })
    return fail(error)
  }
}

/** The command that the words mean; undefined where yargs answered itself: help, version, completion. */
async function choose(words: readonly string[], version: string): Promise<Chosen | undefined> {
  const parser = yargs([...words])
  const commands = await commandsFor(words)
  // with nothing to offer, the shell offers file names
  if (words.includes(COMPLETE) && valueIsDue(words, commands)) return undefined
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
      .epilogue(HELP_EPILOGUE)
      .demandCommand(1, "give a command")
      .strict()
      .recommendCommands()
      .version(version)
      .help()
      .locale("en")
      .parserConfiguration({
        "boolean-negation": false,
        "dot-notation": false,
        "greedy-arrays": false,
        "parse-numbers": false,
      })
      .wrap(Math.min(100, process.stdout.columns || 100))
      .exitProcess(false)
      .fail((message: string | null, error: Error | undefined) => {
        // what a handler throws, `Chosen` among it, is no complaint of yargs
        if (error !== undefined && error.name !== "YError") throw error
        const complaint = message ?? error?.message ?? "the command line is wrong"
        throw new KeyferryError("ERR_USAGE", reworded(complaint, words), { cause: error })
      })
      .parseAsync()
    return undefined
  } catch (error) {
    if (error instanceof Chosen) return error
    throw error
  }
}

function outputLost(error: NodeJS.ErrnoException): KeyferryError {
  return new KeyferryError("ERR_OUTPUT_WRITE", "the result could not be written to stdout", {
    cause: error,
    hint: "what the command did stays done; make room where stdout goes",
    causes: [{ code: error.code ?? "", message: error.message }],
  })
}
