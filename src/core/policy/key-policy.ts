import { actionsOf, KMS_ACTIONS } from "./actions.js"
import { type PolicyDocument, documentOf, oneOrMore } from "./document.js"
import { keyStatements } from "./iam.js"
import type { PolicyNeeds } from "./needs.js"

/**
 * A key policy: the account keeps what IAM gives, without which nobody could repair the policy, and the identities that keyferry
 * works as may import and prove. In a key policy the resource is the key itself.
 */
export function keyPolicy(needs: PolicyNeeds, account: string, principals: readonly string[]): PolicyDocument {
  const actions = actionsOf("iam", needs)
  const looks = actions.filter((action) => KMS_ACTIONS[action].on === "any key")
  const work = keyStatements(actions, { ...needs, made: false, keyArns: ["*"], taggedArns: ["*"] })
  const principal = { AWS: oneOrMore(principals) }
  return documentOf([
    {
      Sid: "AccountByIam",
      Effect: "Allow",
      Principal: { AWS: `arn:${needs.partition}:iam::${account}:root` },
      Action: "kms:*",
      Resource: "*",
    },
    {
      Sid: "KeyferryLook",
      Effect: "Allow",
      Principal: principal,
      Action: oneOrMore(looks.map((action) => `kms:${action}`)),
      Resource: "*",
    },
    ...work.map(({ Sid, Effect, ...statement }) => ({
      Sid: `Keyferry${Sid.replace(/Given$/, "")}`,
      Effect,
      Principal: principal,
      ...statement,
    })),
  ])
}
