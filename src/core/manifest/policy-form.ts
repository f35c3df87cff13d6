import { canonicalJson } from "../base/json.js"

/**
 * A key policy in the one form in which two that mean the same are the same text. KMS gives a policy back otherwise than
 * it was put: an account number as the ARN of its root, a list of one as a string, principals and statements in another
 * order. What it means is what counts: whoever compares the text puts the same policy again for ever.
 */
export function canonicalPolicy(text: string): string {
  let policy: unknown
  try {
    policy = JSON.parse(text)
  } catch {
    return text
  }
  if (!isObject(policy)) return canonicalJson(text)
  const { Version: version = OLDEST_VERSION, Statement: statements, ...others } = policy
  const canonical = list(statements ?? []).map((statement) => canonicalJson(JSON.stringify(statementForm(statement))))
  return canonicalJson(JSON.stringify({ ...others, Version: version, Statement: canonical.sort() }))
}

/** What IAM takes a policy without Version for. */
const OLDEST_VERSION = "2008-10-17"

function statementForm(statement: unknown): unknown {
  if (!isObject(statement)) return statement
  return Object.fromEntries(Object.entries(statement).map(([name, value]) => [name, partForm(name, value)]))
}

function partForm(name: string, value: unknown): unknown {
  if (/^(Not)?Principal$/.test(name)) return principalForm(value)
  // IAM compares actions without regard to case
  if (/^(Not)?Action$/.test(name)) return setOf(list(value).map((action) => String(action).toLowerCase()))
  if (/^(Not)?Resource$/.test(name)) return setOf(list(value))
  return name === "Condition" ? conditionForm(value) : value
}

/** `"*"` is everybody, as `{"AWS": "*"}` is in a key policy. */
function principalForm(principal: unknown): unknown {
  if (!isObject(principal)) return { AWS: setOf(list(principal).map(accountForm)) }
  return Object.fromEntries(
    Object.entries(principal).map(([kind, names]) => [kind, setOf(list(names).map(accountForm))]),
  )
}

/** `111122223333` for the ARN of its root, in whichever partition. */
function accountForm(principal: unknown): unknown {
  const [, account] = /^arn:[\w-]+:iam::(\d{12}):root$/.exec(String(principal)) ?? []
  return account ?? principal
}

/** Operators, then keys, whose case IAM does not regard, then values; true and 5 come back as strings. */
function conditionForm(condition: unknown): unknown {
  if (!isObject(condition)) return condition
  const operators = Object.entries(condition).map(([operator, keys]): readonly [string, unknown] => {
    if (!isObject(keys)) return [operator, keys] as const
    const values = Object.entries(keys).map(([key, value]) => [key.toLowerCase(), setOf(list(value).map(String))])
    return [operator, Object.fromEntries(values)] as const
  })
  return Object.fromEntries(operators)
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : [value])

const setOf = (values: readonly unknown[]): readonly unknown[] => [...new Set(values)].sort()

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
