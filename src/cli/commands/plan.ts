import { defineCommand } from "../command.js"
import { actionsOf, FLEET, keysOf } from "../options/fleet-options.js"
import { decisionsText, timeText, tokensText } from "../text/decision-text.js"
import { KMS, TOKEN } from "../options/options.js"
import { wrapped } from "../text/width.js"

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
  async run(args, { world, terminal }) {
    const actions = actionsOf(args.only)
    const names = keysOf(args.key)
    const { fleetKeys } = await import("../../app/fleet/fleet.js")
    const { secondsAtQuota, survey } = await import("../../app/fleet/survey.js")
    const { exitOf, summarise } = await import("../../core/plan/row.js")
    const { worstExit } = await import("../../core/base/exit-code.js")
    const fleet = await world.fleet({ lock: false })
    using line = terminal.progressLine("looking at")
    const { keys, tokens, tokenExit } = await survey(fleet, await fleetKeys(fleet, names), {
      actions,
      includeDisabled: args.includeDisabled,
      depth: { tags: true, materials: "needed" },
      onRow: line.onRow,
    })
    const rows = keys.map(({ row }) => row)
    const summary = summarise(rows)
    const estimatedSeconds = secondsAtQuota(fleet, keys)
    const work = summary.planned > 0
    const time = work ? [`at the quotas of KMS this takes ${timeText(estimatedSeconds)}`] : []
    const worst = worstExit([exitOf(rows), tokenExit])
    return {
      result: { keys: rows, summary, tokens, estimatedSeconds },
      text: (layout) => {
        const notes = [...tokensText(tokens), ...(layout.quiet ? [] : time)]
        const rowLines = decisionsText(rows, "plan", layout)
        return [...(rowLines === "" ? [] : [rowLines]), ...notes.map((note) => wrapped(note, layout.width))].join("\n")
      },
      // work is work, whatever else is blocked
      exit: work && args.detailedExitcode ? "WORK_FOUND" : worst,
    }
  },
})
