import { isArnPattern, isLike } from "./pattern.js"
import { literalsOf, PolicyError } from "./policy-text.js"

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
  StringLike: isLike,
  ArnEquals: isLike,
  ArnLike: isLike,
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
      return { key, holds: testOf(operator, literalsOf(expected, name)) }
    }),
  )
}

function entriesOf(keys: unknown, operator: string): readonly [string, unknown][] {
  if (typeof keys === "object" && keys !== null && !Array.isArray(keys)) return Object.entries(keys)
  throw new PolicyError(`${operator} names condition keys`)
}

const isOneOf = (text: string, expected: readonly string[]): boolean =>
  expected.some((each) => each.toLowerCase() === text)

/** What an operator compares with, by the word in its name: a value of another kind would never hold, or always. */
const VALUES: readonly (readonly [word: RegExp, isValue: (text: string) => boolean, kind: string])[] = [
  [/Null|Bool/, (text) => /^(true|false)$/i.test(text), "true or false"],
  [/Numeric/, (text) => text.trim() !== "" && Number.isFinite(Number(text)), "a number"],
  [/Arn/, isArnPattern, "an ARN"],
]

function refuseValues(operator: string, expected: readonly string[]): void {
  for (const [word, isValue, kind] of VALUES) {
    const wrong = word.test(operator) ? expected.find((text) => !isValue(text)) : undefined
    if (wrong !== undefined) throw new PolicyError(`${operator} compares with ${kind}, and '${wrong}' is not`)
  }
}

function testOf(operator: string, expected: readonly string[]): Condition["holds"] {
  refuseValues(operator, expected)
  if (operator === "Null") return (values) => isOneOf(String(values === undefined), expected)
  const [, set, name = "", ifExists] = OPERATOR.exec(operator) ?? []
  const positive = NEGATED[name] ?? name
  const compare = COMPARISONS[positive]
  if (compare === undefined) throw new PolicyError(`the local KMS evaluates no condition operator ${operator}`)
  const isOne = (value: string): boolean => expected.some((each) => compare(value, each)) === (positive === name)
  return (values) => {
    // a key without a value: sets of values hold or not by their own rule, "is not" holds, "is" does not
    if (values === undefined) {
      return ifExists !== undefined || (set === undefined ? positive !== name : set === "ForAllValues")
    }
    if (set === "ForAllValues" || (set === undefined && positive !== name)) return values.every(isOne)
    return values.some(isOne)
  }
}
