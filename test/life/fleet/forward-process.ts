import { connect, createServer } from "node:net"

/* Leads connections to a port of the loopback to another host: node forward-process.js PORT HOST PORT. */
const [, , port, host = "", remotePort] = process.argv

createServer((near) => {
  const far = connect(Number(remotePort), host)
  for (const [socket, other] of [
    [near, far],
    [far, near],
  ] as const) {
    socket.on("error", () => other.destroy())
    socket.on("close", () => other.destroy())
    socket.pipe(other)
  }
}).listen(Number(port), "127.0.0.1", () => process.stdout.write("ready\n"))
