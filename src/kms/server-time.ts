import type { KMSClient } from "@aws-sdk/client-kms"

/** Reads the Date header (RFC 9110 section 6.6.1) of every answer of KMS, errors included; gives the last. */
export function watchServerTime(client: KMSClient): () => { readonly at: Date; readonly seen: Date } | null {
  let last: { at: Date; seen: Date } | null = null
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { headers } = result.response as { headers?: Readonly<Record<string, string>> }
      const date = new Date(headers?.["date"] ?? NaN)
      if (!Number.isNaN(date.getTime())) last = { at: date, seen: new Date() }
      return result
    },
    // the innermost of its step, so that it sees answers that the deserialiser turns into errors
    { step: "deserialize", priority: "low", name: "watchServerTime" },
  )
  return () => last
}
