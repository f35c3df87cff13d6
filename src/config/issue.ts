import type { z } from "zod"
import type { Fault } from "./fault.js"

type Issue = z.core.$ZodIssue

/** What zod found, in the words of the file; a value is never quoted, since it may be a PIN in the wrong place. */
export function issueFaults({ issues }: z.ZodError, file: unknown): readonly Fault[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part))
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key], message: "is no key of the configuration" }))
    }
    return [{ path, message: words(issue, valueAt(file, path)) }]
  })
}

/** zod's names of types, for people. */
const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a mapping",
  record: "a mapping",
  array: "a list",
}

function words(issue: Issue, value: unknown): string {
  if (value === undefined && issue.code !== "invalid_key") return "is missing"
  switch (issue.code) {
    case "invalid_type":
      return `must be ${TYPES[issue.expected] ?? issue.expected}, not ${kindOf(value)}`
    case "invalid_value":
      // text of our own, where the schema has one
      if (issue.message.startsWith("must be")) return issue.message
      return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`
    case "too_small":
      return issue.origin === "number" && !issue.message.startsWith("must")
        ? `is less than ${issue.minimum}`
        : issue.message
    case "too_big":
      return issue.origin === "number" && !issue.message.startsWith("is")
        ? `is more than ${issue.maximum}`
        : issue.message
    case "invalid_key":
      return issue.issues[0]?.message ?? "is no name"
    default:
      return issue.message
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "nothing"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "object") return "a mapping"
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a number"
  return typeof value === "boolean" ? "true or false" : "text"
}

function valueAt(file: unknown, path: readonly (string | number)[]): unknown {
  let value: unknown = file
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Readonly<Record<string | number, unknown>>)[part]
  }
  return value
}
