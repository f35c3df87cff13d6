import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { type AddressInfo, connect } from "node:net"
import { join } from "node:path"

/** A listening server of this test, and where it is. */
export interface Listening extends AsyncDisposable {
  readonly port: number
}

async function listen(server: Server): Promise<Listening> {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
}

/** Answers every request with what `answer` makes of it: status, content type, body. For the transport only. */
export function answering(
  answer: (request: IncomingMessage, body: string) => readonly [status: number, type: string, body: string],
): RequestListener {
  return (request, response) => {
    let text = ""
    request.on("data", (chunk: Buffer) => (text += chunk.toString()))
    request.on("end", () => {
      const [status, type, body] = answer(request, text)
      response.writeHead(status, { "content-type": type, "x-amzn-requestid": "request-1" }).end(body)
    })
  }
}

export function serveHttp(listener: RequestListener): Promise<Listening> {
  return listen(createServer(listener))
}

/** Serves by TLS under a self-made certificate for `name`, which is in `folder`/cert.pem. */
export function serveTls(listener: RequestListener, folder: string, name: string): Promise<Listening> {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`]
  const files = ["-nodes", "-keyout", key, "-out", cert, "-days", "2"]
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", ...files, ...subject], { stdio: "ignore" })
  return listen(createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, listener))
}

/** A proxy that tunnels whatever it is asked for to one port of this machine, and notes what it was asked for. */
export async function serveProxy(to: number, status = 200): Promise<Listening & { readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer()
  server.on("connect", (request, socket) => {
    asked.push(request.url ?? "")
    if (status !== 200) {
      socket.end(`HTTP/1.1 ${status} No\r\n\r\n`)
      return
    }
    const upstream = connect(to, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n")
      upstream.pipe(socket).pipe(upstream)
    })
    for (const end of [upstream, socket]) end.on("error", () => upstream.destroy())
    socket.on("close", () => upstream.destroy())
  })
  return Object.assign(await listen(server), { asked })
}
