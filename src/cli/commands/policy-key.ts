import { KeyferryError } from "../../core/base/error.js"
import { defineCommand } from "../command.js"
import {
  FORMAT,
  formed,
  KEY_NAMES,
  manifestOf,
  PRINCIPAL,
  principalsOf,
  refuseManyRegions,
  remarksOn,
  scopeOf,
  TARGET,
} from "./policy.js"

export const policyKey = defineCommand({
  name: "policy key",
  describe: "print a key policy: the account keeps what IAM gives, and keyferry may import and prove",
  examples: [
    ["$0 policy key payments > payments-policy.json", "for --key-policy, or keyPolicy in the configuration"],
    ["$0 policy key payments --format cloudformation", "a KMS key with it, without material, for keyArn to name"],
  ],
  names: KEY_NAMES,
  options: { principal: PRINCIPAL, target: TARGET, format: FORMAT },
  async run(args, { world, progress }) {
    const { keyPolicy } = await import("../../core/policy/key-policy.js")
    const { bindingsIn, needsOf } = await import("../../core/policy/needs.js")
    const { cloudFormation, emptyKeys, terraform } = await import("../../core/policy/templates.js")
    const manifest = await manifestOf({ world })
    const scope = scopeOf(args)
    const needs = needsOf(manifest, scope)
    const principals = principalsOf(args.principal, needs.roles, { sessions: true, partition: needs.partition })
    const account = needs.account ?? principals[0]?.split(":")[4]
    if (account === undefined) throw new KeyferryError("ERR_USAGE", "no target names its account")
    const document = keyPolicy(needs, account, principals)
    for (const remark of remarksOn(document, account, "key")) progress.warn(remark)
    const bindings = bindingsIn(manifest, scope)
    const regionOf = (target: string): string => manifest.targets[target]?.region ?? ""
    refuseManyRegions(
      args.format,
      bindings.map(({ target }) => regionOf(target)),
      "give --target NAME, and make a stack in each",
    )
    return formed(args.format, {
      json: () => document,
      cloudformation: () => cloudFormation(emptyKeys.cloudFormation(bindings, document)),
      terraform: () => terraform(emptyKeys.terraform(bindings, document, regionOf)),
    })
  },
})
