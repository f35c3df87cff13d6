import { type Condition, readConditions } from "./condition.js"
import { PolicyError, textsOf } from "./policy-text.js"

/** Patterns with `*` and `?`; `negated` for NotAction and NotResource. */
interface Patterns {
  readonly patterns: readonly string[]
  readonly negated: boolean
}

export interface Statement {
  readonly effect: "Allow" | "Deny"
  readonly actions: Patterns
  readonly resources: Patterns
  /** ARNs, account numbers and `*` under `AWS`; null in a policy of an identity, which has no principals. */
  readonly principals: readonly string[] | null
  readonly conditions: readonly Condition[]
}

const MEMBERS = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"]

/**
 * Reads a policy document: the part of IAM's language that docs/local-kms.md names. What is beyond it is refused by its
 * name, since a rule that is passed over would let pass or refuse what AWS does not.
 *
 * @throws PolicyError
 */
export function readPolicy(document: unknown): readonly Statement[] {
  const policy = asObject(document, "a policy")
  const { Version: version, Statement: statements } = policy
  const unknown = Object.keys(policy).find((name) => !["Version", "Id", "Statement"].includes(name))
  if (unknown !== undefined) throw new PolicyError(`a policy has no member ${unknown}`)
  if (version !== undefined && version !== "2012-10-17" && version !== "2008-10-17") {
    throw new PolicyError("Version is 2012-10-17")
  }
  if (statements === undefined) throw new PolicyError("a policy has a Statement")
  return [statements].flat().map(readStatement)
}

function readStatement(json: unknown): Statement {
  const statement = asObject(json, "a statement")
  const unknown = Object.keys(statement).find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) throw new PolicyError(`the local KMS evaluates no ${unknown} in a statement`)
  const { Effect: effect, Principal: principal, Condition: conditions = {} } = statement
  if (effect !== "Allow" && effect !== "Deny") throw new PolicyError("Effect is Allow or Deny")
  return {
    effect,
    actions: patternsOf(statement, "Action"),
    // a key policy's resource is its key, whatever it says
    resources: patternsOf(statement, "Resource"),
    principals: principal === undefined ? null : principalsOf(principal),
    conditions: readConditions(asObject(conditions, "Condition")),
  }
}

function patternsOf(statement: Readonly<Record<string, unknown>>, name: "Action" | "Resource"): Patterns {
  const { [name]: included, [`Not${name}`]: excluded } = statement
  if ((included === undefined) === (excluded === undefined)) {
    throw new PolicyError(`a statement has either ${name} or Not${name}`)
  }
  return { patterns: textsOf(included ?? excluded, name), negated: included === undefined }
}

function principalsOf(principal: unknown): readonly string[] {
  if (principal === "*") return ["*"]
  const { AWS: named, ...others } = asObject(principal, "Principal")
  const [unknown] = Object.keys(others)
  // services and federated users never call a local KMS
  return named === undefined && unknown !== undefined ? [] : textsOf(named, "Principal.AWS")
}

function asObject(value: unknown, label: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new PolicyError(`${label} is an object`)
}
