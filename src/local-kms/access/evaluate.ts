import type { Caller } from "./caller.js"
import type { RequestContext } from "./condition.js"
import type { Statement } from "./document.js"
import { isLike } from "./pattern.js"

/** One action on one resource, as IAM is asked for it. */
export interface AccessRequest {
  /** `kms:CreateKey`. */
  readonly action: string
  /** An ARN, or `*` for what has none. */
  readonly resource: string
  readonly context: RequestContext
}

export interface Policies {
  /** Those of the caller, and those that hold for everyone. */
  readonly identity: readonly Statement[]
  /** The key policy; null where the resource has none. */
  readonly resource: readonly Statement[] | null
}

/**
 * Whether a request is allowed: null, or why not, in AWS' own words (IAM User Guide, "Policy evaluation logic", within one
 * account). A Deny wins. A key policy allows by itself, or by naming the account lets the caller's own policies allow;
 * what is no key is the caller's own policies' alone.
 */
export function refusalOf(request: AccessRequest, caller: Caller, { identity, resource }: Policies): string | null {
  const { action } = request
  const fits = ({ actions, resources, conditions }: Statement): boolean =>
    matches(actions, (pattern) => isLike(action.toLowerCase(), pattern.toLowerCase())) &&
    matches(resources, (pattern) => isLike(request.resource, pattern)) &&
    conditions.every(({ key, holds }) => holds(request.context[key]))
  const identityStatements = identity.filter(fits)
  const ofKey = (resource ?? [])
    .map((statement) => ({ ...statement, resources: ANY }))
    .filter((statement) => fits(statement) && reachOf(statement, caller) !== null)
  const isDeny = ({ effect }: Statement): boolean => effect === "Deny"
  if (identityStatements.some(isDeny)) return "with an explicit deny in an identity-based policy"
  if (ofKey.some(isDeny)) return "with an explicit deny in a resource-based policy"
  if (resource !== null) {
    if (ofKey.some((statement) => reachOf(statement, caller) === "caller")) return null
    if (ofKey.length === 0) return `because no resource-based policy allows the ${action} action`
  }
  return identityStatements.length > 0 ? null : `because no identity-based policy allows the ${action} action`
}

const ANY = { patterns: ["*"], negated: false }

function matches({ patterns, negated }: Statement["actions"], isMatch: (pattern: string) => boolean): boolean {
  return patterns.some(isMatch) !== negated
}

/** Whether a statement of a key policy means the caller, or his account as a whole. */
function reachOf({ principals }: Statement, { arn, principalArn, account }: Caller): "caller" | "account" | null {
  const named = principals ?? []
  if (named.some((principal) => principal === "*" || principal === arn || principal === principalArn)) return "caller"
  const ofAccount = (principal: string): boolean =>
    principal === account || new RegExp(`^arn:[a-z-]+:iam::${account}:root$`).test(principal)
  return named.some(ofAccount) ? "account" : null
}
