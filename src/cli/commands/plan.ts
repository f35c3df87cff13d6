import { defineCommand } from "../command.js"
import { actionsOf, FLEET, keysOf } from "../options/fleet-options.js"
import { durationText, reportText, tokensText } from "../text/fleet-text.js"
import { KMS, TOKEN } from "../options/options.js"
import { progressLine } from "../text/progress-line.js"

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
  async run(args, { world }) {
    const actions = actionsOf(args.only)
    const names = keysOf(args.key)
    const { lookAt, secondsAtQuota } = await import("../../app/fleet/survey.js")
    const { rowsOf } = await import("../../app/fleet/rows.js")
    const { exitOf, reportOf } = await import("../../core/plan/row-result.js")
    const { worstExit } = await import("../../core/base/exit-code.js")
    const fleet = await world.fleet({ lock: false })
    using line = progressLine("looking at")
    const { includeDisabled } = args
    const sight = await lookAt(fleet, rowsOf(fleet, { names }), {
      ...{ actions, includeDisabled, look: { tags: true, materials: "needed" }, onRow: line.onRow },
    })
    const report = reportOf(sight.rows)
    const estimatedSeconds = secondsAtQuota(fleet, sight.rows)
    const work = report.summary.planned > 0
    const time = work ? [`at the quotas of KMS this takes ${durationText(estimatedSeconds)}`] : []
    const worst = worstExit([exitOf(sight.rows), sight.tokenExit])
    return {
      result: { ...report, tokens: sight.tokens, estimatedSeconds },
      text: [reportText(report, "plan"), ...tokensText(sight.tokens), ...time].join("\n"),
      exit: worst === "OK" && work && args.detailedExitcode ? "WORK_FOUND" : worst,
    }
  },
})
