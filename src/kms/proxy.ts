import { isLoopback, proxyFault } from "../core/key/aws-name.js"
import { firstOf, settingError, type SettingText } from "./setting-text.js"

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "https:": "443", "http:": "80" }

/**
 * An environment variable in lower case or, failing that, upper case: as the AWS CLI and curl look for it, for which an
 * empty one in lower case switches the other off.
 */
function variable(env: NodeJS.ProcessEnv, name: string): SettingText | null {
  const lower = env[name]
  return lower === undefined ? firstOf([name.toUpperCase(), env[name.toUpperCase()]]) : firstOf([name, lower])
}

/** The proxy of a variable. @throws ERR_KMS_SETTING, which does not quote it, since it may hold a password */
function proxyOf(setting: SettingText | null): URL | null {
  if (setting === null) return null
  const fault = proxyFault(setting.text)
  if (fault === undefined) return new URL(withScheme(setting.text))
  throw settingError(setting.origin, fault, {
    hint: "write it as http://USER:PASSWORD@HOST:PORT, every other character of the password as %XX",
  })
}

const withScheme = (text: string): string => (text.includes("://") ? text : `http://${text}`)

/** The proxy that the environment names for https: HTTPS_PROXY, or ALL_PROXY. @throws ERR_KMS_SETTING */
export function httpsProxy(env: NodeJS.ProcessEnv): URL | null {
  return proxyOf(variable(env, "https_proxy") ?? variable(env, "all_proxy"))
}

/**
 * The proxy for a URL: the one that is given or, failing that, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either
 * case, or null. Plain http to loopback is never proxied: it would leave the machine unprotected.
 *
 * @throws ERR_KMS_SETTING
 */
export function proxyFor(target: string, env: NodeJS.ProcessEnv, configured?: string): URL | null {
  const url = new URL(target)
  if (url.protocol === "http:" && isLoopback(url.hostname)) return null
  if (configured !== undefined) return new URL(withScheme(configured))
  if (exempt(url, variable(env, "no_proxy")?.text ?? "")) return null
  return url.protocol === "https:"
    ? httpsProxy(env)
    : proxyOf(variable(env, "http_proxy") ?? variable(env, "all_proxy"))
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
