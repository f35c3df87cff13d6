import type { Answer, Spoiling } from "./kms-proxy.js"

type Respond = Spoiling["respond"]

const OTHER_ID = "99999999-2222-3333-4444-555555555555"

/** A web page as proxies, gateways and portals send it: without a request ID, and with a Date of its own. */
export const webPage =
  (status: number): Respond =>
  (response) => {
    const elsewhere = status >= 300 && status < 400 ? { location: "http://127.0.0.1:9/" } : {}
    response
      .writeHead(status, { "content-type": "text/html", date: "Tue, 01 Jan 2030 00:00:00 GMT", ...elsewhere })
      .end("<html><body>Sign in</body></html>")
  }

/** KMS' own answer without what tells it from others. */
export const withoutRequestId: Respond = (response, answered) => {
  const headers = Object.entries(answered?.headers ?? {}).filter(([name]) => name !== "x-amzn-requestid")
  response.writeHead(answered?.status ?? 200, Object.fromEntries(headers)).end(answered?.body ?? "{}")
}

/** Half of the answer, then nothing more. */
export const cut: Respond = (response, answered) => {
  const body = answered?.body ?? "{}"
  response.writeHead(answered?.status ?? 200, { ...answered?.headers, "content-length": Buffer.byteLength(body) })
  response.write(body.slice(0, body.length / 2), () => response.destroy())
}

/** Headers and blanks for ever, so many bytes at a time. */
export const endless =
  (bytes: number, everyMs: number): Respond =>
  (response, answered) => {
    response.writeHead(200, answered?.headers ?? {})
    const timer = setInterval(() => response.write(" ".repeat(bytes)), everyMs)
    response.on("close", () => clearInterval(timer))
  }

/** KMS' answer with another content. */
export const changed =
  (change: (answer: Answer) => unknown): Respond =>
  (response, answered) => {
    const body = answered === null || answered.body === "" ? {} : (JSON.parse(answered.body) as Answer)
    response.writeHead(answered?.status ?? 200, answered?.headers ?? {}).end(JSON.stringify(change(body)))
  }

/** Every value as a value of another type. */
export const wrongTypes: Respond = changed((answer) => mistyped(answer))

function mistyped(content: unknown): unknown {
  if (Array.isArray(content)) return { length: content.length }
  if (typeof content === "object" && content !== null)
    return Object.fromEntries(Object.entries(content).map(([name, inner]) => [name, mistyped(inner)]))
  return typeof content === "string" ? 7 : [content]
}

/** Every ID, ARN and date of the answer as of something else. */
export const otherKey: Respond = (response, answered) =>
  changed((answer) =>
    JSON.parse(JSON.stringify(answer).replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, OTHER_ID)),
  )(response, answered)
