import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { setStage, type Stage } from "../support/stage.js"

/** Each is found by its letters, wherever and in whatever form it stands. */
const SECRETS = {
  hook: "hook-secret-6f1c2a9be",
  bearer: "bearer-token-77d0e1aa",
  password: "pass-of-url-51aa",
  query: "query-of-url-93bc",
  accessKey: "secretkey0413ffee",
  session: "session0987abcd",
  command: "command-of-exec-22ee",
} as const

describe("what the agent leaves behind", () => {
  let stage: Stage
  let state: string
  let config: string
  const env = (): Readonly<Record<string, string | undefined>> => ({
    KEYFERRY_TOKEN: undefined,
    AWS_SECRET_ACCESS_KEY: SECRETS.accessKey,
    AWS_SESSION_TOKEN: SECRETS.session,
  })

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "poisoned.yaml")
    const file = (name: string, text: string): string => {
      const path = join(stage.folder, name)
      writeFileSync(path, `${text}\n`, { mode: 0o600 })
      return JSON.stringify(path)
    }
    writeFileSync(
      config,
      `version: 1
id: poisoned
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: sealed, wrappingKeySpec: RSA_2048 }
keys: { a: { keySpec: HMAC_256, description: "two\\nlines \\u009b31m and \\e[31mred" } }
agent:
  allow: [rewrap, provision, correct]
  listen: "127.0.0.1:0"
  auth: { bearerTokenFile: ${file("bearer", SECRETS.bearer)} }
  metricsFile: ${JSON.stringify(join(stage.folder, "poisoned.prom"))}
  notify:
    - { webhook: "http://127.0.0.1:1/${SECRETS.query}?x=${SECRETS.query}", secretFile: ${file("hook", SECRETS.hook)} }
    - { exec: "echo ${SECRETS.command}; exit 3" }
`,
    )
  })
  after(() => stage[Symbol.asyncDispose]())

  for (const format of ["json", "text"]) {
    it(`has no PIN, secret, token or credential in it, with every step logged as ${format}, and a line is a line`, async () => {
      const words = ["agent", "--once", "--verbose", "--log-format", format, "--config", config]
      const { status, stdout, stderr } = await stage.run(words, { state, env: env() })
      expect(status, stderr).to.equal(0)
      expect(stderr).to.include("notification.failed").and.include("kms.call")
      const left = readdirSync(state, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
      const all = [stdout, stderr, readFileSync(join(stage.folder, "poisoned.prom"), "utf8"), ...left].join("\n")
      const found = [...Object.entries(SECRETS), ["pin", stage.token.pin] as const].filter(([, secret]) =>
        [secret, Buffer.from(secret).toString("hex"), Buffer.from(secret).toString("base64").slice(0, -4)].some(
          (form) => all.includes(form),
        ),
      )
      expect(found.map(([name]) => name)).to.deep.equal([])
      // eslint-disable-next-line no-control-regex -- that is what must not be there
      expect(stderr).not.to.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
      const start = format === "json" ? /^\{"time"/ : /^keyferry: /
      expect(stderr.split("\n").filter((line) => line !== "" && !start.test(line))).to.deep.equal([])
    })
  }
})
