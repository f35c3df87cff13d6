import { isLoopback } from "../core/key/aws-name.js"

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "https:": "443", "http:": "80" }

/** An environment variable in lower case or, failing that, upper case: as curl and the AWS CLI look for it. */
function variable(env: NodeJS.ProcessEnv, name: string): string {
  return env[name] ?? env[name.toUpperCase()] ?? ""
}

/**
 * The proxy for a URL: the one that is given or, failing that, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either case, or null. Plain http to loopback
 * is never proxied: it would leave the machine unprotected.
 */
export function proxyFor(target: string, env: NodeJS.ProcessEnv, configured?: string): URL | null {
  const url = new URL(target)
  if (url.protocol === "http:" && isLoopback(url.hostname)) return null
  if (configured !== undefined) return new URL(configured)
  if (exempt(url, variable(env, "no_proxy"))) return null
  const proxy = variable(env, url.protocol === "https:" ? "https_proxy" : "http_proxy") || variable(env, "all_proxy")
  if (proxy === "") return null
  return new URL(proxy.includes("://") ? proxy : `http://${proxy}`)
}

/** NO_PROXY: `*`, or names and addresses, each with its subdomains, with or without a leading `.` or `*.` and a port. */
function exempt(url: URL, noProxy: string): boolean {
  const port = url.port || DEFAULT_PORTS[url.protocol]
  const host = url.hostname.toLowerCase().replace(/^\[|\]$/g, "")
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true
      const [, name = entry, onlyPort] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry) ?? []
      if (onlyPort !== undefined && onlyPort !== port) return false
      const domain = name.replace(/^\[|\]$/g, "").replace(/^\*?\./, "")
      return host === domain || host.endsWith(`.${domain}`)
    })
}
