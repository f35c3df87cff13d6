import { coreDumpsOff } from "../host/core-limits.js"
import { openWorld } from "../host/open.js"
import type { Place, Places } from "../host/places.js"
import { EXIT_CODES } from "../core/base/exit-code.js"
import { KeyferryError } from "../core/base/error.js"
import type { Log } from "../core/ports/log.js"
import { createLog } from "../log/log.js"
import type { Output } from "./command.js"
import { describeFailure, knownError } from "./text/failure.js"
import { choose } from "./parse/parse.js"
import { loggedProgress, terminalProgress } from "./text/progress.js"
import { endOnSignals } from "./signals.js"
import { asksForJson, checkWords } from "./parse/words.js"

/** Of every JSON result: a field may be added, none of those there are goes or changes its meaning without another. */
const SCHEMA_VERSION = 1

/** Runs one command line and gives its exit status. Results go to stdout, everything else to stderr. */
export async function run(words: readonly string[], version: string): Promise<number> {
  // asked before parsing, since a command line that does not parse has to be answered in the right form too
  let json = asksForJson(words)
  let running: { readonly log: Log; readonly command: string } | undefined
  let places: Places | undefined
  const fail = (thrown: unknown): number => {
    const error = knownError(thrown)
    running?.log.event("run.failed", { command: running.command, error })
    const failure = describeFailure(error, words.includes("--verbose"))
    process.stderr.write(
      json ? `${JSON.stringify(places?.inResult(failure.json) ?? failure.json)}\n` : `${failure.text}\n`,
    )
    return failure.exit
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
      ;({ places } = world)
      output = await command.run(args, { ...surroundings, world })
    }
    const result = { schemaVersion: SCHEMA_VERSION, ...places.inResult(output.result) }
    const printed = json ? JSON.stringify(result, null, 2) : output.text
    if (printed !== "") process.stdout.write(`${printed}\n`)
    for (const place of places.all()) progress.step(placeText(place))
    await output.told?.()
    return EXIT_CODES[output.exit ?? "OK"].status
  } catch (error) {
    return fail(error)
  }
}

/** `KMS of prod-eu: account 111122223333 in aws, eu-west-3`. */
function placeText({ target, account, partition, region, endpoint, endpointOrigin }: Place): string {
  const where = `KMS of ${target}: account ${account ?? "not known"} in ${partition}, ${region}`
  return endpoint === null ? where : `${where}, at ${endpoint} (named by ${endpointOrigin ?? ""})`
}

function outputLost(error: NodeJS.ErrnoException): KeyferryError {
  return new KeyferryError("ERR_OUTPUT_WRITE", "the result could not be written to stdout", {
    cause: error,
    hint: "what the command did stays done; make room where stdout goes",
    causes: [{ code: error.code ?? "", message: error.message }],
  })
}
