import { Counter, Gauge, Registry } from "prom-client"
import type { EventName } from "../core/records/log-event.js"
import type { RoundReport } from "./agent.js"
import { isPinRefused } from "./pin-breaker.js"

/** What the wrap of a key is logged with, and a request to KMS. */
interface Told {
  readonly mechanisms?: readonly string[]
  readonly operation?: string
  readonly error?: string | null
}

/**
 * The agent's metrics in the form of Prometheus. Gauges of keys say what the last round saw that could look; when that was
 * stands in `keyferry_run_last_timestamp_seconds`. A key that this round could not see has no date.
 */
export class Metrics {
  /** Of keys: what a round saw, until the next. */
  readonly #fleet = new Registry()
  readonly #registry = new Registry()
  readonly #expiration = this.#keyGauge(
    "keyferry_key_material_expiration_timestamp_seconds",
    "when KMS loses the key material, or lost it; none for material that does not expire",
    ["name", "target", "region", "generation"],
  )
  readonly #imported = this.#keyGauge(
    "keyferry_key_material_last_import_timestamp_seconds",
    "when the key material was imported last",
    ["name", "target", "region", "generation"],
  )
  readonly #state = this.#keyGauge("keyferry_key_state", "1 for the state in which KMS has the key", [
    "name",
    "target",
    "region",
    "state",
  ])
  readonly #next = this.#keyGauge(
    "keyferry_key_next_action_timestamp_seconds",
    "when keyferry is to do something with the key next",
    ["name", "target"],
  )
  readonly #runs = this.#counter("keyferry_runs_total", "rounds by how they ended", ["outcome"])
  readonly #rows = this.#counter("keyferry_rows_total", "keys that rounds worked on, by what became of them and why", [
    "outcome",
    "reason",
  ])
  readonly #requests = this.#counter("keyferry_kms_requests_total", "requests to KMS by how they were answered", [
    "operation",
    "outcome",
  ])
  readonly #throttled = this.#counter("keyferry_kms_throttled_total", "requests that KMS put off (ThrottlingException)")
  readonly #wraps = this.#counter("keyferry_wraps_total", "keys wrapped in the token, by mechanism", ["mechanism"])
  readonly #tokenUp = this.#gauge("keyferry_token_up", "1 where the last round could use the token", ["token"])
  readonly #breaker = this.#gauge(
    "keyferry_pin_breaker_open",
    "1 where a PIN was refused, and none is presented until it is corrected",
  )
  readonly #offset = this.#gauge("keyferry_clock_offset_seconds", "seconds by which the host's clock is ahead of KMS'")
  readonly #duration = this.#gauge("keyferry_run_duration_seconds", "how long the last round took")
  readonly #lastRun = this.#gauge("keyferry_run_last_timestamp_seconds", "when the last round ended, by KMS' clock", [
    "outcome",
  ])
  readonly #findings = this.#gauge(
    "keyferry_check_findings",
    "what `keyferry check` would say: findings that are not accepted, by reason",
    ["reason", "status"],
  )
  readonly #paused = this.#gauge("keyferry_agent_paused_until_timestamp_seconds", "until when the agent is paused")
  /** As they are sent; null where something has changed since. The keys of a large fleet are written once a round. */
  #ofKeys: Promise<Buffer> | null = null
  #rest: Promise<Buffer> | null = null

  constructor(version: string) {
    this.#gauge("keyferry_build_info", "1, with the version", ["version"]).set({ version }, 1)
  }

  /** Takes in a round. */
  take(report: RoundReport): void {
    const { outcome, round, sight, began, ended, kmsOffsetMs, error, pause } = report
    this.#rest = null
    this.#runs.inc({ outcome })
    for (const row of round?.rows ?? []) {
      if (row.outcome !== "nothing") this.#rows.inc({ outcome: row.outcome, reason: row.reason })
    }
    this.#duration.set((ended.getTime() - began.getTime()) / 1000)
    this.#lastRun.set({ outcome }, (ended.getTime() + (kmsOffsetMs ?? 0)) / 1000)
    if (kmsOffsetMs !== null) this.#offset.set(-kmsOffsetMs / 1000)
    const reasons = [error?.code, ...(round?.rows ?? []).map(({ reason }) => reason)]
    this.#breaker.set(reasons.some((reason) => reason !== undefined && isPinRefused(reason)) ? 1 : 0)
    this.#paused.reset()
    if (pause !== null) this.#paused.set(Date.parse(pause.until) / 1000)
    if (sight !== null) this.#see(sight)
  }

  /** In the text format of Prometheus, as UTF-8. */
  async body(): Promise<Buffer<ArrayBuffer>> {
    this.#ofKeys ??= this.#fleet.metrics().then((text) => Buffer.from(text))
    this.#rest ??= this.#registry.metrics().then((text) => Buffer.from(text))
    return Buffer.concat(await Promise.all([this.#ofKeys, this.#rest]))
  }

  async text(): Promise<string> {
    return (await this.body()).toString("utf8")
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  #see({ status, check }: NonNullable<RoundReport["sight"]>): void {
    this.#ofKeys = null
    for (const gauge of [this.#expiration, this.#imported, this.#state, this.#next, this.#findings]) gauge.reset()
    // a key whose place another took has its name: of both the earlier date is told, since either may die
    const earliest = new Earliest()
    for (const { name, target, generations, keyStates, next } of status.keys) {
      for (const { region, generation, validTo, importedAt } of generations) {
        const labels = { name, target, region, generation: String(generation) }
        earliest.set(this.#expiration, labels, validTo)
        earliest.set(this.#imported, labels, importedAt)
      }
      for (const { region, keyState } of keyStates) {
        this.#state.set({ name, target, region, state: keyState ?? "Unseen" }, 1)
      }
      earliest.set(this.#next, { name, target }, next?.at ?? null)
    }
    this.#tokenUp.reset()
    for (const { name, state } of status.tokens) {
      // a token of another site is neither up nor down here
      if (state !== "not reached from here") this.#tokenUp.set({ token: name ?? "" }, state === "looked at" ? 1 : 0)
    }
    for (const { id, status: severity } of check.checks) {
      if (severity !== "ok") this.#findings.inc({ reason: id, status: severity })
    }
  }

  /** Counts what is logged. */
  event(name: EventName, { mechanisms = [], operation = "", error = null }: Told): void {
    if (name === "key.wrapped") {
      this.#rest = null
      for (const mechanism of mechanisms) this.#wraps.inc({ mechanism })
    }
    if (name !== "kms.call") return
    this.#rest = null
    this.#requests.inc({ operation, outcome: error ?? "ok" })
    if (error === "ThrottlingException") this.#throttled.inc()
  }

  #keyGauge<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.#fleet] })
  }

  #gauge<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.#registry] })
  }

  #counter<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] })
  }
}

/** Sets gauges to the earliest of the times that are given for the same labels. */
class Earliest {
  readonly #times = new Map<Gauge, Map<string, number>>()

  /** @param time RFC 3339; null for none */
  set<Label extends string>(gauge: Gauge<Label>, labels: Readonly<Record<Label, string>>, time: string | null): void {
    if (time === null) return
    const seconds = Date.parse(time) / 1000
    const times = this.#times.get(gauge) ?? new Map<string, number>()
    this.#times.set(gauge, times)
    const key = JSON.stringify(labels)
    const earliest = Math.min(times.get(key) ?? Infinity, seconds)
    times.set(key, earliest)
    gauge.set({ ...labels }, earliest)
  }
}
