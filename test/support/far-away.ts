import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

/** A server of this machine as one that is far away has it: everything takes so long there, and so long back. */
export interface FarAway extends AsyncDisposable {
  readonly endpoint: string
}

/** @param endpoint by http, on this machine @param wayMs in milliseconds, of each direction */
export async function farAway(endpoint: string, wayMs: number): Promise<FarAway> {
  const sockets = new Set<Socket>()
  const carry = async (from: Socket, to: Socket): Promise<void> => {
    let last = Promise.resolve()
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const arrived = sleep(wayMs)
      const before = last
      last = Promise.all([arrived, before]).then(() => void to.write(chunk))
    }
    await last
    to.end()
  }
  const server = createServer((near) => {
    const far = connect(Number(new URL(endpoint).port), "127.0.0.1")
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      // who is cut off hears it from its own socket
      carry(from, to).catch(() => to.destroy())
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, "close")
    },
  }
}
