import { isLike } from "./pattern.js"
import { PolicyError, textsOf } from "./policy-text.js"

/** What is known of a request, by condition key in lower case; a key that is not there was not in the request. */
export type RequestContext = Readonly<Record<string, readonly string[]>>

export interface Condition {
  readonly key: string
  readonly holds: (values: readonly string[] | undefined) => boolean
}

/** The condition keys that are evaluated; those that end in a slash are followed by the key of a tag. */
export const CONDITION_KEYS = [
  "kms:CallerAccount",
  "kms:ExpirationModel",
  "kms:KeyOrigin",
  "kms:KeySpec",
  "kms:KeyUsage",
  "kms:MultiRegion",
  "kms:MultiRegionKeyType",
  "kms:ReplicaRegion",
  "kms:ResourceAliases",
  "kms:ValidTo",
  "kms:WrappingAlgorithm",
  "kms:WrappingKeySpec",
  "aws:PrincipalAccount",
  "aws:PrincipalArn",
  "aws:RequestTag/",
  "aws:RequestedRegion",
  "aws:ResourceTag/",
  "aws:TagKeys",
] as const

const isEvaluated = (key: string): boolean =>
  CONDITION_KEYS.some((name) =>
    name.endsWith("/") ? key.startsWith(name.toLowerCase()) && key.length > name.length : key === name.toLowerCase(),
  )

type Comparison = (actual: string, expected: string) => boolean

const numeric =
  (compare: (actual: number, expected: number) => boolean): Comparison =>
  (actual, expected) =>
    compare(Number(actual), Number(expected))

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  StringEquals: (actual, expected) => actual === expected,
  StringEqualsIgnoreCase: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
  StringLike: (actual, expected) => isLike(actual, expected),
  ArnEquals: (actual, expected) => isLike(actual, expected),
  ArnLike: (actual, expected) => isLike(actual, expected),
  Bool: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
  NumericEquals: numeric((actual, expected) => actual === expected),
  NumericLessThan: numeric((actual, expected) => actual < expected),
  NumericLessThanEquals: numeric((actual, expected) => actual <= expected),
  NumericGreaterThan: numeric((actual, expected) => actual > expected),
  NumericGreaterThanEquals: numeric((actual, expected) => actual >= expected),
}

/** Operators that say that none of the values is so. */
const NEGATED: Readonly<Record<string, string>> = {
  StringNotEquals: "StringEquals",
  StringNotEqualsIgnoreCase: "StringEqualsIgnoreCase",
  StringNotLike: "StringLike",
  ArnNotEquals: "ArnEquals",
  ArnNotLike: "ArnLike",
  NumericNotEquals: "NumericEquals",
}

const OPERATOR = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/

/** Every condition of a statement, all of which must hold. @throws PolicyError for what is not evaluated */
export function readConditions(conditions: Readonly<Record<string, unknown>>): readonly Condition[] {
  return Object.entries(conditions).flatMap(([operator, keys]) =>
    entriesOf(keys, operator).map(([name, expected]: [string, unknown]) => {
      const key = name.toLowerCase()
      if (!isEvaluated(key)) throw new PolicyError(`the local KMS evaluates no condition key ${name}`)
      return { key, holds: testOf(operator, textsOf(expected, name)) }
    }),
  )
}

function entriesOf(keys: unknown, operator: string): readonly [string, unknown][] {
  if (typeof keys === "object" && keys !== null && !Array.isArray(keys)) return Object.entries(keys)
  throw new PolicyError(`${operator} names condition keys`)
}

function testOf(operator: string, expected: readonly string[]): Condition["holds"] {
  if (operator === "Null") return (values) => expected.includes(String(values === undefined))
  const [, set, name = "", ifExists] = OPERATOR.exec(operator) ?? []
  const positive = NEGATED[name] ?? name
  const compare = COMPARISONS[positive]
  if (compare === undefined) throw new PolicyError(`the local KMS evaluates no condition operator ${operator}`)
  const isOne = (value: string): boolean => expected.some((each) => compare(value, each)) === (positive === name)
  return (values) => {
    // a key without a value: sets of values hold or not by their own rule, "is not" holds, "is" does not
    if (values === undefined)
      return set === undefined ? ifExists !== undefined || positive !== name : set === "ForAllValues"
    if (set === "ForAllValues" || (set === undefined && positive !== name)) return values.every(isOne)
    return values.some(isOne)
  }
}
