import { coreDumpsOff } from "../host/core-limits.js"
import { type ClockSkew, systemClock } from "../host/clock.js"
import { openWorld, type World } from "../host/open.js"
import { readSettings } from "../host/settings.js"
import { EXIT_CODES, type ExitName } from "../core/base/exit-code.js"
import { KeyferryError } from "../core/base/error.js"
import { printableJson, printableLines } from "../core/base/printable.js"
import type { Log } from "../core/ports/log.js"
import { heardLog } from "../log/heard-log.js"
import { createLog } from "../log/log.js"
import { type Output, SCHEMA_VERSION, type Surroundings } from "./command.js"
import { commandsFor } from "./commands/commands.js"
import { describeFailure, knownError } from "./text/failure.js"
import { type Layout, layoutOf } from "./text/layout.js"
import { placesText } from "./text/places-text.js"
import { COMPLETE } from "./commands/commands.js"
import { choose } from "./parse/parse.js"
import { Terminal } from "./text/progress-line.js"
import { loggedProgress, terminalProgress } from "./text/progress.js"
import { endOnSignals } from "./signals.js"
import { longForms } from "./parse/command-words.js"
import { asksForJson } from "./parse/words.js"

/** Runs one command line and gives its exit status. Results go to stdout, everything else to stderr. */
export async function run(given: readonly string[], version: string): Promise<number> {
  const isCompleting = given.includes(COMPLETE)
  const words = isCompleting ? given : longForms(given)
  // asked before parsing, since a command line that does not parse has to be answered in the right form too
  let json = asksForJson(words)
  let running: { readonly log: Log; readonly command: string } | undefined
  let world: World | undefined
  let failsAs: ExitName | undefined
  const fail = (thrown: unknown): number => {
    // nothing but what is offered belongs on somebody's prompt
    if (isCompleting) return EXIT_CODES.OK.status
    const error = knownError(thrown)
    running?.log.event("run.failed", { command: running.command, error })
    const { text, status } = lastWords(error)
    process.stderr.write(`${text}\n`)
    return status
  }
  const lastWords = (error: KeyferryError): { readonly text: string; readonly status: number } => {
    const failure = describeFailure(
      error,
      words.includes("--verbose"),
      process.stderr.isTTY ? process.stderr.columns : undefined,
    )
    const facts = { ...(world?.places.inResult(failure.json) ?? failure.json), ...warningsOf(world) }
    return {
      text: json ? printableJson(JSON.stringify(facts)) : failure.text,
      status: failsAs === undefined ? failure.exit : EXIT_CODES[failsAs].status,
    }
  }
  // what nobody waits for fails as well: rejections come here too
  process.on("uncaughtException", (error) => process.exit(fail(error)))
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // a reader that went away, such as `| head`, has seen what it wanted
    process.exit(error.code === "EPIPE" ? EXIT_CODES.OK.status : fail(outputLost(error)))
  })

  try {
    const chosen = await choose(words, version)
    if (chosen === undefined) return EXIT_CODES.OK.status
    const { command, args } = chosen
    failsAs = command.failsAs
    json = args["json"] === true || args["output"] === "json"
    // whoever reads a secret waits for it
    void coreDumpsOff()
    const stopped = endOnSignals({ graceful: command.handlesSignals === true })
    const { verbose, logFormat, quiet } = args as { verbose?: boolean; logFormat?: string; quiet?: boolean }
    const format = logFormat === "json" ? "json" : "text"
    const isService = command.isService === true
    const log = heardLog(
      await createLog({ verbose: verbose ?? false, quiet: quiet ?? false, format, isService, clock: systemClock }),
    )
    running = { log, command: command.name }
    log.event("run.started", { command: command.name, version })
    const progress =
      format === "json" || isService
        ? loggedProgress(log)
        : terminalProgress(process.stderr, { quiet: json || quiet === true })
    const terminal = new Terminal(process.stderr, { quiet: quiet === true })
    const outside = { env: process.env, progress, log, command: command.name, lastWords }
    const surroundings = {
      ...outside,
      terminal,
      version,
      hear: (listener: Log) => log.hear(listener),
      stopped,
      anotherWorld: (parts: Parameters<Surroundings["anotherWorld"]>[0]) =>
        openWorld(args, { ...outside, ...parts, progress: isService ? loggedProgress(parts.log) : progress }),
      readSettings: () => readSettings(args, process.env),
      onHangUp: (reload: () => void) => void process.on("SIGHUP", reload),
    }
    let output: Output
    {
      await using opened = openWorld(args, surroundings)
      world = opened
      try {
        output = await command.run(args, { ...surroundings, world })
        await world.places.learnAccounts()
      } finally {
        for (const { message, code } of world.clock.skews()) progress.warn(`${message} [${code}]`)
      }
    }
    const result = { schemaVersion: SCHEMA_VERSION, ...world.places.inResult(output.result), ...warningsOf(world) }
    const printed = json
      ? printableJson(JSON.stringify(result, null, 2))
      : printableLines(textOf(output, layoutOf(args, process.stdout, process.env)))
    output.beforePrint?.()
    if (printed !== "") process.stdout.write(`${printed}\n`)
    for (const line of placesText(world.places.all())) progress.step(line)
    await output.told?.()
    return EXIT_CODES[output.exit ?? "OK"].status
  } catch (error) {
    failsAs ??= await failureOf(words)
    return fail(error)
  } finally {
    await world?.stored[Symbol.asyncDispose]()
  }
}

/** What a command that could not be parsed fails as. */
async function failureOf(words: readonly string[]): Promise<ExitName | undefined> {
  const [named, another] = await commandsFor(words)
  return another === undefined ? named?.failsAs : undefined
}

function textOf({ text }: Output, layout: Layout): string {
  if (typeof text === "function") return text(layout)
  return layout.quiet ? "" : text
}

/** What every command says of the host, beside its result; nothing where all is well. */
function warningsOf(world: World | undefined): { readonly warnings?: readonly ClockSkew[] } {
  const warnings = world?.clock.skews() ?? []
  return warnings.length === 0 ? {} : { warnings }
}

function outputLost(error: NodeJS.ErrnoException): KeyferryError {
  return new KeyferryError("ERR_OUTPUT_WRITE", "the result could not be written to stdout", {
    cause: error,
    hint: "what the command did stays done; make room where stdout goes",
    causes: [{ code: error.code ?? "", message: error.message }],
  })
}
