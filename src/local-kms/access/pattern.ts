/** Whether a text is as a pattern of IAM says: `*` for any number of characters, `?` for one. */
export function isLike(text: string, pattern: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".")
  return new RegExp(`^${source}$`, "s").test(text)
}

/** Whether a text has the six parts of an ARN: where a pattern has fewer its wildcard would reach over a colon, which IAM's does not. */
export const isArnPattern = (pattern: string): boolean => pattern === "*" || pattern.split(":").length >= 6
