import { EventEmitter, once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { Metrics } from "#src/agent/metrics.js"
import { type AgentServer, type ServerParts, startServer } from "#src/agent/server.js"
import { DEFAULT_AGENT } from "#src/core/manifest/agent-settings.js"
import { roundReport, sightOf } from "#test/support/round-report.js"
import { statusRow } from "#test/support/status-row.js"

const TOKEN = "0123456789abcdef"
const HOST = "Host: localhost\r\n"

/** What somebody may send, and with which status it is refused; null where the connection is closed without one. */
const REFUSED: readonly (readonly [what: string, request: string, status: number | null])[] = [
  ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400],
  ["a request line of other words", `HELO mail.example\r\n\r\n`, 400],
  ["another version of HTTP", `GET / HTTP/9.9\r\n${HOST}\r\n`, 400],
  ["HTTP/1.1 without Host", "GET /metrics HTTP/1.1\r\n\r\n", 400],
  ["HTTP/1.0 without Host", "GET /metrics HTTP/1.0\r\n\r\n", 421],
  ["another Host", "GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 421],
  ["a Host that only begins like ours", "GET /metrics HTTP/1.1\r\nHost: localhost.rebound.example\r\n\r\n", 421],
  ["a Host with a user", "GET /metrics HTTP/1.1\r\nHost: localhost@rebound.example\r\n\r\n", 421],
  ["two Hosts", `GET /metrics HTTP/1.1\r\n${HOST}Host: rebound.example\r\n\r\n`, 400],
  ["another host in the request line", `GET http://rebound.example/metrics HTTP/1.1\r\n${HOST}\r\n`, 404],
  ["headers of more than 8 KiB", `GET / HTTP/1.1\r\n${HOST}X-Long: ${"a".repeat(9_000)}\r\n\r\n`, 431],
  ["very many headers", `GET / HTTP/1.1\r\n${HOST}${"A: b\r\n".repeat(2_000)}\r\n`, 431],
  ["an address of more than 8 KiB", `GET /?name=${"a".repeat(9_000)} HTTP/1.1\r\n${HOST}\r\n`, 431],
  ["a body", `GET /metrics HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`, 413],
  ["a body of gigabytes", `GET /metrics HTTP/1.1\r\n${HOST}Content-Length: 99999999999\r\n\r\nhello`, 413],
  [
    "a body in chunks",
    `GET /metrics HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    413,
  ],
  [
    "two lengths of a body",
    `GET /metrics HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["POST", `POST /metrics HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, 405],
  ["DELETE", `DELETE /keys/a HTTP/1.1\r\n${HOST}\r\n`, 405],
  ["OPTIONS of everything", `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 405],
  ["TRACE", `TRACE / HTTP/1.1\r\n${HOST}\r\n`, 405],
  ["CONNECT", `CONNECT localhost:22 HTTP/1.1\r\n${HOST}\r\n`, null],
  ["an Expect that nobody knows", `GET /metrics HTTP/1.1\r\n${HOST}Expect: the-unexpected\r\n\r\n`, 417],
]

/** Ways to something that is not served. */
const PATHS = [
  "/../../etc/passwd",
  "/..%2f..%2fetc%2fpasswd",
  "/keys/..%2f..%2fmetrics",
  "/keys/%2e%2e/metrics",
  "//etc/passwd",
  "//rebound.example/metrics",
  "/keys//a",
  "/%00",
  "/keys/a%00",
  "/keys/%ff",
  "/keys/%E0%A4%A",
  "/keys/__proto__",
  "/metrics/",
  "/METRICS",
  "/metrics%20",
  "/.git/config",
]

describe("the agent's server", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-server-"))
  const tokenFile = join(folder, "token")
  writeFileSync(tokenFile, `${TOKEN}\n`)
  const changed = new EventEmitter<{ round: [run: string] }>()
  changed.setMaxListeners(0)
  const metrics = new Metrics("0.0.0")
  const report = roundReport({ sight: sightOf([statusRow("well", "a", "eu")]) })
  metrics.take(report)
  const parts: ServerParts = {
    listen: { host: "127.0.0.1", port: 0 },
    auth: null,
    metrics,
    view: () => ({ version: "0.0.0", owner: "tests", settings: DEFAULT_AGENT, report, next: null }),
    changed,
    history: () => Promise.resolve([]),
  }
  let server: AgentServer
  const sockets: Socket[] = []

  before(async () => {
    server = await startServer(parts)
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    // whatever was sent, the next one is answered
    expect((await fetch(`${server.url}/metrics`)).status).to.equal(200)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  function open(url = server.url): Socket {
    const socket = connect(Number(new URL(url).port), "127.0.0.1")
    socket.on("error", () => undefined)
    sockets.push(socket)
    return socket
  }

  /** What is answered until the connection closes. */
  async function answered(request: string, url?: string): Promise<string> {
    const socket = open(url)
    let text = ""
    socket.setEncoding("utf8").on("data", (piece: string) => (text += piece))
    socket.write(request)
    await once(socket, "close")
    return text
  }

  const statusOf = (answer: string): number | null => {
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? []
    return status === undefined ? null : Number(status)
  }
  const get = (path: string, headers = ""): string =>
    `GET ${path} HTTP/1.1\r\n${HOST}${headers}Connection: close\r\n\r\n`

  for (const [what, request, status] of REFUSED) {
    it(`refuses ${what}`, async () => {
      const closing = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
      expect(statusOf(await answered(closing))).to.equal(status)
    })
  }

  it("has nothing at addresses that are not its own", async () => {
    const statuses = await Promise.all(PATHS.map(async (path) => [path, statusOf(await answered(get(path)))]))
    expect(statuses.filter(([, status]) => status !== 404 && status !== 400)).to.deep.equal([])
  })

  it("answers requests that come one after the other at once, and HEAD without a body", async () => {
    const many = await answered(`GET /healthz HTTP/1.1\r\n${HOST}\r\n`.repeat(50) + get("/healthz"))
    expect(many.match(/HTTP\/1\.1 200 OK/g)).to.have.lengthOf(51)
    const head = await answered(get("/metrics").replace("GET", "HEAD"))
    expect([statusOf(head), head.split("\r\n\r\n")[1]]).to.deep.equal([200, ""])
  })

  it("has what keeps a page to itself in every answer", async () => {
    for (const path of ["/", "/metrics", "/healthz", "/readyz", "/keys/nobody", "/nowhere", "/page.js", "/..%2f"]) {
      const answer = (await answered(get(path))).toLowerCase()
      for (const header of [
        "content-security-policy: default-src 'none'",
        "x-frame-options: deny",
        "cache-control: no-store",
      ])
        expect(answer, path).to.include(header)
      expect(answer).not.to.include("set-cookie")
    }
  })

  it("sends the page zipped to whoever takes that, and the same to others", async () => {
    const plain = await (await fetch(`${server.url}/`, { headers: { "accept-encoding": "identity" } })).text()
    for (const accepted of ["gzip", "deflate, gzip;q=0.5, br", "GZIP"]) {
      const response = await fetch(`${server.url}/`, { headers: { "accept-encoding": accepted } })
      expect(response.headers.get("content-encoding"), accepted).to.equal("gzip")
      expect((await response.text()) === plain, accepted).to.equal(true)
    }
    for (const accepted of ["gzip;q=0", "br", "gzip; q=0.0, br"]) {
      const response = await fetch(`${server.url}/`, { headers: { "accept-encoding": accepted } })
      expect(response.headers.get("content-encoding"), accepted).to.equal(null)
    }
  })

  it("counts in its metrics what happens within a round, beside the keys as the last round saw them", async () => {
    const text = async (): Promise<string> => await (await fetch(`${server.url}/metrics`)).text()
    const before = await text()
    metrics.event("kms.call", { operation: "DescribeKey", error: null })
    const after = await text()
    expect(before).to.include('keyferry_key_state{name="a"').and.not.include("DescribeKey")
    expect(after)
      .to.include('keyferry_key_state{name="a"')
      .and.include('keyferry_kms_requests_total{operation="DescribeKey",outcome="ok"} 1')
  })

  it("closes connections on which headers do not come, and of which there are too many", async () => {
    const slow = ["", "GET / HT", `GET / HTTP/1.1\r\n${HOST}X-Slow: `].map((begun) => {
      const socket = open()
      socket.write(begun)
      return socket
    })
    const idle = Array.from({ length: 300 }, () => open())
    await Promise.all([...slow, ...idle].map((socket) => once(socket.resume(), "close")))
  })

  it("lets so many wait for news, and others once those have gone", async () => {
    const first = open()
    const listen = async (socket: Socket): Promise<string> => {
      socket.write(`GET /events HTTP/1.1\r\n${HOST}\r\n`)
      const [piece] = (await once(socket, "data")) as [Buffer]
      return piece.toString("utf8")
    }
    await listen(first)
    await Promise.all(Array.from({ length: 63 }, () => listen(open())))
    expect(statusOf(await listen(open()))).to.equal(503)
    first.destroy()
    let status: number | null = 503
    for (let times = 0; status === 503 && times < 100; times += 1) status = statusOf(await listen(open()))
    expect(status).to.equal(200)
    expect(changed.listenerCount("round"), "and the one that has the page ready").to.equal(65)
  })

  it("tells only who has the bearer token, and nothing about it", async () => {
    await using guarded = await startServer({ ...parts, auth: { kind: "bearer", bearerTokenFile: tokenFile } })
    const refused = [
      "",
      `Authorization: ${TOKEN}\r\n`,
      `Authorization: Basic ${TOKEN}\r\n`,
      `Authorization: Bearer ${TOKEN.slice(0, -1)}\r\n`,
      `Authorization: Bearer ${TOKEN}0\r\n`,
      `Authorization: Bearer ${TOKEN} \x7f\r\n`,
      `Authorization: Bearer \r\nX-Token: ${TOKEN}\r\n`,
      `Authorization: Bearer wrong\r\nAuthorization: Bearer ${TOKEN}\r\n`,
      `Cookie: token=${TOKEN}\r\n`,
    ]
    for (const path of ["/", "/metrics", "/readyz", "/keys/a", "/events", "/page.js", `/metrics?token=${TOKEN}`]) {
      for (const headers of refused) {
        const answer = await answered(get(path, headers), guarded.url)
        expect(statusOf(answer), `${path} ${headers}`).to.equal(headers.includes("\x7f") ? 400 : 401)
        expect(answer).not.to.include(TOKEN)
      }
    }
    expect(statusOf(await answered(get("/metrics", `Authorization: bearer ${TOKEN}\r\n`), guarded.url))).to.equal(200)
    rmSync(tokenFile)
    const without = await answered(get("/metrics", `Authorization: Bearer ${TOKEN}\r\n`), guarded.url)
    expect([statusOf(without), without.includes(folder)]).to.deep.equal([500, false])
  })
})
