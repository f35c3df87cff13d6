import { allOf, type Conditions, documentOf, oneOrMore, type PolicyDocument, type PolicyStatement } from "./document.js"
import { arnsOf, ownerOf } from "./iam.js"
import type { PolicyNeeds } from "./needs.js"

/** Who may do what the guard keeps from everybody else: ARNs of roles or users, with `*` where wanted. */
export interface GuardPrincipals {
  /** As whom keyferry works. */
  readonly keyferry: readonly string[]
  /** Who may delete; nobody where it is empty, as long as the guard is there. */
  readonly breakGlass: readonly string[]
}

/**
 * Denies, for the keys of an owner, deletion of key material and keys to all but break-glass, and imports and changes of
 * keyferry's tags to all but keyferry. It allows nothing: a service control policy, or a policy beside others.
 */
export function guardPolicy(needs: PolicyNeeds, { keyferry, breakGlass }: GuardPrincipals): PolicyDocument {
  const others = notOf(keyferry)
  const markers = { "ForAnyValue:StringLike": { "aws:TagKeys": "keyferry:*" } }
  return documentOf([
    ...deny("DenyDeletion", ["DeleteImportedKeyMaterial", "ScheduleKeyDeletion"], needs, notOf(breakGlass)),
    ...deny("DenyForeignImport", ["GetParametersForImport", "ImportKeyMaterial"], needs, others),
    ...deny("DenyUnmarking", ["TagResource", "UntagResource"], needs, allOf(markers, others)),
    // IAM takes KEYFERRY:OWNER for the same condition key, KMS for another tag: which of the two would count is not said
    ...deny(
      "DenyRemarking",
      ["TagResource"],
      needs,
      allOf({ Null: { "aws:RequestTag/keyferry:owner": "false" } }, others),
    ),
    {
      Sid: "DenyForeignMarking",
      Effect: "Deny",
      Action: "kms:TagResource",
      Resource: oneOrMore(arnsOf(needs, "key/*")),
      Condition: allOf(ownerOf("RequestTag", needs), others),
    },
  ])
}

const notOf = (principals: readonly string[]): Conditions =>
  principals.length === 0 ? {} : { ArnNotLike: { "aws:PrincipalArn": oneOrMore(principals) } }

function deny(
  sid: string,
  actions: readonly string[],
  needs: PolicyNeeds,
  conditions: Conditions,
): readonly PolicyStatement[] {
  const { keyArns, partition, account } = needs
  const statement = (name: string, resources: readonly string[], condition: Conditions): PolicyStatement => ({
    Sid: name,
    Effect: "Deny",
    Action: oneOrMore(actions.map((action) => `kms:${action}`)),
    Resource: oneOrMore(resources),
    ...(Object.keys(condition).length === 0 ? {} : { Condition: condition }),
  })
  // in every Region: a replica may have been made elsewhere
  const anyKey = `arn:${partition}:kms:*:${account ?? "*"}:key/*`
  return [
    statement(sid, [anyKey], allOf(conditions, ownerOf("ResourceTag", needs))),
    ...(keyArns.length === 0 ? [] : [statement(`${sid}Given`, keyArns, conditions)]),
  ]
}
