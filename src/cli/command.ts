import type { ArgumentsCamelCase, InferredOptionTypes, Options } from "yargs"
import type { ExitName } from "../core/base/exit-code.js"
import type { Log } from "../core/ports/log.js"
import type { Layout } from "./text/layout.js"
import type { ProgressLines } from "./text/progress-line.js"
import type { Surroundings as ProcessSurroundings, World } from "../host/open.js"
import type { Settings } from "../host/settings.js"

/** Of every JSON result: a field may be added, none of those there are goes or changes its meaning without another. */
export const SCHEMA_VERSION = 1

export type OptionTable = Record<string, Options>

/** General options (options.ts) that every command has. */
interface GeneralArgs {
  readonly config?: string | undefined
  readonly stateDir?: string | undefined
}

export type Args<O extends OptionTable> = ArgumentsCamelCase<InferredOptionTypes<O>> & GeneralArgs

/** What a command gives back to be printed: the same facts as JSON and as text. */
export interface Output {
  readonly result: object
  /**
   * Lines for people, without a line end after the last. Text that is not laid out says what was done, and is left out
   * where nothing but errors and warnings is to be said.
   */
  readonly text: string | ((layout: Layout) => string)
  /** Other than OK where the work was done only in part. */
  readonly exit?: ExitName
  /** Called before the result is printed. */
  readonly beforePrint?: () => void
  /** Called once the result was printed, as the last thing that the command does. */
  readonly told?: () => Promise<void>
}

/** What surrounds a command: the process, cut down to what commands may see. */
export interface Surroundings extends ProcessSurroundings {
  /** Token, KMS, state and settings, as the command line names them; closed after the command. */
  readonly world: World
  /** Of keyferry. */
  readonly version: string
  /** Has a listener hear everything that is logged from now on, also what is not shown. */
  readonly hear: (listener: Log) => void
  /** Standard error, for the line of long work. */
  readonly terminal: ProgressLines
  /** Another world of the same command line, for one that opens several after one another. */
  readonly anotherWorld: (parts: Pick<ProcessSurroundings, "settings" | "log">) => World
  /** Reads flags, configuration file and environment anew. @throws ERR_CONFIG_INVALID */
  readonly readSettings: () => Promise<Settings>
  /** Calls back at every SIGHUP, which ends the process otherwise. */
  readonly onHangUp: (reload: () => void) => void
  /** Resolves when the first SIGINT or SIGTERM asks a long-running command to end. */
  readonly stopped: Promise<void>
}

export interface Command<O extends OptionTable> {
  /** One or two words: `provision`, `key generate`. */
  readonly name: string
  readonly describe: string
  readonly examples: readonly (readonly [command: string, what: string])[]
  readonly options: O
  /** A word after the command's own that may be left out. */
  readonly positional?: { readonly name: string; readonly choices?: readonly string[]; readonly describe: string }
  /** Names of keys after the command's own words, as many as are given: `namesOf` (arguments.ts) reads them. */
  readonly names?: { readonly describe: string }
  /** A file or folder after the command's own words: `pathOf` (arguments.ts) reads it. */
  readonly path?: { readonly name: string; readonly describe: string }
  /** Whether the command ends by itself on a signal, like a server; others are simply stopped. */
  readonly handlesSignals?: boolean
  /** Whether it runs unattended for long, so that its log is all that it says. */
  readonly isService?: boolean
  /** The exit status of whatever fails, where others read it than those of sysexits(3). */
  readonly failsAs?: ExitName
  /** Returns the result to print; throws KeyferryError. Never writes to stdout, never exits. */
  readonly run: (args: Args<O>, surroundings: Surroundings) => Promise<Output>
}

/** Infers the option types of a command literal. */
export function defineCommand<const O extends OptionTable>(command: Command<O>): Command<O> {
  return command
}

/** A command whose option types no longer matter, as the table of commands holds it. */
export type AnyCommand = Command<OptionTable>
