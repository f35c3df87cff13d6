/** Kinds of work that `agent.allow` takes: those of `apply --only`, and bringing back what was deleted. */
export const ALLOWABLE = ["rewrap", "provision", "rotate", "correct", "recover"] as const
export type Allowed = (typeof ALLOWABLE)[number]

/** Who may read what the agent serves where it listens beyond loopback. */
export type AgentAuth =
  /** Absolute path of the file with the bearer token. */
  | { readonly kind: "bearer"; readonly bearerTokenFile: string }
  /** Paths of PEM files: the server's certificate and key, and the authority of the clients' certificates. */
  | { readonly kind: "tls"; readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string }

/** Whom the agent tells of trouble. */
export type NotifySetting =
  /** A URL that takes JSON by POST, and the file with the secret that signs it. */
  | { readonly kind: "webhook"; readonly url: string; readonly secretFile: string }
  /** A shell command that takes the JSON on its standard input. */
  | { readonly kind: "exec"; readonly command: string }

/** An address to listen on. */
export interface ListenAddress {
  /** Without brackets around an IPv6 address. */
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
}

/** How the agent works: `agent` of the configuration file. */
export interface AgentSettings {
  /** Cron expression of five fields: when a round begins. */
  readonly schedule: string
  /** IANA name by which the schedule is read. */
  readonly timeZone: string
  /** Seconds by which a round may begin later than the schedule says. */
  readonly jitter: number
  readonly allow: readonly Allowed[]
  /** Null for no HTTP. */
  readonly listen: ListenAddress | null
  /** Null where only loopback is listened on. */
  readonly auth: AgentAuth | null
  readonly notify: readonly NotifySetting[]
  /** File for the textfile collector of Prometheus' node_exporter. */
  readonly metricsFile: string | null
}

/** Of a file that has no `agent`. */
export const DEFAULT_AGENT: AgentSettings = {
  schedule: "0 3 * * *",
  timeZone: "UTC",
  jitter: 900,
  allow: ["rewrap"],
  listen: null,
  auth: null,
  notify: [],
  metricsFile: null,
}

/** `127.0.0.1:9464`, `[::1]:9464`, `localhost:0`. */
export const LISTEN = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/

/** Undefined where the text is no address. */
export function parseListen(text: string): ListenAddress | undefined {
  const [, six, other, port] = LISTEN.exec(text) ?? []
  const host = six ?? other
  if (host === undefined || Number(port) > 65_535) return undefined
  return { host, port: Number(port) }
}

/** Whether only this machine reaches the address. */
export function isLoopback({ host }: Pick<ListenAddress, "host">): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)
}
