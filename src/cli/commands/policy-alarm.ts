import { defineCommand } from "../command.js"
import {
  FORMAT,
  formed,
  KEY_NAMES,
  manifestOf,
  NOTIFY,
  notifyOf,
  refuseManyRegions,
  scopeOf,
  TARGET,
} from "./policy.js"
import { REGION_ALONE, watchedIn } from "./policy-watched.js"

export const policyAlarm = defineCommand({
  name: "policy alarm",
  describe: "print an alarm of CloudWatch for each key that expires, on AWS' own metric of the time that is left",
  examples: [
    [
      "$0 policy alarm --notify arn:aws:sns:eu-west-3:111122223333:keys | jq -c '.alarms[].alarm'",
      "each line for `aws cloudwatch put-metric-alarm --cli-input-json`",
    ],
  ],
  names: KEY_NAMES,
  options: { notify: NOTIFY, target: TARGET, region: REGION_ALONE, format: FORMAT },
  async run(args, { world, progress }) {
    const { alarmsFor } = await import("../../core/policy/alarm.js")
    const { refuseSeveralAccounts } = await import("../../core/policy/needs.js")
    const { cloudFormation, metricAlarms, terraform } = await import("../../core/policy/templates.js")
    const manifest = await manifestOf({ world })
    const { keys, missing } = await watchedIn(world, manifest, { ...scopeOf(args), region: args.region ?? null })
    for (const name of missing) progress.warn(`${name} has no KMS key yet: make its alarm once it is provisioned`)
    const regions = keys.flatMap(({ region, alarmBefore }) => (alarmBefore === null ? [] : [region]))
    refuseManyRegions(args.format, regions)
    // the metrics of another account are not there
    if (args.format !== "json") refuseSeveralAccounts(manifest, scopeOf(args))
    const alarms = alarmsFor(manifest.id, keys, notifyOf(args.notify, regions))
    return formed(args.format, {
      json: () => ({ alarms }),
      cloudformation: () => cloudFormation(metricAlarms.cloudFormation(alarms)),
      terraform: () => terraform(metricAlarms.terraform(alarms)),
    })
  },
})
