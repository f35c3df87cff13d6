import { defineCommand } from "../command.js"
import { FORMAT, formed, KEY_NAMES, manifestOf, remarksOn, scopeOf, TARGET } from "./policy.js"

export const policyIam = defineCommand({
  name: "policy iam",
  describe: "print the IAM policy that keyferry needs for the keys of the configuration, and no more",
  examples: [
    ["$0 policy iam > keyferry.json", "for the role that provisions, rewraps, rotates and verifies"],
    ["$0 policy iam --break-glass --format terraform", "for the role that disables, deletes and retires"],
  ],
  names: KEY_NAMES,
  options: {
    "break-glass": {
      type: "boolean",
      default: false,
      describe: "for delete-material, schedule-deletion, retire, disable and enable instead",
    },
    target: TARGET,
    format: FORMAT,
  },
  async run(args, { world, progress }) {
    const { iamPolicy } = await import("../../core/policy/iam.js")
    const { needsOf } = await import("../../core/policy/needs.js")
    const { cloudFormation, managedPolicy, terraform } = await import("../../core/policy/templates.js")
    const needs = needsOf(await manifestOf({ world }), scopeOf(args))
    const document = iamPolicy(args.breakGlass ? "break-glass" : "iam", needs)
    for (const remark of remarksOn(document, needs.account, "managed")) progress.warn(remark)
    const name = `keyferry-${needs.owner}${args.breakGlass ? "-break-glass" : ""}`
    return formed(args.format, {
      json: () => document,
      cloudformation: () => cloudFormation(managedPolicy.cloudFormation(name, document)),
      terraform: () => terraform(managedPolicy.terraform(name, document)),
    })
  },
})
