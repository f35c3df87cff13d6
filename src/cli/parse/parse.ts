import yargs, { type CommandModule, type InferredOptionTypes } from "yargs"
import { KeyferryError } from "../../core/base/error.js"
import type { AnyCommand, Args, OptionTable } from "../command.js"
import { COMPLETE, commandsFor, GROUPS, HELP_EPILOGUE } from "../commands/commands.js"
import { GENERAL } from "../options/options.js"
import { completions } from "./completions.js"
import { understood } from "./command-words.js"
import { checkWords, valueIsDue } from "./words.js"
import { reworded } from "./yargs-message.js"

/**
 * The command that the words mean; undefined where yargs answered itself: help, version, completion.
 *
 * @param words the command line in long options alone (longForms)
 * @throws ERR_USAGE
 */
export async function choose(words: readonly string[], version: string): Promise<Chosen | undefined> {
  const isCompleting = words.includes(COMPLETE)
  if (isCompleting) {
    const { offers, isAll } = await completions(words, process.env)
    if (offers.length > 0) process.stdout.write(`${offers.join("\n")}\n`)
    if (isAll) return undefined
  }
  return await parsed(isCompleting ? words : await understood(words), version, isCompleting)
}

async function parsed(words: readonly string[], version: string, isCompleting: boolean): Promise<Chosen | undefined> {
  const parser = yargs([...words])
  const commands = await commandsFor(words)
  const [named, another] = commands
  const asksForHelp = words.includes("--help") || words.includes("--version")
  if (named !== undefined && another === undefined && !asksForHelp) checkWords(words, named)
  // with nothing to offer, the shell offers file names
  if (isCompleting && valueIsDue(words, commands)) return undefined
  for (const [group, describe] of Object.entries(GROUPS)) {
    const members = commands.filter(({ name }) => name.startsWith(`${group} `))
    if (members.length === 0) continue
    parser.command(group, describe, (inner) => {
      for (const member of members) inner.command(toYargs(member, member.name.slice(group.length + 1)))
      return inner.demandCommand(1, `give a command of ${group}`).strict()
    })
  }
  if (another !== undefined) parser.command("help [command..]", "options and examples of a command")
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ")
    if (second === undefined) parser.command(toYargs(command, first, membersOf(command, commands)))
    // `agent pause`, without `agent`, which is a command as well
    else if (!Object.hasOwn(GROUPS, first) && !commands.some(({ name }) => name === first)) {
      parser.command(first, false, (inner) => inner.command(toYargs(command, second)).strict())
    }
  }
  try {
    await parser
      .scriptName("keyferry")
      .usage("$0 <command>\n\nCarries keys born in an HSM to AWS KMS and keeps them alive there.")
      .options(GENERAL)
      .epilogue(HELP_EPILOGUE)
      .demandCommand(1, "give a command")
      .strict()
      .version(version)
      .help()
      .describe({ help: "show help; `keyferry help COMMAND` is the same", version: "show the version" })
      .alias("help", "h")
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

/** What a command line turned out to mean; thrown out of yargs, which would render the whole help after a handler. */
class Chosen extends Error {
  readonly command: AnyCommand
  readonly args: Args<OptionTable>

  constructor(command: AnyCommand, args: Args<OptionTable>) {
    super(command.name)
    this.command = command
    this.args = args
  }
}

/** Commands of two words whose first one is a command itself. */
function membersOf({ name }: AnyCommand, commands: readonly AnyCommand[]): readonly AnyCommand[] {
  return commands.filter((command) => command.name.startsWith(`${name} `))
}

function toYargs(
  command: AnyCommand,
  last: string,
  members: readonly AnyCommand[] = [],
): CommandModule<object, InferredOptionTypes<OptionTable>> {
  return {
    command: [
      last,
      command.positional && `[${command.positional.name}]`,
      command.path && `[${command.path.name}]`,
      command.names && "[name..]",
    ]
      .filter((part) => part !== undefined)
      .join(" "),
    describe: command.describe,
    builder: (yargs) => {
      for (const [example, description] of command.examples) yargs.example(example, description)
      const { positional, path, names } = command
      if (path !== undefined) yargs.positional(path.name, { type: "string", describe: path.describe })
      if (positional !== undefined) yargs.positional(positional.name, { type: "string", ...positional })
      if (names !== undefined) yargs.positional("name", { type: "string", array: true, ...names })
      for (const member of members) yargs.command(toYargs(member, member.name.slice(command.name.length + 1)))
      return yargs.options(grouped(command.options))
    },
    handler: (args) => {
      throw new Chosen(command, args)
    },
  }
}

/**
 * Options of a command's own come first in its help; those that it shares have groups already. Without its value no
 * option is taken, unless it is a switch.
 */
function grouped(options: OptionTable): OptionTable {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      { group: "This command:", requiresArg: option.type !== "boolean", ...option },
    ]),
  )
}
