import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { Metrics } from "#src/agent/metrics.js"

const DASHBOARD = fileURLToPath(new URL("../../../deploy/grafana/keyferry.json", import.meta.url))

interface Dashboard {
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly gridPos: { readonly x: number; readonly w: number }
    readonly targets: readonly { readonly expr: string }[]
  }[]
}

describe("the dashboard for Grafana", () => {
  const { panels } = JSON.parse(readFileSync(DASHBOARD, "utf8")) as Dashboard
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

  it("asks in PromQL that Prometheus takes", () => {
    const dir = mkdtempSync(join(tmpdir(), "keyferry-grafana-"))
    try {
      // Grafana puts an interval and the chosen agents in place of its variables
      const rules = queries.map((expr, index) => ({
        record: `keyferry:panel${index}`,
        expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".+"),
      }))
      const file = join(dir, "queries.json")
      writeFileSync(file, JSON.stringify({ groups: [{ name: "panels", rules }] }))
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", file], { encoding: "utf8" })
      expect(status, stdout + stderr).to.equal(0)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })

  it("asks for metrics alone that the agent has", async () => {
    const text = await new Metrics("0.0.0").text()
    const names = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name))
    const asked = new Set(queries.flatMap((expr) => [...expr.matchAll(/keyferry_\w+/g)].map(([name]) => name)))
    expect([...asked].filter((name) => !names.has(name))).to.deep.equal([])
    expect(asked.size).to.be.greaterThan(10)
  })

  it("has panels that fit beside each other, each with a number of its own", () => {
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length)
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).to.deep.equal([])
  })
})
