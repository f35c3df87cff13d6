import { keyOperation } from "./operation.js"
import { pageFields } from "../protocol/page.js"
import { documented } from "../protocol/refusal.js"
import { partitionOf, type Region } from "../state/state.js"
import { flag, required, text } from "../protocol/request.js"

/** The characters of the API; KMS takes 32 KB of them. */
export const POLICY = text({ max: 32_768, pattern: /^[\t\n\r\x20-\xff]+$/ })

const POLICY_NAME = text({ max: 128, pattern: /^\w+$/ })

/** The key policy that KMS gives a key whose creator sent none. */
export function defaultPolicy({ name, account }: Region): string {
  const statement = {
    Sid: "Enable IAM User Permissions",
    Effect: "Allow",
    Principal: { AWS: `arn:${partitionOf(name)}:iam::${account}:root` },
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
    key.policy = rewritten(Policy, key.region)
    return {}
  },
})

/**
 * A policy as KMS gives it back: account numbers as the ARN of their root, a list of one as a string, principals in an order
 * of its own, other blanks. It is not enforced.
 *
 * @throws MalformedPolicyDocumentException
 */
export function rewritten(policy: string, { name }: Pick<Region, "name">): string {
  let document: unknown
  try {
    document = JSON.parse(policy)
  } catch {
    throw documented.malformedPolicy()
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw documented.malformedPolicy()
  const { Statement: statements } = document as { readonly Statement?: unknown }
  const written =
    statements === undefined
      ? document
      : {
          ...document,
          Statement: [statements].flat().map((each: unknown) => rewrittenStatement(each, partitionOf(name))),
        }
  return JSON.stringify(written, null, 2).replaceAll(/^( *"(?:[^"\\]|\\.)*"):/gm, "$1 :")
}

const LISTS = ["Action", "NotAction", "Resource", "NotResource"]

function rewrittenStatement(statement: unknown, partition: string): unknown {
  if (typeof statement !== "object" || statement === null) return statement
  return Object.fromEntries(
    Object.entries(statement).map(([name, member]: [string, unknown]) => {
      if (LISTS.includes(name)) return [name, single(member)]
      if (!name.endsWith("Principal") || typeof member !== "object" || member === null) return [name, member]
      const principals = Object.entries(member).map(([kind, named]: [string, unknown]) => [
        kind,
        principalsOf(named, partition),
      ])
      return [name, Object.fromEntries(principals)]
    }),
  )
}

function principalsOf(named: unknown, partition: string): unknown {
  const arns = [named].flat().map((principal: unknown) => {
    return typeof principal === "string" && /^\d{12}$/.test(principal)
      ? `arn:${partition}:iam::${principal}:root`
      : principal
  })
  return single(arns.sort().reverse())
}

const single = (list: unknown): unknown => (Array.isArray(list) && list.length === 1 ? (list as unknown[])[0] : list)
