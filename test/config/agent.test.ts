import { expect } from "chai"
import { effectiveText } from "#src/config/effective.js"
import { parseManifest } from "#src/config/load.js"
import { KeyferryError } from "#src/core/base/error.js"
import { DEFAULT_AGENT } from "#src/core/manifest/agent-settings.js"
import { profileFamilies } from "#src/pkcs11/profiles.js"

const read = (agent: string) => parseManifest(`version: 1\nagent: { ${agent} }\n`, "keyferry.yaml", profileFamilies())

/** `path: message` of the first fault; empty where the section is right. */
function fault(agent: string): string {
  try {
    read(agent)
    return ""
  } catch (error) {
    if (!(error instanceof KeyferryError) || error.code !== "ERR_CONFIG_INVALID") throw error
    const [first] = error.causes
    return `${first?.code ?? ""}: ${first?.message ?? ""}`
  }
}

describe("agent in the configuration file", () => {
  it("has its defaults filled in, and is shown as it is written", () => {
    expect(read("jitter: 0s").agent).to.deep.equal({ ...DEFAULT_AGENT, jitter: 0 })
    const full = read(
      `schedule: "*/30 6-20 * * 1-5", timeZone: Europe/Paris, jitter: 90s, allow: [rewrap, recover, rewrap], listen: "[::]:9464", auth: { bearerTokenFile: /run/token }, notify: [{ webhook: "https://hooks.example/x", secretFile: /s }], metricsFile: /var/lib/x.prom`,
    )
    expect(full.agent).to.deep.equal({
      schedule: "*/30 6-20 * * 1-5",
      timeZone: "Europe/Paris",
      jitter: 90,
      allow: ["rewrap", "recover"],
      listen: { host: "::", port: 9464 },
      auth: { kind: "bearer", bearerTokenFile: "/run/token" },
      notify: [{ kind: "webhook", url: "https://hooks.example/x", secretFile: "/s" }],
      metricsFile: "/var/lib/x.prom",
    })
    const again = parseManifest(effectiveText(full), "again.yaml", profileFamilies())
    expect(again.agent).to.deep.equal(full.agent)
    const tls = read(
      `listen: "0.0.0.0:443", auth: { tls: { certFile: /c.pem, keyFile: /k.pem, clientCaFile: /ca.pem } }`,
    )
    expect(parseManifest(effectiveText(tls), "again.yaml", profileFamilies()).agent).to.deep.equal(tls.agent)
  })

  const refused: readonly (readonly [agent: string, fault: RegExp])[] = [
    [`schedule: "0 3 * *"`, /^agent\.schedule: is no cron expression of five fields/],
    [`schedule: "0 3 * * * *"`, /^agent\.schedule: is no cron expression/],
    [`schedule: "61 3 * * *"`, /^agent\.schedule: is no cron expression/],
    [`schedule: "daily at noon"`, /^agent\.schedule: is no cron expression/],
    [`schedule: "0 3 30 2 *"`, /^agent\.schedule: names no time that comes/],
    ["timeZone: Europe/Atlantis", /^agent\.timeZone: is no time zone/],
    ["jitter: 2d", /^agent\.jitter: is no duration/],
    ["jitter: 25h", /^agent\.jitter: is no duration/],
    ["allow: []", /^agent\.allow: is an empty list/],
    ["allow: [destroy]", /^agent\.allow\[0\]: /],
    [`listen: "9464"`, /^agent\.listen: is no address/],
    [`listen: "127.0.0.1:70000"`, /^agent\.listen: is no address/],
    [`listen: "0.0.0.0:9464"`, /^agent\.listen: is an address that other machines reach/],
    [`listen: "[::]:9464"`, /^agent\.listen: is an address that other machines reach/],
    [`listen: "127.example.com:9464"`, /^agent\.listen: is an address that other machines reach/],
    ["auth: { bearerTokenFile: /t }", /^agent\.auth: protects nothing/],
    [`listen: "10.0.0.1:1", auth: { bearerTokenFile: token }`, /^agent\.auth/],
    [`listen: "10.0.0.1:1", auth: { tls: { certFile: /c } }`, /^agent\.auth/],
    [`notify: [{ webhook: "http://hooks.example/x", secretFile: /s }]`, /^agent\.notify\[0\]\.webhook: must be https/],
    [`notify: [{ webhook: "https://u:p@hooks.example/x", secretFile: /s }]`, /^agent\.notify\[0\]\.webhook: carries/],
    [`notify: [{ webhook: "hooks", secretFile: /s }]`, /^agent\.notify\[0\]\.webhook: is no URL/],
    [`notify: [{ webhook: "https://hooks.example/x" }]`, /^agent\.notify\[0\]/],
    [`notify: [{ exec: "" }]`, /^agent\.notify\[0\]/],
    [`notify: [{ exec: a, webhook: "https://x.example" }]`, /^agent\.notify\[0\]/],
    ["metricsFile: keyferry.prom", /^agent\.metricsFile: must be an absolute path/],
    ["evry: 1h", /^agent\.evry: is no key/],
  ]
  for (const [agent, words] of refused) {
    it(`refuses ${agent}`, () => {
      expect(fault(agent)).to.match(words)
    })
  }

  it("takes loopback in each of its forms without auth", () => {
    for (const address of ["127.0.0.1:0", "127.8.9.1:9464", "[::1]:9464", "localhost:9464"]) {
      expect(fault(`listen: "${address}"`), address).to.equal("")
    }
  })
})
