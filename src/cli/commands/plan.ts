import type { Fleet } from "../../app/fleet/fleet.js"
import type { SurveyedKey } from "../../app/fleet/survey.js"
import type { Quotas } from "../../core/plan/schedule.js"
import { defineCommand, type Surroundings } from "../command.js"
import { actionsOf, FLEET, type FleetArgs, keysOf } from "../options/fleet-options.js"
import { costText, quotaText } from "../text/cost-text.js"
import { decisionsText, timeText, tokensText } from "../text/decision-text.js"
import { KMS, TOKEN } from "../options/options.js"
import { wrapped } from "../text/width.js"
import type { Layout } from "../text/layout.js"

export const plan = defineCommand({
  name: "plan",
  describe: "show what `apply` would do for the keys of the configuration, or of the state directory, and do nothing",
  examples: [
    ["$0 plan --config keyferry.yaml", "every key with what is to be done of it, and why"],
    ["$0 plan --config keyferry.yaml --detailed-exitcode", "exit 2 when there is work"],
  ],
  options: {
    ...FLEET,
    "detailed-exitcode": { type: "boolean", default: false, describe: "exit 2 when there is work to do" },
    ...TOKEN,
    ...KMS,
  },
  run: (args, surroundings) => planFleet(args, surroundings),
})

interface PlanArgs extends FleetArgs {
  readonly detailedExitcode?: boolean
}

/** What `plan` shows. */
export async function planFleet(args: PlanArgs, { world, terminal }: Surroundings) {
  const actions = actionsOf(args.only)
  const names = keysOf(args.key)
  const { fleetKeys } = await import("../../app/fleet/fleet.js")
  const { secondsAtQuota, survey } = await import("../../app/fleet/survey.js")
  const { exitOf, summarise } = await import("../../core/plan/row.js")
  const { costOf } = await import("../../core/plan/fleet-cost.js")
  const { quotaLoads } = await import("../../core/plan/quota-load.js")
  const { worstExit } = await import("../../core/base/exit-code.js")
  const fleet = await world.fleet({ lock: false })
  using line = terminal.progressLine("looking at")
  const { keys, tokens, tokenExit } = await survey(fleet, await fleetKeys(fleet, names), {
    actions,
    includeDisabled: args.includeDisabled ?? false,
    depth: { tags: true, materials: "needed" },
    onRow: line.onRow,
  })
  const rows = keys.map(({ row }) => row)
  const cost = costOf(keys.map(({ snapshot }) => snapshot))
  const quotas = quotaLoads(
    keys.map((key) => ({ ...key, quotas: quotasOfKey(fleet, key) })),
    fleet.clock.now(),
  )
  const summary = summarise(rows)
  const estimatedSeconds = secondsAtQuota(fleet, keys)
  const work = summary.planned > 0
  const time = work ? [`at the quotas of KMS this takes ${timeText(estimatedSeconds)}`] : []
  const worst = worstExit([exitOf(rows), tokenExit])
  return {
    result: { keys: rows, summary: { ...summary, cost, quotas }, tokens, estimatedSeconds },
    text: (layout: Layout) => {
      const notes = [...tokensText(tokens), ...(layout.quiet ? [] : [...time, ...costText(cost), ...quotaText(quotas)])]
      const rowLines = decisionsText(rows, "plan", layout)
      return [...(rowLines === "" ? [] : [rowLines]), ...notes.map((note) => wrapped(note, layout.width))].join("\n")
    },
    // work is work, whatever else is blocked
    exit: work && args.detailedExitcode === true ? "WORK_FOUND" : worst,
  }
}

/** What no binding names may be of a target that there is no more. */
function quotasOfKey(fleet: Pick<Fleet, "quotasOf">, { snapshot: { binding } }: SurveyedKey): Quotas | undefined {
  return binding.managed ? fleet.quotasOf(binding.target) : undefined
}
