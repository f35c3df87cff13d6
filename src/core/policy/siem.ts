import type { PolicyNeeds } from "./needs.js"

/** What is expected, for detection rules that take every import of key material for an attack. */
export interface ExpectedImports {
  readonly eventSource: "kms.amazonaws.com"
  readonly eventNames: readonly string[]
  /** Roles as CloudTrail names them in `userIdentity.sessionContext.sessionIssuer.arn`, users in `userIdentity.arn`. */
  readonly principals: readonly string[]
  readonly accounts: readonly string[]
  readonly regions: readonly string[]
  /** KMS keys that are known here. */
  readonly keyArns: readonly string[]
  /** What the rule leaves out, in languages of search. */
  readonly queries: { readonly kql: string; readonly spl: string; readonly logsInsights: string }
  /** A filter of Sigma (any of its parts), to be named in a rule's condition: `selection and not keyferry`. */
  readonly sigma: Readonly<Record<string, unknown>>
}

const EVENTS = ["GetParametersForImport", "ImportKeyMaterial"]

/** Where CloudTrail names a principal, and Elastic's fields of it: a user has no session. */
const FIELDS = {
  role: {
    cloudTrail: "userIdentity.sessionContext.sessionIssuer.arn",
    elastic: "aws.cloudtrail.user_identity.session_context.session_issuer.arn",
  },
  user: { cloudTrail: "userIdentity.arn", elastic: "aws.cloudtrail.user_identity.arn" },
} as const

const fieldsOf = (principal: string) => (principal.includes(":user/") ? FIELDS.user : FIELDS.role)

/** The allow-list is of principals: deletions are never on it, nor is an import by anybody else. */
export function expectedImports(
  { account, regions }: PolicyNeeds,
  principals: readonly string[],
  keyArns: readonly string[],
): ExpectedImports {
  const anyOf = (terms: readonly string[], or: string): string => `(${terms.join(` ${or} `)})`
  const events = (field: string, equals: string, or: string): string =>
    anyOf(
      EVENTS.map((event) => `${field}${equals}"${event}"`),
      or,
    )
  const by = (place: keyof typeof FIELDS.role, equals: string, or: string): string =>
    anyOf(
      principals.map((principal) => `${fieldsOf(principal)[place]}${equals}"${principal}"`),
      or,
    )
  const parts = Object.values(FIELDS).flatMap((fields) => {
    const named = principals.filter((principal) => fieldsOf(principal) === fields)
    if (named.length === 0) return []
    return [{ eventSource: "kms.amazonaws.com", eventName: EVENTS, [fields.cloudTrail]: named }]
  })
  return {
    eventSource: "kms.amazonaws.com",
    eventNames: EVENTS,
    principals,
    accounts: account === null ? [] : [account],
    regions,
    keyArns,
    queries: {
      kql: `not (${events("event.action", ": ", "or")} and ${by("elastic", ": ", "or")})`,
      spl: `NOT (${events("eventName", "=", "OR")} ${by("cloudTrail", "=", "OR")})`,
      logsInsights: `filter not (${events("eventName", " = ", "or")} and ${by("cloudTrail", " = ", "or")})`,
    },
    sigma: { keyferry: parts.length === 1 ? parts[0] : parts },
  }
}
