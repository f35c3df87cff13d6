import { createServer, type AddressInfo } from "node:net"

/** A port of the loopback that nobody listens on, the system's choice: two tests at a time get two. */
export function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => {
        resolve(port)
      })
    })
  })
}
