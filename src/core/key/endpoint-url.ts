/** What is wrong with the URL of an endpoint, to follow "the endpoint" (invariant I3); undefined for a good one. */
export function endpointFault(text: string): string | undefined {
  if (!URL.canParse(text)) return "is not a URL"
  const url = new URL(text)
  if (url.username !== "" || url.password !== "") return "carries a user name or password"
  if (url.protocol !== "https:" && url.protocol !== "http:") return "is neither https nor http"
  if (url.protocol === "http:" && !isLoopback(url.hostname)) return `is plain http to ${url.hostname}`
  if (url.search !== "" || url.hash !== "") return "carries a query or a fragment"
  return undefined
}

/** Whether a URL's host name is this machine: localhost, 127.0.0.0/8 or ::1. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname)
}
