import { Cron } from "croner"
import * as z from "zod"
import { durationText, parseDuration } from "../core/base/expiry.js"
import {
  type AgentAuth,
  type AgentSettings,
  ALLOWABLE,
  DEFAULT_AGENT,
  isLoopback,
  LISTEN,
  type NotifySetting,
  parseListen,
} from "../core/manifest/agent-settings.js"
import type { Fault } from "./fault.js"

/** `agent` of the configuration file: its shape, what it says, and how that is shown. */

const DURATION = /^[0-9]{1,5}[smh]$/

const path = (description: string) =>
  z
    .string()
    .regex(/^\/./, { error: "must be an absolute path" })
    .max(4096, { error: "is longer than 4096 characters" })
    .meta({ description })

const webhook = z.strictObject({
  webhook: z
    .string()
    .max(2048, { error: "is longer than 2048 characters" })
    .meta({ description: "URL that takes JSON by POST: https, or http to loopback" }),
  secretFile: path("absolute path of the file with the secret that signs what is sent (HMAC-SHA-256)"),
})

const exec = z.strictObject({
  exec: z
    .string()
    .min(1, { error: "is empty" })
    .max(4096, { error: "is longer than 4096 characters" })
    .meta({ description: "shell command that takes the JSON on standard input" }),
})

const tls = z
  .strictObject({
    certFile: path("the server's certificate, PEM"),
    keyFile: path("its private key, PEM"),
    clientCaFile: path("authority that signed the clients' certificates, PEM"),
  })
  .meta({ description: "by their certificates: who has none of that authority is nobody" })

export const agentShape = z
  .strictObject({
    schedule: z
      .string()
      .max(200, { error: "is longer than 200 characters" })
      .superRefine(checked(scheduleFault))
      .default(DEFAULT_AGENT.schedule)
      .meta({ description: "when a round begins: a cron expression of five fields" }),
    timeZone: z
      .string()
      .superRefine(checked(timeZoneFault))
      .default(DEFAULT_AGENT.timeZone)
      .meta({ description: "IANA time zone of the schedule, such as Europe/Paris" }),
    jitter: z.string().superRefine(checked(jitterFault)).default(durationText(DEFAULT_AGENT.jitter)).meta({
      description: "a round begins up to so much later, by chance; 0s for not at all",
      pattern: DURATION.source,
    }),
    allow: z
      .array(z.enum(ALLOWABLE))
      .min(1, { error: "is an empty list" })
      .default([...DEFAULT_AGENT.allow])
      .meta({ description: "what the agent may do by itself; recover brings back what was deleted, too" }),
    listen: z
      .string()
      .superRefine(checked(listenFault))
      .optional()
      .meta({ description: "ADDRESS:PORT of dashboard, metrics and health; default: none", pattern: LISTEN.source }),
    auth: z
      .union(
        [
          z.strictObject({ bearerTokenFile: path("file with the bearer token, 16 characters at least") }),
          z.strictObject({ tls }),
        ],
        {
          error: "must be bearerTokenFile, or tls with certFile, keyFile and clientCaFile",
        },
      )
      .optional()
      .meta({ description: "who may read it, where others than this machine reach it" }),
    notify: z
      .array(z.union([webhook, exec], { error: "must be a webhook with its secretFile, or exec" }))
      .optional()
      .meta({ description: "who is told of trouble" }),
    metricsFile: path("file in which the metrics are left after each round, for node_exporter").optional(),
  })
  .meta({ description: "how `keyferry agent` works" })

type AgentFile = z.infer<typeof agentShape>

function checked(faultOf: (text: string) => string | undefined) {
  return (text: string, context: z.RefinementCtx): void => {
    const message = faultOf(text)
    if (message !== undefined) context.addIssue({ code: "custom", message })
  }
}

function scheduleFault(schedule: string): string | undefined {
  try {
    const cron = new Cron(schedule, { mode: "5-part", paused: true, timezone: "UTC" })
    return cron.nextRun() === null ? "names no time that comes" : undefined
  } catch {
    return "is no cron expression of five fields, such as '0 3 * * *'"
  }
}

