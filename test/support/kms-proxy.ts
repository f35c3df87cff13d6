import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** An answer of KMS as it goes onto the wire. */
export type Answer = Record<string, unknown>

/** What KMS answered; null where the request was kept from it. */
interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Something that answers in KMS' place. */
export interface Spoiling {
  /** Whether KMS gets the request all the same. */
  readonly effect: boolean
  /** Matching requests that pass before, and how many are spoilt then; one unless said otherwise. */
  readonly skip?: number
  readonly times?: number
  readonly respond: (response: ServerResponse, answered: Answered | null) => void
  /** Before it answers. */
  readonly onHit?: () => Promise<void>
}

/** A man in the middle before the local KMS, for answers that the local KMS itself would never give. */
export interface KmsProxy extends AsyncDisposable {
  readonly endpoint: string
  /** Changes the answers of an operation from now on; without a function no longer. */
  alter(operation: string, change?: (answer: Answer, request: Answer) => Answer): void
  /** Answers requests of an operation itself; gives how many it has so far. */
  spoil(operation: string, spoiling: Spoiling): () => number
  /** No request is spoilt any more. */
  unspoil(): void
}

interface Spoilt {
  readonly operation: string
  readonly spoiling: Spoiling
  seen: number
  hits: number
}

export async function startKmsProxy(upstream: string): Promise<KmsProxy> {
  const changes = new Map<string, (answer: Answer, request: Answer) => Answer>()
  let spoilt: Spoilt[] = []
  const server = createServer((request, response) => {
    // who cannot reach KMS itself has no answer to give
    answer(request, response).catch(() => response.destroy())
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
    const sent = Buffer.concat(pieces)
    const [, operation = ""] = String(request.headers["x-amz-target"] ?? "").split(".")
    const spoiler = spoilerOf(operation)
    if (spoiler === undefined) {
      const { status, headers, body } = await forward(request, operation, sent)
      response.writeHead(status, headers).end(body)
      return
    }
    spoiler.hits += 1
    const answered = spoiler.spoiling.effect ? await forward(request, operation, sent) : null
    await spoiler.spoiling.onHit?.()
    spoiler.spoiling.respond(response, answered)
  }

  /** What spoils this request; counts it against all that are for its operation. */
  function spoilerOf(operation: string): Spoilt | undefined {
    const matching = spoilt.filter((entry) => entry.operation === operation)
    for (const entry of matching) entry.seen += 1
    return matching.find(({ seen, spoiling: { skip = 0, times = 1 } }) => seen > skip && seen <= skip + times)
  }

  async function forward(request: IncomingMessage, operation: string, sent: Buffer): Promise<Answered> {
    const kept = ["content-type", "x-amz-target", "authorization", "x-amz-date"]
    const headers = Object.fromEntries(kept.map((name) => [name, String(request.headers[name] ?? "")]))
    const answer = await fetch(`${upstream}/`, { method: "POST", headers, body: Uint8Array.from(sent) })
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
    spoil(operation, spoiling) {
      const entry: Spoilt = { operation, spoiling, seen: 0, hits: 0 }
      spoilt.push(entry)
      return () => entry.hits
    },
    unspoil() {
      spoilt = []
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
