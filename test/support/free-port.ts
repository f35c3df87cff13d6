import { type AddressInfo, createServer } from "node:net"

/** The port that a page names, or a free one in its place where somebody else has it. */
export async function portInPlaceOf(named: number): Promise<number> {
  return listen(named).catch(() => listen(0))
}

/** Listens for a moment; the port, or a failure where it is taken. */
function listen(port: number): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => {
      const { port: taken } = server.address() as AddressInfo
      server.close(() => resolve(taken))
    })
  })
}
