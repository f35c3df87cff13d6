import { randomUUID } from "node:crypto"

/** What a person is called for. */
export const INCIDENT_KINDS = ["dead", "dying", "failure", "breaker", "clock", "backup"] as const
export type IncidentKind = (typeof INCIDENT_KINDS)[number]

/** One trouble as a round saw it. */
export interface Trouble {
  readonly kind: IncidentKind
  readonly status: "critical" | "warning" | "unknown"
  /** A reason of the plan, a finding of `check`, or an error code. */
  readonly reason: string
  /** Of a key, a custody key, a token; null where it is of a target or of the whole run. */
  readonly name: string | null
  readonly target: string | null
  readonly message: string
  readonly hint: string | null
}

/** A trouble from when it was first seen until it is gone. */
export interface Incident extends Trouble {
  /** UUID; another one when the trouble changes: a warning that has become critical, say. */
  readonly id: string
  /** RFC 3339 UTC, by KMS' clock. */
  readonly since: string
}

/** What is sent, once for each receiver; one that comes twice has the same id. */
export interface Notification extends Incident {
  /** Of this message: a receiver drops the second of the same id. */
  readonly notification: string
  /** Whether the trouble is over. */
  readonly recovered: boolean
  /** When it was seen, RFC 3339 UTC. */
  readonly at: string
  /** How many more there were than are sent one by one; 0 for a single one. */
  readonly more: number
}

/** A notification that some receivers have not got yet. */
export interface Pending {
  readonly notification: Notification
  /** Digests of the receivers that took it. */
  readonly takers: readonly string[]
}

/** What the agent remembers of troubles and of those whom it told. */
export interface Incidents {
  readonly open: readonly Incident[]
  readonly pending: readonly Pending[]
  /** When notifications were made, RFC 3339 UTC: those of the last hour. */
  readonly made: readonly string[]
}

export const NO_INCIDENTS: Incidents = { open: [], pending: [], made: [] }

/** What is to be known of the round that saw it. */
export interface SeenRound {
  /** By KMS' clock. */
  readonly at: Date
  /** Of a trouble that was not seen: whether it would have been, were it there still. */
  readonly isOver: (incident: Incident) => boolean
}

/** Notifications in an hour; what is more is counted in one that says so. */
export const MOST_AN_HOUR = 20
const HOUR_MS = 3_600_000

const placeOf = ({ kind, reason, name, target }: Trouble): string => JSON.stringify([kind, reason, name, target])

interface News {
  readonly incident: Incident
  readonly recovered: boolean
}

/** What is counted alone, where there is too much to tell, is what can wait: dead keys come first, and ends last. */
function rankOf({ incident: { status, kind }, recovered }: News): number {
  const kinds = INCIDENT_KINDS.length
  return (recovered ? 2 * kinds : 0) + (status === "critical" ? 0 : kinds) + INCIDENT_KINDS.indexOf(kind)
}

/**
 * What is open after a round, and what is to be told: each trouble once until it changes, and its end once. What comes to
 * more than so many an hour is one notification that counts them.
 *
 * @param troubles everything that is wrong now
 */
export function afterRound(before: Incidents, troubles: readonly Trouble[], { at, isOver }: SeenRound): Incidents {
  const now = `${at.toISOString().slice(0, 19)}Z`
  const lastHour = before.made.filter(
    (time) => at.getTime() - Date.parse(time) < HOUR_MS && Date.parse(time) <= at.getTime(),
  )
  const room = Math.max(MOST_AN_HOUR - lastHour.length, 0)
  // what changes while nothing may be told is news to a round after the hour, rather than to none
  if (room === 0) return { ...before, made: lastHour }
  const open: Incident[] = []
  const news: News[] = []
  const openByPlace = new Map(before.open.map((incident) => [placeOf(incident), incident]))
  for (const trouble of new Map(troubles.map((trouble) => [placeOf(trouble), trouble])).values()) {
    const incident = openByPlace.get(placeOf(trouble))
    openByPlace.delete(placeOf(trouble))
    if (incident?.status === trouble.status) {
      open.push({ ...incident, message: trouble.message, hint: trouble.hint })
      continue
    }
    const opened = { ...trouble, id: randomUUID(), since: now }
    open.push(opened)
    news.push({ incident: opened, recovered: false })
  }
  for (const incident of openByPlace.values()) {
    if (isOver(incident)) news.push({ incident, recovered: true })
    else open.push(incident)
  }
  news.sort((a, b) => rankOf(a) - rankOf(b))
  const single = news.slice(0, news.length <= room ? room : room - 1)
  const remaining = news.slice(single.length)
  const notifications = single.map(({ incident, recovered }) =>
    notificationOf(incident, { recovered, at: now, more: 0 }),
  )
  const [uncounted] = remaining
  // the last one of an hour says how many more there were
  if (uncounted !== undefined) {
    const { incident, recovered } = uncounted
    notifications.push(notificationOf(incident, { recovered, at: now, more: remaining.length - 1 }))
  }
  return {
    open,
    pending: [...before.pending, ...notifications.map((notification) => ({ notification, takers: [] }))],
    made: [...lastHour, ...notifications.map(() => now)],
  }
}

function notificationOf(incident: Incident, more: Pick<Notification, "recovered" | "at" | "more">): Notification {
  return { ...incident, notification: randomUUID(), ...more }
}
