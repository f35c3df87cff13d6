import type * as z from "zod"
import { toDotPath } from "zod/v4/core"

/** The first fault that a schema finds, as `path: reason`. */
export function schemaFault({ issues: [issue] }: z.ZodError): string {
  const reason = issue?.message ?? "is not what was written"
  const field = toDotPath(issue?.path ?? [])
  return field === "" ? reason : `${field}: ${reason}`
}
