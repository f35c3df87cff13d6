import { NOT_JSON, readJson } from "../base/json.js"
/** Forms of the names and URLs that AWS gives or takes: what can be refused before AWS is asked. */

export const REGION = /^[a-z]{2,}(-[a-z]+)+-\d+$/
/** An AWS account, 12 digits, and its partition: `aws`, `aws-cn`, … */
export interface Account {
  readonly account: string
  readonly partition: string
}

/** An AWS account number. */
export const ACCOUNT = /^\d{12}$/
export const ROLE_ARN = /^arn:aws[a-z-]*:iam::\d{12}:role\/[\x21-\x7e]+$/
/** CreateAlias `AliasName`; `alias/aws/` is reserved. */
const ALIAS_NAME = /^alias\/(?!aws\/)[A-Za-z0-9/_-]{1,250}$/

/** An alias name with its prefix, which may be left out; undefined if it can be none. */
export function aliasName(text: string): string | undefined {
  const alias = text.startsWith("alias/") ? text : `alias/${text}`
  return ALIAS_NAME.test(alias) ? alias : undefined
}

/** Characters of a KMS key's description (CreateKey `Description`). */
export const LONGEST_DESCRIPTION = 8192

/** PutKeyPolicy: 32 kilobytes. */
const LONGEST_POLICY = 32_768

/** A key policy as it is sent: a mapping as JSON, what is beyond Latin-1 escaped; text as it stands. */
export function policyText(mappingOrText: string | object): string {
  if (typeof mappingOrText === "string") return mappingOrText
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
  // eslint-disable-next-line no-control-regex -- DEL and C1 controls are part of Latin-1 as KMS counts it
  return JSON.stringify(mappingOrText).replaceAll(/[^\x00-\xff]/g, escaped)
}

/** PutKeyPolicy `Policy`. */
const POLICY_CHARACTERS = /^[\t\n\r\x20-\xff]*$/

/** What is wrong with a key policy, a mapping or JSON text, to follow its name; undefined for one that KMS may take. */
export function policyFault(mappingOrText: string | object): string | undefined {
  const text = policyText(mappingOrText)
  const json = readJson(text)
  if ("fault" in json && json.fault !== NOT_JSON) return json.fault
  const policy = "fault" in json ? null : json.content
  if (typeof policy !== "object" || policy === null || !("Statement" in policy)) {
    return "is no key policy: a mapping, or JSON text, with a Statement"
  }
  if (!POLICY_CHARACTERS.test(text)) return "has characters beyond Latin-1, which KMS does not take"
  return Buffer.byteLength(text) > LONGEST_POLICY ? `is longer than ${LONGEST_POLICY} bytes` : undefined
}

/** KMS: 50 tags a key, of which keyferry keeps some for itself. */
export const MOST_TAGS = 42

/** KMS Tag: lengths of `TagKey` and `TagValue`. */
const LONGEST_TAG = { key: 128, value: 256 }

/** Letters, digits, blanks and these signs: what AWS takes in the keys and values of tags. */
const TAG_CHARACTERS = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

/** What is wrong with a tag of the user's, to follow "the tag"; undefined for a good one. */
export function tagFault(key: string, value: string): string | undefined {
  if (key === "") return "has no key"
  if (/^(keyferry|aws):/i.test(key)) return "uses a reserved prefix"
  if (key.length > LONGEST_TAG.key || value.length > LONGEST_TAG.value) {
    return `is too long: a key has at most ${LONGEST_TAG.key} characters, a value ${LONGEST_TAG.value}`
  }
  if (!TAG_CHARACTERS.test(key) || !TAG_CHARACTERS.test(value)) {
    return "has a character that AWS does not take: letters, digits, blanks and _ . : / = + - @"
  }
  return undefined
}

/** What is wrong with the URL of an endpoint, to follow "the endpoint" (invariant I3); undefined for a good one. */
export function endpointFault(text: string): string | undefined {
  // what stands before an @ can be part of a password, wherever a URL parser finds it
  if (text.includes("@")) return "carries a user name or password"
  if (!URL.canParse(text)) return "is not a URL"
  const url = new URL(text)
  if (url.protocol !== "https:" && url.protocol !== "http:") return "is neither https nor http"
  if (url.protocol === "http:" && !isLoopback(url.hostname)) return `is plain http to ${url.hostname}`
  if (url.search !== "" || url.hash !== "") return "carries a query or a fragment"
  return undefined
}

/**
 * What is wrong with the URL of a proxy, which may have a user name and a password and may lack `http://`; undefined for a
 * good one. It is never quoted.
 */
export function proxyFault(text: string): string | undefined {
  const proxy = text.includes("://") ? text : `http://${text}`
  if (!/^https?:/i.test(proxy)) return "is neither http nor https"
  // a password may hold what ends the name of the host for a URL parser
  const withoutPath = proxy.replace(/\/$/, "").slice(proxy.indexOf("://") + 3)
  if (/[/\\?#\s]/.test(withoutPath)) return "has one of / \\ ? # or a blank in its user name, password or host"
  if (!URL.canParse(proxy)) return "is not a URL"
  const { username, password } = new URL(proxy)
  if (!/^(?:[^%]|%[\da-f]{2})*$/i.test(username + password)) return "has a % that no two hex digits follow"
  try {
    decodeURIComponent(username + password)
  } catch {
    return "has a user name or password that is not UTF-8"
  }
  return undefined
}

/** Whether a URL's host name is this machine: localhost, 127.0.0.0/8 or ::1. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname)
}
