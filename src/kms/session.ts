import type { Caller } from "./call.js"

/** What the operations of an account and Region are sent with. */
export interface Session {
  readonly call: Caller
  readonly region: string
  /** The Date of KMS' last answer; null before the first. */
  readonly serverTime: () => Date | null
}

/** Tags as KMS takes them. */
export function tagList(tags: Readonly<Record<string, string>>): { TagKey: string; TagValue: string }[] {
  return Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
}
