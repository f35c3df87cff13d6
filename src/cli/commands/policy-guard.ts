import { defineCommand } from "../command.js"
import { FORMAT, formed, KEY_NAMES, manifestOf, PRINCIPAL, principalsOf, remarksOn, scopeOf, TARGET } from "./policy.js"

export const policyGuard = defineCommand({
  name: "policy guard",
  describe: "print a policy that denies everybody else to delete or import key material of these keys",
  examples: [
    [
      "$0 policy guard --break-glass-principal arn:aws:iam::111122223333:role/byok-break-glass",
      "for a service control policy; without the flag nobody deletes while it is there",
    ],
  ],
  names: KEY_NAMES,
  options: {
    principal: PRINCIPAL,
    "break-glass-principal": {
      type: "string",
      array: true,
      requiresArg: true,
      describe: "ARN of the role that may delete all the same; may be given again",
    },
    target: TARGET,
    format: FORMAT,
  },
  async run(args, { world, progress }) {
    const { guardPolicy } = await import("../../core/policy/guard.js")
    const { needsOf } = await import("../../core/policy/needs.js")
    const { cloudFormation, controlPolicy, terraform } = await import("../../core/policy/templates.js")
    const needs = needsOf(await manifestOf({ world }), scopeOf(args))
    const forms = { patterns: true, partition: needs.partition }
    const keyferry = principalsOf(args.principal, needs.roles, forms)
    const { breakGlassPrincipal } = args
    const breakGlass =
      breakGlassPrincipal === undefined
        ? []
        : principalsOf(breakGlassPrincipal, [], { ...forms, option: "break-glass-principal" })
    const document = guardPolicy(needs, { keyferry, breakGlass })
    for (const remark of remarksOn(document, needs.account, "control")) progress.warn(remark)
    const name = `keyferry-${needs.owner}-guard`
    return formed(args.format, {
      json: () => document,
      cloudformation: () => cloudFormation(controlPolicy.cloudFormation(name, document)),
      terraform: () => terraform(controlPolicy.terraform(name, document)),
    })
  },
})