function timeZoneFault(timeZone: string): string | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone })
    return undefined
  } catch {
    return "is no time zone of the IANA, such as Europe/Paris"
  }
}

const DAY = 86_400

function jitterFault(jitter: string): string | undefined {
  const seconds = DURATION.test(jitter) ? parseDuration(jitter) : undefined
  return jitter === "0s" || (seconds !== undefined && seconds <= DAY)
    ? undefined
    : "is no duration such as 90s, 15m or 2h, up to a day"
}

function listenFault(listen: string): string | undefined {
  return parseListen(listen) === undefined ? "is no address such as 127.0.0.1:9464 or [::1]:9464" : undefined
}

/** What the section says, its defaults filled in. */
export function resolveAgent(file: AgentFile): AgentSettings {
  const { schedule, timeZone, jitter, allow, listen, auth, notify, metricsFile } = file
  return {
    schedule,
    timeZone,
    jitter: parseDuration(jitter) ?? 0,
    allow: [...new Set(allow)],
    listen: listen === undefined ? null : (parseListen(listen) ?? null),
    auth: auth === undefined ? null : authOf(auth),
    notify: (notify ?? []).map((receiver): NotifySetting =>
      "exec" in receiver
        ? { kind: "exec", command: receiver.exec }
        : { kind: "webhook", url: receiver.webhook, secretFile: receiver.secretFile },
    ),
    metricsFile: metricsFile ?? null,
  }
}

function authOf(auth: NonNullable<AgentFile["auth"]>): AgentAuth {
  return "tls" in auth ? { kind: "tls", ...auth.tls } : { kind: "bearer", bearerTokenFile: auth.bearerTokenFile }
}

/** What its parts have to do with each other, and do not fit. */
export function agentFaults({ listen, auth, notify }: AgentFile): readonly Fault[] {
  const address = listen === undefined ? undefined : parseListen(listen)
  const faults: Fault[] = []
  if (address !== undefined && !isLoopback(address) && auth === undefined) {
    const message = "is an address that other machines reach: give agent.auth too, or a loopback address"
    faults.push({ path: ["agent", "listen"], message })
  }
  if (auth !== undefined && listen === undefined) {
    faults.push({ path: ["agent", "auth"], message: "protects nothing without agent.listen" })
  }
  for (const [index, receiver] of (notify ?? []).entries()) {
    const message = "webhook" in receiver ? webhookFault(receiver.webhook) : undefined
    if (message !== undefined) faults.push({ path: ["agent", "notify", index, "webhook"], message })
  }
  return faults
}

function webhookFault(text: string): string | undefined {
  if (!URL.canParse(text)) return "is no URL"
  const { protocol, hostname, username, password } = new URL(text)
  if (username !== "" || password !== "") return "carries a user name or password, which does not belong into this file"
  if (protocol === "https:") return undefined
  const host = hostname.replace(/^\[(.*)\]$/, "$1")
  return protocol === "http:" && isLoopback({ host }) ? undefined : "must be https, or http to loopback"
}

/** The section in the form of the file; a command may hold a secret, and is not shown. */
export function shownAgent(settings: AgentSettings, notShown: string): object {
  const { listen, auth, notify, jitter, ...others } = settings
  const host = listen?.host.includes(":") ? `[${listen.host}]` : listen?.host
  return {
    ...others,
    jitter: durationText(jitter),
    listen: listen === null ? null : `${host}:${listen.port}`,
    auth: auth === null ? null : shownAuth(auth),
    notify: notify.map((receiver) =>
      receiver.kind === "exec" ? { exec: notShown } : { webhook: receiver.url, secretFile: receiver.secretFile },
    ),
  }
}

function shownAuth(auth: AgentAuth): object {
  if (auth.kind === "bearer") return { bearerTokenFile: auth.bearerTokenFile }
  const { certFile, keyFile, clientCaFile } = auth
  return { tls: { certFile, keyFile, clientCaFile } }
}
