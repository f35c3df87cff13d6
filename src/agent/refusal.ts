import type { IncomingMessage, ServerResponse } from "node:http"
import { isLoopback, type ListenAddress } from "../core/manifest/agent-settings.js"

export interface Refusal {
  readonly status: number
  readonly text: string
}

/** Why a request is not looked at any further, whoever sends it; null where it is. */
export function refusalOf(request: IncomingMessage, listen: ListenAddress): Refusal | null {
  const { method, url = "", headers, headersDistinct } = request
  if (method !== "GET" && method !== "HEAD") return { status: 405, text: "read only" }
  const length = headers["content-length"] ?? "0"
  if (headers["transfer-encoding"] !== undefined || length !== "0") return { status: 413, text: "no body is read" }
  const hosts = headersDistinct["host"] ?? []
  if (hosts.length > 1) return { status: 400, text: "one host has to be meant" }
  if (!isOurs(hosts[0], listen)) return { status: 421, text: "another host is meant" }
  // also what names a host where a path is to stand
  if (!isPlainPath(url)) return { status: 404, text: "no such page" }
  return null
}

/**
 * A page elsewhere may have its name point to this machine, and then read what a browser here can reach: where loopback
 * is all the protection, the request has to name it. Elsewhere a name cannot bring the token or the certificate along.
 */
function isOurs(header: string | undefined, listen: ListenAddress): boolean {
  const [, six, name] = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?$/.exec(header ?? "") ?? []
  const host = six ?? name
  if (host === undefined) return false
  return !isLoopback(listen) || isLoopback({ host })
}

/** Whether the path is written as it is read: nothing in it goes up, or is nothing. */
function isPlainPath(url: string): boolean {
  const [path = ""] = url.split("?", 1)
  if (!path.startsWith("/") || path.includes("//") || path.includes("\\")) return false
  return URL.canParse(path, "http://localhost") && new URL(path, "http://localhost").pathname === path
}

/** Answers without having read what else is sent. */
export function refuse(
  response: ServerResponse,
  { status, text }: Refusal,
  headers: Readonly<Record<string, string>>,
): void {
  response
    .writeHead(status, { ...headers, "Content-Type": "text/plain; charset=utf-8", Connection: "close" })
    .end(`${text}\n`)
}
