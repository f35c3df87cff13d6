import { coreDumpsOff } from "../host/core-limits.js"
import type { Log } from "../core/ports/log.js"
import { loggedFields } from "../log/log.js"
import { openWorld, type Surroundings as ProcessSurroundings, type World } from "../host/open.js"
import { type Flags, readSettings, type Settings } from "../host/settings.js"
import { type Output, SCHEMA_VERSION, type Surroundings } from "./command.js"
import type { FleetArgs } from "./options/fleet-options.js"
import { NO_PROGRESS_LINES } from "./text/progress-line.js"
import { loggedProgress } from "./text/progress.js"

/** What the package gives to programs: `import { openKeyferry } from "keyferry"`. Its declaration stands alone. */

export interface KeyferryOptions {
  /** Path of the configuration file; without it what the environment names counts, as on a command line. */
  readonly config?: string
  /** Path of the state directory; otherwise as on a command line. */
  readonly stateDir?: string
  /** Told what is done, event by event, as `--verbose --log-format json` writes it: docs/log.md. */
  readonly onEvent?: (name: string, fields: Readonly<Record<string, unknown>>) => void
}

/** One key and target; more fields are in docs/json.md. */
export interface KeyResult {
  readonly name: string
  readonly target: string
  readonly keyArn: string | null
  readonly outcome: "done" | "nothing" | "planned" | "blocked" | "failed"
  readonly reason: string
  readonly message: string
  readonly hint: string | null
  readonly [field: string]: unknown
}

/** What `--json` prints. */
export interface FleetResult {
  readonly schemaVersion: 1
  readonly keys: readonly KeyResult[]
  readonly summary: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

/** Which keys, and which of their work. */
export interface WorkOptions {
  /** Names of keys; all without. */
  readonly keys?: readonly string[]
  /** `provision`, `rewrap`, `rotate`, `correct`, `recover`; all but what destroys without. */
  readonly only?: readonly string[]
}

/**
 * keyferry in this process. Each call opens state, token and KMS and closes them again; one call at a time. What fails as a
 * whole is thrown as an Error with `code`, `message`, `hint`, `key` and `causes`, as docs/errors.md lists them; what fails of
 * one key stands in its row.
 */
export interface Keyferry {
  /** What `apply` would do; nothing is changed. */
  plan(options?: WorkOptions): Promise<FleetResult>
  /** Makes, imports again, rotates and corrects what is due; destroys nothing. */
  apply(options?: WorkOptions): Promise<FleetResult>
  /** Every key: its state in KMS, its generations, when they end. */
  status(options?: Pick<WorkOptions, "keys">): Promise<FleetResult>
}

/** Reads the configuration. @throws ERR_CONFIG_INVALID */
export async function openKeyferry(options: KeyferryOptions = {}): Promise<Keyferry> {
  const { config, stateDir, onEvent } = options
  // libraries of tokens and of AWS read it as well: it is one for the process
  const { env } = process
  await coreDumpsOff()
  const flags: Flags = { config, stateDir }
  const log: Log = { event: (name, fields) => onEvent?.(name, loggedFields(name, fields)) }
  const outside = { env, log, progress: loggedProgress(log), settings: await readSettings(flags, env) }
  const call = async (command: string, run: (surroundings: Surroundings) => Promise<Output>): Promise<FleetResult> => {
    const world = openWorld(flags, { ...outside, command })
    try {
      await using opened = world
      const { result } = await run(surroundingsOf(opened, command, { flags, outside }))
      await opened.places.learnAccounts()
      return { schemaVersion: SCHEMA_VERSION, ...opened.places.inResult(result) } as FleetResult
    } finally {
      await world.stored[Symbol.asyncDispose]()
    }
  }
  return {
    plan: (work = {}) =>
      call("plan", async (surroundings) => (await import("./commands/plan.js")).planFleet(argsOf(work), surroundings)),
    apply: (work = {}) =>
      call("apply", async (surroundings) =>
        (await import("./commands/apply.js")).applyFleet(argsOf(work), surroundings),
      ),
    status: ({ keys = [] } = {}) =>
      call("status", async (surroundings) =>
        (await import("./commands/status.js")).statusOfFleet({ names: keys }, surroundings),
      ),
  }
}

const argsOf = ({ keys, only }: WorkOptions): FleetArgs => ({ key: keys, only: only?.join(",") })

interface Opened {
  readonly flags: Flags
  readonly outside: Omit<ProcessSurroundings, "command"> & { readonly settings: Settings }
}

/** Of a process that is not keyferry's own: nothing is written to its terminal, and its signals are left alone. */
function surroundingsOf(world: World, command: string, { flags, outside }: Opened): Surroundings {
  return {
    ...outside,
    command,
    world,
    version: "",
    terminal: NO_PROGRESS_LINES,
    hear: () => undefined,
    stopped: new Promise(() => undefined),
    anotherWorld: (parts) => openWorld(flags, { ...outside, command, ...parts }),
    readSettings: () => Promise.resolve(outside.settings),
    onHangUp: () => undefined,
  }
}
