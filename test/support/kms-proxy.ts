import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"

/** An answer of KMS as it goes onto the wire. */
export type Answer = Record<string, unknown>

/** A man in the middle before the local KMS, for answers that the local KMS itself would never give. */
export interface KmsProxy extends AsyncDisposable {
  readonly endpoint: string
  /** Changes the answers of an operation from now on; without a function no longer. */
  alter(operation: string, change?: (answer: Answer, request: Answer) => Answer): void
}

export async function startKmsProxy(upstream: string): Promise<KmsProxy> {
  const changes = new Map<string, (answer: Answer, request: Answer) => Answer>()
  const server = createServer((request, response) => {
    void forward(request).then(({ status, headers, body }) => {
      response.writeHead(status, headers).end(body)
    })
  })

  async function forward(
    request: IncomingMessage,
  ): Promise<{ status: number; headers: Record<string, string>; body: string }> {
    const pieces: Buffer[] = []
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
    const sent = Buffer.concat(pieces)
    const kept = ["content-type", "x-amz-target", "authorization", "x-amz-date"]
    const headers = Object.fromEntries(kept.map((name) => [name, String(request.headers[name] ?? "")]))
    const answer = await fetch(`${upstream}/`, { method: "POST", headers, body: sent })
    const [, operation = ""] = (headers["x-amz-target"] ?? "").split(".")
    const change = changes.get(operation)
    const text = await answer.text()
    const body =
      change === undefined || !answer.ok
        ? text
        : JSON.stringify(change(JSON.parse(text) as Answer, JSON.parse(sent.toString()) as Answer))
    // what tells an answer of AWS from others stays
    const own = ["content-type", "x-amzn-requestid", "date"].map((name) => [name, answer.headers.get(name) ?? ""])
    return { status: answer.status, headers: Object.fromEntries(own) as Record<string, string>, body }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    alter(operation, change) {
      if (change === undefined) changes.delete(operation)
      else changes.set(operation, change)
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
