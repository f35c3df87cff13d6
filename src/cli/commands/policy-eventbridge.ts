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
import { REGION_ALONE } from "./policy-watched.js"

export const policyEventbridge = defineCommand({
  name: "policy eventbridge",
  describe:
    "print the rules of EventBridge that tell of key material that has expired and of keys that were taken away",
  examples: [["$0 policy eventbridge --notify arn:aws:sns:eu-west-3:111122223333:keys --format terraform", ""]],
  names: KEY_NAMES,
  options: { notify: NOTIFY, target: TARGET, region: REGION_ALONE, format: FORMAT },
  async run(args, { world }) {
    const { rulesFor } = await import("../../core/policy/eventbridge.js")
    const { needsOf } = await import("../../core/policy/needs.js")
    const { cloudFormation, eventRules, terraform } = await import("../../core/policy/templates.js")
    const { owner, regions } = needsOf(await manifestOf({ world }), scopeOf(args))
    const chosen = regions.filter((region) => args.region === undefined || args.region === region)
    refuseManyRegions(args.format, chosen)
    const rules = rulesFor(owner, chosen, notifyOf(args.notify, chosen))
    return formed(args.format, {
      json: () => ({ rules }),
      cloudformation: () => cloudFormation(eventRules.cloudFormation(rules)),
      terraform: () => terraform(eventRules.terraform(rules)),
    })
  },
})
