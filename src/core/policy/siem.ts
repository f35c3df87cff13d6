import type { PolicyNeeds } from "./needs.js"

/** What is expected, for detection rules that take every import of key material for an attack. */
export interface ExpectedImports {
  readonly eventSource: "kms.amazonaws.com"
  readonly eventNames: readonly string[]
  /** Roles as CloudTrail names them in `userIdentity.sessionContext.sessionIssuer.arn`. */
  readonly principals: readonly string[]
  readonly accounts: readonly string[]
  readonly regions: readonly string[]
  /** KMS keys that are known here. */
  readonly keyArns: readonly string[]
  /** What the rule leaves out, in languages of search. */
  readonly queries: { readonly kql: string; readonly spl: string; readonly logsInsights: string }
  /** A filter of Sigma, to be named in a rule's condition: `selection and not keyferry`. */
  readonly sigma: Readonly<Record<string, unknown>>
}

const EVENTS = ["GetParametersForImport", "ImportKeyMaterial"]
const ISSUER = "userIdentity.sessionContext.sessionIssuer.arn"

/** The allow-list is of principals: deletions are never on it, nor is an import by anybody else. */
export function expectedImports(
  { account, regions }: PolicyNeeds,
  principals: readonly string[],
  keyArns: readonly string[],
): ExpectedImports {
  const any = (field: string, texts: readonly string[], equals: string, or: string): string =>
    `(${texts.map((text) => `${field}${equals}"${text}"`).join(` ${or} `)})`
  return {
    eventSource: "kms.amazonaws.com",
    eventNames: EVENTS,
    principals,
    accounts: account === null ? [] : [account],
    regions,
    keyArns,
    queries: {
      kql: `not (${any("event.action", EVENTS, ": ", "or")} and ${any("aws.cloudtrail.user_identity.session_context.session_issuer.arn", principals, ": ", "or")})`,
      spl: `NOT (${any("eventName", EVENTS, "=", "OR")} ${any(ISSUER, principals, "=", "OR")})`,
      logsInsights: `filter not (${any("eventName", EVENTS, " = ", "or")} and ${any(ISSUER, principals, " = ", "or")})`,
    },
    sigma: { keyferry: { eventSource: "kms.amazonaws.com", eventName: EVENTS, [ISSUER]: principals } },
  }
}
