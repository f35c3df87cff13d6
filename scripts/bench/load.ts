import { type Socket, connect } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

/** Requests that were sent at an even pace, and how they were answered. */
export interface Load {
  readonly sent: number
  /** Not with 200, or not at all. */
  readonly failed: number
  /** Of the answered, in ms. */
  readonly medianMs: number
  readonly slowestMs: number
  readonly megabytes: number
}

const CONNECTIONS = 16
const TICK_MS = 20
const LONGEST_HEAD = 4_096

/**
 * Sends GET requests for the paths in turn, so many a second, until `isOver`: over few connections that are kept, and with as
 * little work of its own as can be, since it shares the machine with what is measured. Answers are asked for as
 * Prometheus and browsers ask, zipped where the server zips.
 */
export async function underLoad(
  url: string,
  paths: readonly string[],
  options: { readonly perSecond: number; readonly isOver: () => boolean },
): Promise<Load> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => Client.open(url)))
  const start = performance.now()
  let sent = 0
  while (!options.isOver()) {
    const due = Math.floor(((performance.now() - start) / 1000) * options.perSecond)
    for (; sent < due; sent += 1) clients[sent % CONNECTIONS]?.get(paths[sent % paths.length] ?? "/")
    await sleep(TICK_MS)
  }
  await Promise.all(clients.map((client) => client.end()))
  const times = clients.flatMap((client) => client.times).sort((a, b) => a - b)
  return {
    sent,
    failed: sent - times.length,
    medianMs: times[Math.floor(times.length / 2)] ?? Number.NaN,
    slowestMs: times.at(-1) ?? Number.NaN,
    megabytes: clients.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6,
  }
}

/** One kept connection: pipelined requests, whose answers come in order. */
class Client {
  readonly #socket: Socket
  readonly #host: string
  readonly #begun: number[] = []
  #head = ""
  /** Of the body of the answer that is being read. */
  #remaining = 0
  readonly times: number[] = []
  bytes = 0

  private constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#host = host
    socket.on("error", () => undefined)
    socket.on("data", (piece: Buffer) => this.#take(piece))
  }

  static async open(url: string): Promise<Client> {
    const { hostname, port, host } = new URL(url)
    const socket = connect(Number(port), hostname)
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject))
    return new Client(socket, host)
  }

  get(path: string): void {
    this.#begun.push(performance.now())
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nAccept-Encoding: gzip\r\n\r\n`)
  }

  /** Once all is answered, or ten seconds have passed. */
  async end(): Promise<void> {
    for (let times = 0; this.#begun.length > 0 && !this.#socket.destroyed && times < 1_000; times += 1) await sleep(10)
    this.#socket.destroy()
  }

  #take(piece: Buffer): void {
    this.bytes += piece.length
    let rest = piece
    while (rest.length > 0) {
      if (this.#remaining > 0) {
        const taken = Math.min(this.#remaining, rest.length)
        this.#remaining -= taken
        rest = rest.subarray(taken)
        continue
      }
      const before = this.#head.length
      this.#head += rest.toString("latin1", 0, LONGEST_HEAD)
      const end = this.#head.indexOf("\r\n\r\n")
      if (end < 0) return
      const [, length = "0"] = /content-length: (\d+)/i.exec(this.#head) ?? []
      const isWell = this.#head.startsWith("HTTP/1.1 200 ")
      rest = rest.subarray(end + 4 - before)
      this.#head = ""
      this.#remaining = Number(length)
      const begun = this.#begun.shift()
      if (isWell && begun !== undefined) this.times.push(performance.now() - begun)
    }
  }
}
