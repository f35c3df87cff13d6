import { setTimeout as sleep } from "node:timers/promises"
import {
  afterRound,
  type Incidents,
  NO_INCIDENTS,
  type Notification,
  type Pending,
  type SeenRound,
  type Trouble,
} from "../../core/records/incident.js"
import type { NotifySetting } from "../../core/manifest/agent-settings.js"
import type { AgentRecords } from "../../core/ports/agent-records.js"
import type { Log } from "../../core/ports/log.js"
import { bodyOf, receiverId, receiverText, tellReceiver } from "./receiver.js"

export interface OutboxParts {
  readonly records: Pick<AgentRecords, "incidents" | "putIncidents">
  readonly log: Log
  readonly owner: string
  readonly receivers: readonly NotifySetting[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Between two tries of the same round, in ms; then the next round tries again. */
const PAUSES_MS = [1_000, 5_000]

/** A notification that nobody took for so long is given up: the page and `check` say what is wrong. */
const MOST_PENDING = 500

/**
 * Tells each receiver of what has changed since the last round: written down before it is sent, and again once it was
 * taken. Whoever is killed in between sends it again with the same id.
 *
 * @param troubles everything that is wrong now
 */
export async function tellReceivers(parts: OutboxParts, troubles: readonly Trouble[], round: SeenRound): Promise<void> {
  const { records, receivers } = parts
  const before = await records.incidents()
  if (receivers.length === 0) {
    // nobody is told: whoever comes later hears of all that is wrong then
    if (before.open.length + before.pending.length > 0) await records.putIncidents(NO_INCIDENTS)
    return
  }
  const incidents = afterRound(before, troubles, round)
  const pending = incidents.pending.slice(-MOST_PENDING)
  let current: Incidents = { ...incidents, pending }
  await records.putIncidents(current)
  const ids = receivers.map(receiverId)
  const unreachable = new Set<string>()
  for (const { notification, takers } of pending) {
    const have = new Set(takers)
    for (const receiver of receivers) {
      const id = receiverId(receiver)
      if (have.has(id) || unreachable.has(id)) continue
      if (!(await isTold(parts, receiver, notification))) {
        // what comes after waits for the next round as well: in order, and without as many tries again
        unreachable.add(id)
        continue
      }
      have.add(id)
      current = withTold(current, { notification, takers: [...have] })
      await records.putIncidents(current)
    }
    if (!ids.every((id) => have.has(id))) continue
    current = {
      ...current,
      pending: current.pending.filter((candidate) => !isSame(candidate.notification, notification)),
    }
    await records.putIncidents(current)
  }
}

const isSame = (a: Notification, b: Notification): boolean => a.notification === b.notification

const withTold = (incidents: Incidents, update: Pending): Incidents => ({
  ...incidents,
  pending: incidents.pending.map((candidate) =>
    isSame(candidate.notification, update.notification) ? update : candidate,
  ),
})

async function isTold(
  { log, owner, env }: OutboxParts,
  receiver: NotifySetting,
  notification: Notification,
): Promise<boolean> {
  const { notification: id, kind, reason, name, target } = notification
  const facts = { id, kind, reason, name, target, receiver: receiverText(receiver) }
  const body = bodyOf(notification, owner)
  for (const pause of [...PAUSES_MS, null]) {
    try {
      await tellReceiver(receiver, body, env)
      log.event("notification.sent", facts)
      return true
    } catch (error) {
      log.event("notification.failed", { ...facts, error: error instanceof Error ? error.message : String(error) })
    }
    if (pause !== null) await sleep(pause)
  }
  return false
}
