import { spareMemory } from "../../host/spare-memory.js"
import { randomInt } from "node:crypto"
import { EventEmitter } from "node:events"
import type { Agent } from "../../agent/agent.js"
import type { FleetWork, FleetWorkParts } from "../../agent/fleet-work.js"
import type { AgentView } from "../../agent/view.js"
import type { World } from "../../host/open.js"
import type { Settings } from "../../host/settings.js"
import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import type { Log } from "../../core/ports/log.js"
import { endProcess } from "../../host/exit.js"
import { defineCommand } from "../command.js"
import { KMS, METRICS_FILE, TOKEN } from "../options/options.js"

/** How long the key in hand may take after a signal. */
const GRACE_MS = 10_000
/** Of that, for jobs in hand: what is not done by then goes back to its queue. */
const JOBS_GRACE_MS = 8_000
/** What a shell expects of a process that SIGTERM ended. */
const STOPPED = 143

/** Lines of the custody log on a key's page. */
const MOST_HISTORY = 200

export const agent = defineCommand({
  name: "agent",
  describe: "keep all keys alive unattended: rounds by schedule, with dashboard, metrics and notifications",
  examples: [
    ["$0 agent --config keyferry.yaml", "until it is stopped; SIGHUP reads the configuration anew"],
    ["$0 agent --once --config keyferry.yaml", "one round, as for a timer or a CronJob"],
    ["$0 agent notify --test --config keyferry.yaml", "tells everybody of agent.notify that it is a test"],
    ["$0 agent pause --until 2026-12-01T06:00:00Z", "it does nothing until then"],
  ],
  handlesSignals: true,
  isService: true,
  options: {
    once: { type: "boolean", default: false, describe: "one round, and end" },
    ...METRICS_FILE,
    ...TOKEN,
    ...KMS,
  },
  async run(args, { world, log, version, anotherWorld, readSettings, stopped, onHangUp, hear, env }) {
    const { Agent } = await import("../../agent/agent.js")
    const { Metrics } = await import("../../agent/metrics.js")
    const { isOverAfter, troublesOf } = await import("../../agent/notify/troubles.js")
    const { tellReceivers } = await import("../../agent/notify/outbox.js")
    const { serviceManager } = await import("../../host/service-manager.js")
    const { writeMetrics } = await import("../../host/metrics-file.js")
    const { timeOf } = await import("../../agent/view.js")
    await world.stored.lockAgent()
    const records = await world.stored.agentRecords()
    const manager = world.own(serviceManager(env))
    const metrics = new Metrics(version)
    hear(metrics)
    const changed = new EventEmitter<{ round: [run: string] }>()
    let last: Pick<AgentView, "report" | "next"> = { report: null, next: null }
    const openWorld = (settings: Settings, roundLog: Log): World => anotherWorld({ settings, log: roundLog })
    const onNews = (): void => agent.look()
    const fleet = args.once ? null : await fleetWork(world, { records, openWorld, log, onNews })
    const agent: Agent = new Agent(await world.settings(), {
      openWorld,
      ...(fleet === null ? {} : { work: fleet }),
      readSettings,
      log,
      chance: () => randomInt(1_000_000) / 1_000_000,
      async onRound(report, next) {
        metrics.take(report)
        // what could be seen last stays on the page, with what is wrong now
        last = { report: { ...report, sight: report.sight ?? last.report?.sight ?? null }, next }
        changed.emit("round", report.run)
        await manager.status(`last round ${report.outcome}; next at ${rfc3339(next)}`)
        const { notify } = agent.settings
        const metricsFile = args.metricsFile ?? agent.settings.metricsFile
        const seenRound = { at: timeOf(report), isOver: isOverAfter(report) }
        const outbox = { records, log, owner: agent.owner, receivers: notify, env }
        await orWarn(log, "agent.notify", () => tellReceivers(outbox, troublesOf(report), seenRound))
        if (metricsFile !== null) {
          const text = await metrics.text()
          await orWarn(log, "agent.metricsFile", () => writeMetrics(metricsFile, text))
        }
        if (!args.once) await spareMemory()
      },
    })
    const { schedule, timeZone, allow, listen, auth } = agent.settings
    const view = (): AgentView => ({ version, owner: agent.owner, settings: agent.settings, ...last })
    if (listen !== null && !args.once) {
      const { startServer } = await import("../../agent/server.js")
      const { url } = world.own(
        await startServer({
          listen,
          auth,
          metrics,
          view,
          changed,
          history: async (name) => {
            const place = await world.stored.place()
            return (await place.histories(new Set([name]), MOST_HISTORY)).get(name) ?? []
          },
        }),
      )
      log.event("agent.listens", { url })
    }
    // whoever hears that it is ready may ask for a reload at once
    onHangUp(() => agent.reload())
    await manager.ready()
    log.event("agent.started", { version, schedule, timeZone, allow })
    void stopped.then(() => {
      log.event("agent.stopping", {})
      void manager.stopping()
      agent.stop()
      // a key that waits for its turn, or a look at very many keys: the next round takes it up
      setTimeout(() => void endProcess(STOPPED), GRACE_MS).unref()
    })
    const report = await agent.run({ once: args.once })
    await fleet?.stop(JOBS_GRACE_MS)
    log.event("agent.stopped", {})
    if (args.once && report.error !== null) throw report.error
    return { result: {}, text: "" }
  },
})

/** What cannot be told or written is no reason to let keys die. */
async function orWarn(log: Log, setting: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    log.event("warning", { text: `${setting}: ${error.message}` })
  }
}

/** An engine that looks every few seconds has the same trouble each time. */
function onceAMinute(tell: (error: Error) => void): (error: Error) => void {
  const toldAt = new Map<string, number>()
  return (error) => {
    const now = performance.now()
    if (now - (toldAt.get(error.message) ?? -Infinity) < 60_000) return
    toldAt.set(error.message, now)
    tell(error)
  }
}

/** The agent's part in the jobs of several; null where the state is a directory, and it works alone. */
async function fleetWork(world: World, parts: Omit<FleetWorkParts, "jobs">): Promise<FleetWork | null> {
  const postgres = await world.stored.postgres()
  if (postgres === null) return null
  const { jobsOf } = await import("../../host/jobs.js")
  const { FleetWork } = await import("../../agent/fleet-work.js")
  const jobs = await jobsOf(
    postgres,
    onceAMinute(({ message }) => parts.log.event("jobs.trouble", { message })),
  )
  return world.own(new FleetWork({ ...parts, jobs }))
}
