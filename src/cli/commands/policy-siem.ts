import { defineCommand } from "../command.js"
import { KEY_NAMES, manifestOf, PRINCIPAL, principalsOf, scopeOf, TARGET } from "./policy.js"
import { watchedIn } from "./policy-watched.js"

export const policySiem = defineCommand({
  name: "policy siem",
  describe: "print what detection rules that flag imports of key material should expect of keyferry, as JSON",
  examples: [["$0 policy siem", "principals, keys and ready filters for KQL, SPL, CloudWatch Logs Insights and Sigma"]],
  names: KEY_NAMES,
  options: { principal: PRINCIPAL, target: TARGET },
  async run(args, { world }) {
    const { needsOf } = await import("../../core/policy/needs.js")
    const { expectedImports } = await import("../../core/policy/siem.js")
    const manifest = await manifestOf({ world })
    const scope = scopeOf(args)
    const needs = needsOf(manifest, scope)
    const principals = principalsOf(args.principal, needs.roles, needs)
    const { keys } = await watchedIn(world, manifest, { ...scope, region: null })
    const content = expectedImports(
      needs,
      principals,
      keys.map(({ keyArn }) => keyArn),
    )
    return { result: { format: "json", content }, text: () => JSON.stringify(content, null, 2) }
  },
})
