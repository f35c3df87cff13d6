import { keyOperation } from "./operation.js"
import { pageFields } from "../protocol/page.js"
import { documented } from "../protocol/refusal.js"
import { flag, required, text } from "../protocol/request.js"

/** The characters of the API; KMS takes 32 KB of them. */
export const POLICY = text({ max: 32_768, pattern: /^[\t\n\r\x20-\xff]+$/ })

const POLICY_NAME = text({ max: 128, pattern: /^\w+$/ })

/** The key policy that KMS gives a key whose creator sent none. */
export function defaultPolicy(account: string): string {
  const statement = {
    Sid: "Enable IAM User Permissions",
    Effect: "Allow",
    Principal: { AWS: `arn:aws:iam::${account}:root` },
    Action: "kms:*",
    Resource: "*",
  }
  return JSON.stringify({ Version: "2012-10-17", Id: "key-default-1", Statement: [statement] }, null, 2)
}

function requireDefault(name: string | undefined): void {
  if (name !== undefined && name !== "default") throw documented.noPolicy(name)
}

export const GetKeyPolicy = keyOperation({
  state: "look",
  request: { PolicyName: POLICY_NAME },
  run(key, { PolicyName }) {
    requireDefault(PolicyName)
    return { Policy: key.policy, PolicyName: "default" }
  },
})

export const ListKeyPolicies = keyOperation({
  state: "look",
  request: pageFields(1000),
  // a key has one policy, of this name
  run: () => ({ PolicyNames: ["default"], Truncated: false }),
})

export const PutKeyPolicy = keyOperation({
  state: "look",
  mutates: true,
  request: { PolicyName: POLICY_NAME, Policy: required(POLICY), BypassPolicyLockoutSafetyCheck: flag() },
  run(key, { PolicyName, Policy }) {
    requireDefault(PolicyName)
    requireJson(Policy)
    key.policy = Policy
    return {}
  },
})

/** A policy is stored and given back; it is not enforced. */
export function requireJson(policy: string): void {
  try {
    JSON.parse(policy)
  } catch {
    throw documented.malformedPolicy()
  }
}
