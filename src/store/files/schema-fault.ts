import { z } from "zod"

/** The first fault that a schema finds, as `path: reason`. */
export function schemaFault({ issues: [issue] }: z.ZodError): string {
  const reason = issue?.message ?? "is not what was written"
  const field = z.core.toDotPath(issue?.path ?? [])
  return field === "" ? reason : `${field}: ${reason}`
}
