import { type Condition, readConditions } from "./condition.js"
import { literalsOf, PolicyError, textsOf } from "./policy-text.js"

/** Whose policy it is: an identity's names no principals, a KMS key's names them in each statement. */
export type PolicyKind = "identity" | "key"

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
export function readPolicy(document: unknown, kind: PolicyKind = "identity"): readonly Statement[] {
  const policy = asObject(document, "a policy")
  const { Version: version, Statement: statements } = policy
  const unknown = Object.keys(policy).find((name) => !["Version", "Id", "Statement"].includes(name))
  if (unknown !== undefined) throw new PolicyError(`a policy has no member ${unknown}`)
  if (version !== undefined && version !== "2012-10-17" && version !== "2008-10-17") {
    throw new PolicyError("Version is 2012-10-17")
  }
  if (statements === undefined) throw new PolicyError("a policy has a Statement")
  const list = [statements].flat().map((statement: unknown) => asObject(statement, "a statement"))
  if (kind === "identity") refuseSids(list.flatMap(({ Sid: sid }) => (sid === undefined ? [] : [sid])))
  return list.map((statement) => readStatement(statement, kind))
}

/** IAM's rule; KMS takes any in a key policy. */
function refuseSids(sids: readonly unknown[]): void {
  const wrong = sids.find(
    (sid, index) => typeof sid !== "string" || !/^[A-Za-z0-9]*$/.test(sid) || sids.indexOf(sid) < index,
  )
  if (wrong === undefined) return
  throw new PolicyError(`Sid ${JSON.stringify(wrong)} is not letters and digits, or stands in two statements`)
}

function readStatement(statement: Readonly<Record<string, unknown>>, kind: PolicyKind): Statement {
  const unknown = Object.keys(statement).find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) throw new PolicyError(`the local KMS evaluates no ${unknown} in a statement`)
  const { Effect: effect, Principal: principal, Condition: conditions = {} } = statement
  if (effect !== "Allow" && effect !== "Deny") throw new PolicyError("Effect is Allow or Deny")
  if ((principal === undefined) !== (kind === "identity")) {
    throw new PolicyError(
      kind === "identity" ? "an identity's policy has no Principal" : "a statement of a key policy has a Principal",
    )
  }
  return {
    effect,
    actions: patternsOf(statement, "Action"),
    // a key policy's resource is its key, whatever it says
    resources: patternsOf(statement, "Resource"),
    principals: principal === undefined ? null : principalsOf(principal),
    conditions: readConditions(asObject(conditions, "Condition")),
  }
}

/** What IAM takes beside `*`. */
const SHAPES = { Action: /^[A-Za-z0-9-]+:./, Resource: /^arn:/ }

function patternsOf(statement: Readonly<Record<string, unknown>>, name: "Action" | "Resource"): Patterns {
  const { [name]: included, [`Not${name}`]: excluded } = statement
  if ((included === undefined) === (excluded === undefined)) {
    throw new PolicyError(`a statement has either ${name} or Not${name}`)
  }
  const patterns = literalsOf(included ?? excluded, name)
  const wrong = patterns.find((pattern) => pattern !== "*" && !SHAPES[name].test(pattern))
  if (wrong !== undefined)
    throw new PolicyError(`${name} ${wrong} is ${name === "Action" ? "no SERVICE:ACTION" : "no ARN"}`)
  return { patterns, negated: included === undefined }
}

/** They never call a local KMS. */
const ELSEWHERE = ["Service", "Federated", "CanonicalUser"]

function principalsOf(principal: unknown): readonly string[] {
  if (principal === "*") return ["*"]
  const { AWS: named, ...others } = asObject(principal, "Principal")
  const unknown = Object.keys(others).find((name) => !ELSEWHERE.includes(name))
  if (unknown !== undefined) throw new PolicyError(`the local KMS evaluates no Principal.${unknown}`)
  if (named === undefined && Object.keys(others).length > 0) return []
  const principals = textsOf(named, "Principal.AWS")
  const wildcard = principals.find((text) => text !== "*" && /[*?]/.test(text))
  if (wildcard !== undefined) throw new PolicyError(`Principal ${wildcard} has a wildcard, and may be * alone`)
  return principals
}

function asObject(value: unknown, label: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new PolicyError(`${label} is an object`)
}
