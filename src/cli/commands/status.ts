import type { Fleet } from "../../app/fleet/fleet.js"
import type { Status } from "../../app/fleet/status.js"
import type { Survey } from "../../app/fleet/survey.js"
import { worstExit } from "../../core/base/exit-code.js"
import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { namesOf } from "../options/arguments.js"
import { defineCommand, type Surroundings } from "../command.js"
import { actionsOf } from "../options/fleet-options.js"
import { KMS, TOKEN } from "../options/options.js"
import { backupText, jobsText, statusText } from "../text/status-text.js"
import { REBUILD, rebuildState } from "./status-rebuild.js"
import type { Layout } from "../text/layout.js"

export const status = defineCommand({
  name: "status",
  describe:
    "every key: its state in KMS, its generations, days to expiry, what comes next, drift, and what a loss would cost",
  examples: [
    ["$0 status", "as a table; works without a token, whose side is then not known"],
    ["$0 status --rebuild --region eu-west-3", "the state directory is lost: what it knew, from KMS, token and vault"],
    ["$0 status payments --json", "everything that is known of one key"],
  ],
  names: { describe: "keys to look at; all where none is named" },
  options: {
    ...REBUILD,
    usage: {
      type: "boolean",
      default: false,
      describe: "also when each KMS key was last used, and for what: one more request a key",
    },
    html: {
      type: "string",
      requiresArg: true,
      describe: "also write it as one self-contained page, which must not exist yet",
    },
    ...TOKEN,
    ...KMS,
  },
  async run(args, surroundings) {
    const names = namesOf(args)
    if (args.rebuild && args.html !== undefined)
      throw new KeyferryError("ERR_USAGE", "--html and --rebuild exclude each other")
    if (args.rebuild && args.usage) throw new KeyferryError("ERR_USAGE", "--usage and --rebuild exclude each other")
    if (args.rebuild) return await rebuildState(names, args, surroundings)
    if (args.overwrite) throw new KeyferryError("ERR_USAGE", "--overwrite goes with --rebuild")
    return await statusOfFleet({ names, ...args }, surroundings)
  },
})

interface StatusArgs {
  readonly names: readonly string[]
  readonly usage?: boolean
  readonly html?: string | undefined
}

/** What `status` shows. */
export async function statusOfFleet({ names, usage = false, html }: StatusArgs, surroundings: Surroundings) {
  if (html !== undefined) {
    const { refuseExisting } = await import("../../store/files/output-file.js")
    await refuseExisting(html)
  }
  const { fleetKeys } = await import("../../app/fleet/fleet.js")
  const { status: surveyStatus, withUsage } = await import("../../app/fleet/status.js")
  const fleet = await surroundings.world.fleet({ lock: false })
  using line = surroundings.terminal.progressLine("looking at")
  const {
    surveyed,
    status: looked,
    exit,
  } = await surveyStatus(fleet, await fleetKeys(fleet, names), {
    actions: actionsOf(undefined),
    onRow: line.onRow,
  })
  const withUses = usage ? await withUsage(fleet, looked) : { status: looked, exit: "OK" as const }
  const result = withUses.status
  if (html !== undefined) await writePage(html, surroundings, { fleet, surveyed, status: result })
  const backup = await (await surroundings.world.stored.place()).backup()
  const { dead, untaken } = await surroundings.world.stored.troubledJobs()
  const deadLetters = dead.map(({ failedAt, ...letter }) => ({ ...letter, failedAt: rfc3339(failedAt) }))
  const untakenJobs = untaken.map(({ since, ...jobs }) => ({ ...jobs, since: rfc3339(since) }))
  return {
    result: { ...result, backup, deadLetters, untakenJobs },
    text: (layout: Layout) =>
      `${statusText(result, layout)}${jobsText({ dead, untaken })}${layout.quiet ? "" : backupText(result, backup)}`,
    exit: worstExit([exit, withUses.exit]),
  }
}

interface Seen {
  readonly fleet: Fleet
  readonly surveyed: Survey
  readonly status: Status
}

/** Lines of the custody log that the page has of each key, the newest. */
const MOST_HISTORY = 10

/** The agent's page as one file, for who runs no agent. */
async function writePage(path: string, { world, version }: Surroundings, { fleet, surveyed, status }: Seen) {
  const { checkSurvey, DEFAULT_THRESHOLDS } = await import("../../app/check/check.js")
  const { fleetFile } = await import("../../report/fleet-file.js")
  const { writeOutput } = await import("../../store/files/output-file.js")
  const settings = await world.settings()
  const accept = settings.manifest?.accept ?? {}
  const records = await world.stored.agentRecords()
  const pause = await records.pause()
  const check = await checkSurvey(fleet, surveyed, {
    thresholds: DEFAULT_THRESHOLDS,
    accept,
    pause,
    backup: await (await world.stored.place()).backup(),
    jobs: await world.stored.troubledJobs(),
  })
  const report = {
    owner: settings.owner,
    version,
    at: world.clock.now(),
    status,
    check,
    backoffs: await records.backoffs(),
    agent: null,
  }
  const histories = await (
    await world.stored.place()
  ).histories(new Set(status.keys.map(({ name }) => name)), MOST_HISTORY)
  await writeOutput(path, await fleetFile(report, histories))
}
