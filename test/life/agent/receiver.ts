import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

/** What the agent told, each message once: one that came twice has the same id. */
export interface Told {
  readonly id: string
  readonly incident: string
  readonly kind: string
  readonly status: string
  readonly reason: string
  readonly name: string | null
  readonly target: string | null
  /** RFC 3339, by KMS' clock. */
  readonly since: string
  readonly at: string
  readonly more: number
}

/** Somebody who is told by webhook, and refuses now and then. */
export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** By their ids, in the order in which they came. */
  readonly told: ReadonlyMap<string, Told>
  /** How often it was told something that it knew already. */
  readonly twice: () => number
  /** How often it refused to be told. */
  readonly refused: () => number
  /** With what it answers from now on. */
  answer(status: number): void
}

export async function startReceiver(): Promise<Receiver> {
  const told = new Map<string, Told>()
  let [twice, refused] = [0, 0]
  let status = 204
  const server = createServer((request, response) => {
    let text = ""
    request.setEncoding("utf8").on("data", (piece: string) => (text += piece))
    request.on("end", () => {
      const message = JSON.parse(text) as Told
      if (status >= 300) refused += 1
      else {
        if (told.has(message.id)) twice += 1
        told.set(message.id, message)
      }
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/keyferry`,
    told,
    twice: () => twice,
    refused: () => refused,
    answer: (next) => (status = next),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
