/** A policy of IAM, as JSON has it. */
export interface PolicyDocument {
  readonly Version: "2012-10-17"
  readonly Statement: readonly PolicyStatement[]
}

type OneOrMore = string | readonly string[]

export interface PolicyStatement {
  readonly Sid: string
  readonly Effect: "Allow" | "Deny"
  readonly Principal?: { readonly AWS: OneOrMore }
  readonly Action: OneOrMore
  readonly Resource: OneOrMore
  readonly Condition?: Conditions
}

export type Conditions = Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>

/** As IAM's own tools write a list of one. */
export function oneOrMore(texts: readonly string[]): OneOrMore {
  const [text = "", second] = texts
  return second === undefined ? text : texts
}

/** Conditions that must all hold; those of one operator are put together. */
export function allOf(...conditions: readonly Conditions[]): Conditions {
  const joined: Record<string, Record<string, OneOrMore>> = {}
  for (const [operator, keys] of conditions.flatMap((each) => Object.entries(each))) {
    joined[operator] = { ...joined[operator], ...keys }
  }
  return joined
}

export function documentOf(statements: readonly PolicyStatement[]): PolicyDocument {
  return { Version: "2012-10-17", Statement: statements }
}
